import Chipset
import DeviceModel
import Testing

@Suite struct LocalAPICTests {
  /// An enabled xAPIC.
  private func enabled(_ identifier: UInt32 = 0) -> LocalAPIC {
    var apic = LocalAPIC(identifier: identifier, isBootProcessor: true, offersX2APIC: true)
    _ = apic.write(0x1ff, to: 0xf0, width: .double, now: 0)
    return apic
  }

  private func x2(_ identifier: UInt32 = 0) -> LocalAPIC {
    var apic = enabled(identifier)
    #expect(apic.setBase(0xfee0_0000 | 0xc00) == true)
    return apic
  }

  @Test(
    arguments: [
      (0x20, 0x0300_0000), (0x30, 0x0005_0014), (0x80, 0), (0xd0, 0), (0xe0, 0xffff_ffff),
      (0xf0, 0xff), (0x280, 0), (0x320, 0x10000), (0x350, 0x10000), (0x370, 0x10000), (0x380, 0),
      (0x3e0, 0),
    ] as [(UInt64, UInt64)])
  func `reset values match the manual`(offset: UInt64, value: UInt64) {
    var apic = LocalAPIC(identifier: 3, isBootProcessor: false, offersX2APIC: true)
    #expect(apic.read(offset, width: .double, now: 0) == value)
  }

  @Test func `a disabled APIC takes no interrupts and keeps its entries masked`() {
    var apic = LocalAPIC(identifier: 0, isBootProcessor: false, offersX2APIC: true)
    apic.accept(vector: 0x40, isLevel: false)
    #expect(apic.pendingVector == nil)
    _ = apic.write(0x40, to: 0x320, width: .double, now: 0)
    #expect(apic.read(0x320, width: .double, now: 0) == 0x10040)
  }

  @Test func `the highest vector comes first and holds back lower ones`() {
    var apic = enabled()
    apic.accept(vector: 0x41, isLevel: false)
    apic.accept(vector: 0x83, isLevel: false)
    #expect(apic.acknowledge() == 0x83)
    #expect(apic.pendingVector == nil)
    #expect(apic.processorPriority == 0x80)
    apic.accept(vector: 0x8f, isLevel: false)
    #expect(apic.pendingVector == nil)
    apic.accept(vector: 0x91, isLevel: false)
    #expect(apic.acknowledge() == 0x91)
    for vector in [0x91, 0x83] as [UInt8] {
      let action = apic.write(0, to: 0xb0, width: .double, now: 0)
      #expect(action == .endOfInterrupt(vector, isLevel: false))
    }
    #expect(apic.acknowledge() == 0x8f)
  }

  @Test func `the task priority holds back its class and those below`() {
    var apic = enabled()
    apic.accept(vector: 0x45, isLevel: false)
    apic.taskPriority = 4
    #expect(apic.pendingVector == nil)
    #expect(apic.read(0xa0, width: .double, now: 0) == 0x40)
    apic.taskPriority = 3
    #expect(apic.pendingVector == 0x45)
  }

