import CLinux
import Glibc
import KVM
import Testing
import X86

/// One thing that every back end does as KVM's manual says. Back ends that have what it asks for
/// run it; a host that lacks an ability skips it with a sentence.
struct Check<Backend: Hypervisor>: Sendable, CustomTestStringConvertible {
  let name: String
  let body: @Sendable (Backend) throws -> Void

  init(_ name: String, _ body: @escaping @Sendable (Backend) throws -> Void) {
    self.name = name
    self.body = body
  }

  var testDescription: String { name }
}

/// What a host lacks, as a sentence.
struct Lacking: Error {
  let sentence: String
}

/// Page-aligned zeroed memory of this process.
final class HostPages {
  let base: UnsafeMutableRawPointer
  let size: Int

  init(_ size: Int) {
    self.size = size
    base = .allocate(byteCount: size, alignment: 4096)
    base.initializeMemory(as: UInt8.self, repeating: 0, count: size)
  }

  deinit { base.deallocate() }

  var address: UInt64 { UInt64(UInt(bitPattern: base)) }

  func write(_ bytes: [UInt8], at offset: Int) {
    for (index, byte) in bytes.enumerated() { self[offset + index] = byte }
  }

  subscript(offset: Int) -> UInt8 {
    get { base.load(fromByteOffset: offset, as: UInt8.self) }
    set { base.storeBytes(of: newValue, toByteOffset: offset, as: UInt8.self) }
  }
}

/// A machine with 64 KiB of RAM in slot 0, and real-mode code at 0x1000.
struct RealGuest<Backend: InquirableHypervisor>
where Backend.Machine: SlottedMachine, Backend.Machine.CPU: ExitingCPU {
  let memory = HostPages(0x1_0000)
  let machine: Backend.Machine
  let cpu: Backend.Machine.CPU

  static var memorySlot: UInt32 { 0 }

  init(
    _ backend: Backend, _ code: [UInt8], handlers: [UInt8: [UInt8]] = [:],
    flags: MemorySlot.Flags = [], prepare: (Backend.Machine) throws -> Void = { _ in }
  ) throws {
    machine = try backend.makeMachine()
    try machine.setTaskStateAddress(0xfffb_d000)
    try machine.setMemory(
      MemorySlot(
        Self.memorySlot, guestAddress: 0, size: 0x1_0000, hostAddress: memory.address,
        flags: flags))
    memory.write(code, at: 0x1000)
    for (vector, code) in handlers {
      let address = 0x1800 + Int(vector) * 16
      memory.write(code, at: address)
      memory.write([UInt8(address & 0xff), UInt8(address >> 8), 0, 0], at: Int(vector) * 4)
    }
    try prepare(machine)
    cpu = try machine.makeCPU(id: 0)
    try cpu.setCPUID(backend.supportedCPUID())
    try start()
  }

  /// From the beginning of the code, with whatever else the processor has.
  func start() throws {
    var special = try cpu.specialRegisters()
    special.cs = .realMode(selector: 0)
    special.setData(.realMode(selector: 0))
    try cpu.setSpecialRegisters(special)
    var registers = Registers()
    (registers.rip, registers.rsp) = (0x1000, 0x9000)
    try cpu.setRegisters(registers)
  }

  /// Runs until something happens that is not just an interruption; ten seconds at most.
  func run() throws -> Exit {
    let watchdog = Watchdog()
    watchdog.watch(cpu.doorbell)
    defer { watchdog.isOver.store(true, ordering: .relaxed) }
    while true {
      let exit = try cpu.run()
      if exit != .stopped(.interrupted) || watchdog.isExpired.load(ordering: .relaxed) {
        return exit
      }
    }
  }
}

/// The number with which a call is refused; 0 when it is not.
func refusal(_ body: () throws -> Void) -> Int32 {
  do {
    try body()
    return 0
  } catch let error as KVMError {
    return error.errno
  } catch {
    return -1
  }
}

/// An eventfd.
final class Event {
  let descriptor = apus_eventfd()
  deinit { close(descriptor) }

  func signal() {
    var one: UInt64 = 1
    write(descriptor, &one, 8)
  }

  /// How often it was signalled since the last look.
  func take() -> UInt64 {
    var count: UInt64 = 0
    return read(descriptor, &count, 8) == 8 ? count : 0
  }
}
