import Boot
import DeviceModel
import ExampleSupport
import GuestMemory
import Host
import KVM
import Virtio

/// "KVM without QEMU": RAM, interrupt controllers, a console and a virtio entropy device, around an
/// ELF guest that learns all that from the start structure. `apus bare --start-info` is the same.
@main
struct ThinMachine: Example {
  static let device = StartInfo.Device(base: 0xd000_0000, interrupt: 16)

  static func run(on hypervisor: some Hypervisor) throws {
    guard let path = option("--guest") else { throw ExampleFailure("say --guest FILE") }
    let memory = try GuestMemory(size: 16 << 20)
    let initial = try FileContents(path: path, limit: 1 << 20).withBytes { file in
      try BareProgram(file, at: 0x10_0000).place(
        file, in: memory, mode: .protected, devices: [device])
    }
    let machine = try hypervisor.makeMachine(memory: memory)
    try machine.makeInterruptController()
    let cpu = try machine.makeCPU(id: 0)
    try cpu.setCPUID(hypervisor.supportedCPUID())

    var special = try cpu.specialRegisters()
    special.cs = initial.cs
    special.setData(initial.data)
    special.gdt = initial.globalDescriptorTable
    special.cr0 = initial.cr0
    try cpu.setSpecialRegisters(special)
    var registers = Registers()
    (registers.rip, registers.rsp) = (initial.rip, initial.rsp)
    // The structure's magic number and its address.
    (registers.rax, registers.rbx) = (initial.rax, initial.rbx)
    try cpu.setRegisters(registers)

    // The device reads and writes guest memory by itself, and raises an input of the I/O APIC.
    let bus = Bus()
    let rng = VirtioMMIO(EntropyDevice(), memory: memory, interrupt: Line(machine: machine))
    try bus.attach(Shared(rng), named: "rng", at: device.base..<device.base + 0x1000)
    let devices = Devices(memory: bus, doorbell: cpu.doorbell)
    while devices.status == nil {
      let stop = try cpu.run(handler: devices)
      if stop != .interrupted { throw ExampleFailure("the guest stopped: \(stop)") }
    }
    if devices.status != 0 { throw ExampleFailure("the guest failed") }
  }
}

/// A wire from the device to the machine's interrupt controllers.
struct Line<Machine: VirtualMachine>: InterruptLine {
  let machine: Machine
  func set(_ isAsserted: Bool) {
    machine.setInterrupt(UInt32(ThinMachine.device.interrupt), active: isAsserted)
  }
}

/// The console port 0xe9, the exit port 0xf4, and a bus of devices in memory.
final class Devices: ExitHandler {
  let memory: Bus
  let doorbell: any Doorbell
  /// What the guest wrote to the exit port.
  private(set) var status: UInt32?

  init(memory: Bus, doorbell: any Doorbell) { (self.memory, self.doorbell) = (memory, doorbell) }

  func writePort(_ port: UInt16, value: UInt32, size: Int) {
    if port == 0xe9 { Console.write(UInt8(truncatingIfNeeded: value)) }
    if port == 0xf4 {
      status = value
      doorbell.ring()
    }
  }

  func readPort(_ port: UInt16, size: Int) -> UInt32 { .max }

  func readMemory(_ address: UInt64, size: Int) -> UInt64 {
    memory.read(address, width: AccessWidth(bytes: size) ?? .byte)
  }

  func writeMemory(_ address: UInt64, value: UInt64, size: Int) {
    memory.write(value, to: address, width: AccessWidth(bytes: size) ?? .byte)
  }
}
