import Chipset
import DeviceModel
import KVM
import Testing

/// A saved state, restored elsewhere, goes on as the first would have.
@Suite struct StateTests {
  /// Takes all of a machine's state to another one at the same time.
  private func copy(_ bench: Bench) throws -> Bench {
    let other = try Bench()
    other.clock.advance(by: bench.clock.now - other.clock.now)
    for chip in InterruptChip.allCases {
      other.controller.restore(bench.controller.state(of: chip))
    }
    #expect(other.controller.restoreBase(bench.msr(0x1b) ?? 0, processor: 0))
    #expect(
      other.controller.restoreLocal(bench.controller.localState(processor: 0), processor: 0))
    other.controller.restore(bench.controller.intervalTimer)
    return other
  }

  @Test func `what KVM shows of fresh controllers`() throws {
    let bench = try Bench()
    guard case .primaryPIC(let first) = bench.controller.state(of: .primaryPIC),
      case .secondaryPIC(let second) = bench.controller.state(of: .secondaryPIC),
      case .ioAPIC(let ioapic) = bench.controller.state(of: .ioAPIC)
    else { throw Wrong() }
    #expect((first.mask, first.levelTriggeredMask) == (0, 0xf8))
    #expect((second.mask, second.levelTriggeredMask) == (0, 0xde))
    #expect(ioapic == IOAPICState())
    let timer = bench.controller.intervalTimer
    #expect(timer.channels.elements.map(\.mode) == [0xff, 0xff, 0xff])
    #expect(timer.channels.elements.map(\.count) == [0x10000, 0x10000, 0x10000])
    #expect(timer.channels.elements.map(\.gate) == [1, 1, 0])
  }
  struct Wrong: Error {}

  @Test func `an 8259 goes on with what is in service and what waits`() throws {
    let bench = try Bench()
    bench.startPIC()
    bench.out(0x02, 0x4d1)
    for line in [1, 4, 9] { bench.controller.setLine(line, to: true) }
    #expect(bench.controller.acknowledge(processor: 0) == 0x31)
    let other = try copy(bench)
    for machine in [bench, other] {
      #expect(machine.controller.acknowledge(processor: 0) == nil)
      machine.out(0x20, 0x20)
      #expect(machine.controller.acknowledge(processor: 0) == 0x39)
      machine.out(0x20, 0xa0)
      machine.out(0x20, 0x20)
      #expect(machine.controller.acknowledge(processor: 0) == 0x39, "the level is still there")
      machine.out(0x62, 0x20)
      #expect(machine.controller.acknowledge(processor: 0) == 0x34)
    }
  }

  @Test func `half an initialisation is completed after a restore`() throws {
    let bench = try Bench()
    bench.out(0x11, 0x20)
    bench.out(0x50, 0x21)
    let other = try copy(bench)
    other.out(0x04, 0x21)
    other.out(0x01, 0x21)
    other.controller.setLine(3, to: true)
    #expect(other.controller.acknowledge(processor: 0) == 0x53)
  }

  @Test func `an IOAPIC pin goes on waiting for its end`() throws {
    let bench = try Bench()
    bench.setAPIC(0xf0, 0x1ff)
    bench.maskPIC()
    bench.setIOAPIC(0x22, 0x8000 | 0x59)
    bench.setIOAPIC(0x24, 0x5a)
    bench.controller.setLine(9, to: true)
    bench.controller.setLine(10, to: true)
    #expect(bench.controller.acknowledge(processor: 0) == 0x5a)
    bench.setAPIC(0xb0, 0)
    #expect(bench.controller.acknowledge(processor: 0) == 0x59)
    let other = try copy(bench)
    for machine in [bench, other] {
      #expect(machine.ioapic(0x22) == 0xc059)
      machine.setAPIC(0xb0, 0)
      #expect(machine.controller.acknowledge(processor: 0) == 0x59, "asserted still")
      machine.setAPIC(0xb0, 0)
      _ = machine.controller.acknowledge(processor: 0)
      machine.controller.setLine(9, to: false)
      machine.setAPIC(0xb0, 0)
      #expect(machine.controller.acknowledge(processor: 0) == nil, "the edge is not sent twice")
    }
  }

  @Test(arguments: [0, 2, 3, 4] as [UInt64])
  func `a running 8254 keeps its time`(mode: UInt64) throws {
    let bench = try Bench()
    bench.startPIC()
    bench.out(0x30 | mode << 1, 0x43)
    bench.out(0x00, 0x40)
    bench.out(0x40, 0x40)
    bench.out(0xb6, 0x43)
    bench.out(0x34, 0x42)
    bench.pass(5_000_000)
    let other = try copy(bench)
    #expect(other.timers.deadline == bench.timers.deadline)
    for machine in [bench, other] {
      machine.out(0x12, 0x42)
      machine.out(1, 0x61)
      machine.out(0xd6, 0x43)
    }
    for _ in 0..<40 {
      for machine in [bench, other] { machine.pass(500_000) }
      #expect(
        bench.controller.acknowledge(processor: 0) == other.controller.acknowledge(processor: 0))
      for port in [0x40, 0x41, 0x42, 0x61] as [UInt64] {
        #expect(bench.in(port) == other.in(port))
      }
    }
  }

  @Test func `a count that stands still stands still after a restore`() throws {
    let bench = try Bench()
    bench.out(1, 0x61)
    bench.out(0xb0, 0x43)
    bench.out(0x00, 0x42)
    bench.out(0x80, 0x42)
    bench.pass(3_000_000)
    bench.out(0, 0x61)
    bench.pass(3_000_000)
    let other = try copy(bench)
    for machine in [bench, other] {
      machine.pass(1_000_000)
      machine.out(0x80, 0x43)
    }
    let low = bench.in(0x42)
    #expect(low == other.in(0x42))
    #expect(bench.in(0x42) == other.in(0x42))
    #expect(other.controller.intervalTimer.channels[2].gate == 0)
  }

  @Test func `an HPET in the 8254's place silences it`() throws {
    let bench = try Bench()
    bench.out(0x34, 0x43)
    bench.out(0, 0x40)
    bench.out(0x10, 0x40)
    var state = bench.controller.intervalTimer
    state.flags.insert(.replaced)
    bench.controller.restore(state)
    bench.startPIC()
    bench.pass(100_000_000)
    #expect(bench.controller.acknowledge(processor: 0) == nil)
    #expect(bench.controller.intervalTimer.flags == .replaced)
    state.flags = []
    bench.controller.restore(state)
    bench.pass(100_000_000)
    #expect(bench.controller.acknowledge(processor: 0) == 0x30)
  }

  @Test func `an APIC timer goes on where it was`() throws {
    let bench = try Bench()
    bench.setAPIC(0xf0, 0x1ff)
    bench.setAPIC(0x320, 0x20040)
    bench.setAPIC(0x3e0, 0xb)
    bench.setAPIC(0x380, 3_000_000)
    bench.pass(7_000_000)
    _ = bench.controller.acknowledge(processor: 0)
    let other = try copy(bench)
    #expect(other.timers.deadline == bench.timers.deadline)
    #expect(other.apic(0x390) == bench.apic(0x390))
    for machine in [bench, other] {
      machine.setAPIC(0xb0, 0)
      machine.pass(2_000_000)
      #expect(machine.controller.acknowledge(processor: 0) == 0x40)
    }
  }

  @Test func `wide identifiers show all of an x2APIC's`() throws {
    let bench = try Bench()
    bench.addProcessor(identifier: 0x1234)
    #expect(bench.setMSR(0x1b, 0xfee0_0c00, processor: 1))
    var state = bench.controller.localState(processor: 1)
    #expect(state[0x20] == 0x3400_0000)
    bench.controller.addressing = .wide
    state = bench.controller.localState(processor: 1)
    #expect(state[0x20] == 0x1234)
    #expect(bench.controller.restoreLocal(state, processor: 1))
    state[0x20] = 0
    #expect(!bench.controller.restoreLocal(state, processor: 1))
  }
}
