import Chipset
import KVM
import Testing

@Suite struct SyntheticTests {
  @Test func `a line leads to a synthetic interrupt, whose end is told`() throws {
    let bench = try Bench()
    bench.setAPIC(0xf0, 0x1ff)
    let controller = bench.controller
    #expect(controller.setRoutes([InterruptRoute(30, .hyperV(processor: 7, source: 2))]))
    #expect(controller.setLine(30, to: true) == -1, "nobody knows the processor")
    controller.onSynthetic { input in
      input == SyntheticInput(processor: 7, source: 2) ? (processor: 0, vector: 0x45) : nil
    }
    var (used, endedAtOnce) = (VectorSet(), VectorSet())
    used.insert(0x45)
    controller.setSynthetic(reported: used, endedAtOnce: endedAtOnce, processor: 0)
    #expect(controller.setLine(30, to: true) == 1)
    #expect(controller.acknowledge(processor: 0) == 0x45)
    _ = bench.recorder.take()
    bench.setAPIC(0xb0, 0)
    #expect(
      bench.recorder.take() == [Recorder.Entry(processor: 0, event: .endOfSynthetic(vector: 0x45))])

    endedAtOnce.insert(0x45)
    controller.setSynthetic(reported: used, endedAtOnce: endedAtOnce, processor: 0)
    for _ in 0..<2 {
      #expect(controller.deliver(vector: 0x45, to: 0))
      #expect(controller.acknowledge(processor: 0) == 0x45, "the last one is over already")
    }
  }
}