  @Test func `the end of a level interrupt is passed on, that of an edge is not`() {
    var apic = enabled()
    apic.accept(vector: 0x50, isLevel: true)
    apic.accept(vector: 0x61, isLevel: false)
    #expect(apic.acknowledge() == 0x61)
    #expect(
      apic.write(0, to: 0xb0, width: .double, now: 0) == .endOfInterrupt(0x61, isLevel: false))
    #expect(apic.acknowledge() == 0x50)
    #expect(apic.write(0, to: 0xb0, width: .double, now: 0) == .endOfInterrupt(0x50, isLevel: true))
    #expect(apic.write(0, to: 0xb0, width: .double, now: 0) == .none)
  }

  @Test func `illegal vectors show in the error status after it is written`() {
    var apic = enabled()
    _ = apic.write(0x33, to: 0x370, width: .double, now: 0)
    apic.accept(vector: 5, isLevel: false)
    #expect(apic.pendingVector == 0x33)
    _ = apic.write(0x4003, to: 0x300, width: .double, now: 0)
    #expect(apic.read(0x280, width: .double, now: 0) == 0)
    _ = apic.write(0, to: 0x280, width: .double, now: 0)
    #expect(apic.read(0x280, width: .double, now: 0) == 0x60)
    _ = apic.write(0, to: 0x280, width: .double, now: 0)
    #expect(apic.read(0x280, width: .double, now: 0) == 0)
  }

  @Test func `flat and clustered logical destinations select by bits`() {
    var apic = enabled(1)
    func message(_ destination: UInt32) -> InterruptMessage {
      InterruptMessage(
        vector: 0x40, mode: .fixed, isLevel: false, destination: destination, isLogical: true)
    }
    _ = apic.write(0x2200_0000, to: 0xd0, width: .double, now: 0)
    #expect(apic.matches(message(0x02)))
    #expect(apic.matches(message(0xff)))
    #expect(!apic.matches(message(0x11)))
    _ = apic.write(0x0fff_ffff, to: 0xe0, width: .double, now: 0)
    #expect(apic.matches(message(0x22)))
    #expect(apic.matches(message(0xf2)))
    #expect(!apic.matches(message(0x12)))
    #expect(!apic.matches(message(0x21)))
  }

  @Test func `x2APIC mode numbers itself and matches wide destinations`() {
    var apic = x2(0x123)
    #expect(apic.readModelSpecific(0x02, now: 0) == 0x123)
    #expect(apic.readModelSpecific(0x0d, now: 0) == 0x0012_0008)
    var message = InterruptMessage(
      vector: 0x40, mode: .fixed, isLevel: false, destination: 0x0012_0018, isLogical: true)
    #expect(apic.matches(message))
    message.destination = 0x0011_0018
    #expect(!apic.matches(message))
    #expect(apic.page == nil)
  }

  @Test func `registers that x2APIC mode lacks, or that are read-only, fault`() {
    var apic = x2()
    for number in [0x09, 0x0b, 0x0c, 0x0e, 0x31, 0x3f, 0x2f, 0x01, 0x40, 0xff] as [UInt32] {
      #expect(apic.readModelSpecific(number, now: 0) == nil, "read \(number)")
    }
    for number in [0x02, 0x03, 0x0a, 0x0d, 0x0e, 0x10, 0x20, 0x31, 0x39] as [UInt32] {
      #expect(apic.writeModelSpecific(number, value: 0, now: 0) == nil, "write \(number)")
    }
    #expect(apic.writeModelSpecific(0x0b, value: 1, now: 0) == nil)
    #expect(apic.writeModelSpecific(0x0f, value: 0x400, now: 0) == nil)
    #expect(apic.writeModelSpecific(0x0f, value: 0x3ff, now: 0) == APICAction.none)
    #expect(apic.writeModelSpecific(0x08, value: 1 << 32, now: 0) == nil)
    var xapic = enabled()
    #expect(xapic.readModelSpecific(0x02, now: 0) == nil)
  }

  @Test func `the base register allows only the manual's changes of mode`() {
    var apic = enabled()
    #expect(apic.base == 0xfee0_0900)
    #expect(apic.setBase(0xfee0_0000 | 0x400) == false)
    #expect(apic.setBase(0xfee0_0000 | 0xc00) == true)
    #expect(apic.setBase(0xfee0_0000 | 0x800) == false)
    #expect(apic.setBase(0xfee0_0000) == true)
    #expect(!apic.isPresent)
    #expect(apic.setBase(0xfee0_0000 | 0xc00) == false)
    #expect(apic.setBase(0xfed0_0000 | 0x800) == true)
    #expect(apic.page == 0xfed0_0000)
    #expect(apic.setBase(0xfee0_0001) == false)
    var old = LocalAPIC(identifier: 0, isBootProcessor: true, offersX2APIC: false)
    #expect(old.setBase(0xfee0_0000 | 0xc00) == false)
  }

  @Test func `an x2APIC command carries its destination in one write`() {
    var apic = x2()
    var expected = InterruptMessage(
      vector: 0xfd, mode: .fixed, isLevel: false, destination: 0x1_0002, isLogical: true)
    expected.isFromProcessor = true
    #expect(
      apic.writeModelSpecific(0x30, value: 0x0001_0002_0000_08fd, now: 0) == .send(expected))
    #expect(apic.readModelSpecific(0x30, now: 0) == 0x0001_0002_0000_08fd)
  }

  @Test func `state survives a round trip through KVM's layout`() {
    var apic = enabled()
    _ = apic.write(0x20031, to: 0x320, width: .double, now: 0)
    _ = apic.write(0xb, to: 0x3e0, width: .double, now: 0)
    _ = apic.write(5000, to: 0x380, width: .double, now: 100)
    apic.accept(vector: 0x77, isLevel: true)
    _ = apic.acknowledge()
    apic.accept(vector: 0x78, isLevel: false)
    let state = apic.state(now: 1100)
    #expect(state[0x390] == 4000)

    var copy = LocalAPIC(identifier: 0, isBootProcessor: true, offersX2APIC: true)
    #expect(copy.restore(state, now: 50_000) == true)
    #expect(copy.state(now: 50_000) == state)
    #expect(copy.deadline == 54_000)
  }
}
