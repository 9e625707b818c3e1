import Engine
public import Host
public import KVM
import KVMABI

extension SoftCPU: DirtyRingCPU {
  public func collectDirtyPages() throws(KVMError) -> [DirtyPage] {
    environment.writtenPages?.collect() ?? []
  }

  /// Makes the processor's ring, where the machine has them.
  func makeDirtyRing() throws(KVMError) {
    let size = machine.dirtyRingSize
    guard size > 0 else { return }
    let ring = try refusing { () throws(SystemError) in try WrittenPages(size: size) }
    machine.processors.withLock { $0.dirtyRings.add(ring) }
    environment.writtenPages = ring
  }

  /// Moves the ring to where KVM has it in a file that the client maps; before the first run.
  public func shareDirtyRing(_ file: borrowing FileDescriptor) throws(SystemError) {
    try environment.writtenPages?.share(file)
  }

  /// Whether the ring is so full that the processor must not run.
  var isDirtyRingFull: Bool {
    guard let ring = environment.writtenPages else { return false }
    for page in machine.group.takeWritesOutside() { environment.wasWritten(page) }
    return ring.isFull
  }
}

extension SoftEnvironment {
  func wasWritten(_ page: WrittenPage) {
    guard let writtenPages else { return }
    if writtenPages.append(DirtyPage(slot: page.slot, offset: UInt64(page.page))) {
      isDirtyRingFull = true
      processor?.doorbell.ring()
    }
  }
}
