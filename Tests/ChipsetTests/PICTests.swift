import DeviceModel
import Testing

@Suite struct PICTests {
  private func acknowledge(_ bench: Bench) -> UInt8? {
    bench.controller.acknowledge(processor: 0)
  }

  @Test func `requests show in the request register and leave it in service`() throws {
    let bench = try Bench()
    bench.startPIC()
    bench.controller.line(3).set(true)
    #expect(bench.in(0x20) == 0x08)
    #expect(acknowledge(bench) == 0x33)
    #expect(bench.in(0x20) == 0)
    bench.out(0x0b, 0x20)
    #expect(bench.in(0x20) == 0x08)
    bench.out(0x20, 0x20)
    #expect(bench.in(0x20) == 0)
  }

  @Test func `lower inputs come first and hold back higher ones`() throws {
    let bench = try Bench()
    bench.startPIC()
    for number in [5, 3, 1] { bench.controller.line(number).set(true) }
    #expect(acknowledge(bench) == 0x31)
    #expect(acknowledge(bench) == nil)
    bench.out(0x61, 0x20)
    #expect(acknowledge(bench) == 0x33)
    bench.out(0x20, 0x20)
    #expect(acknowledge(bench) == 0x35)
  }

  @Test func `the second controller comes through input 2`() throws {
    let bench = try Bench()
    bench.startPIC()
    bench.controller.line(12).set(true)
    #expect(acknowledge(bench) == 0x3c)
    bench.out(0x0b, 0x20)
    bench.out(0x0b, 0xa0)
    #expect(bench.in(0x20) == 0x04)
    #expect(bench.in(0xa0) == 0x10)
    bench.controller.line(8).set(true)
    #expect(acknowledge(bench) == nil, "the first controller is not specially nested")
    bench.out(0x20, 0xa0)
    bench.out(0x20, 0x20)
    #expect(acknowledge(bench) == 0x38)
  }

  @Test func `masks hold back, and unmasking lets through`() throws {
    let bench = try Bench()
    bench.startPIC()
    bench.out(0xff, 0x21)
    bench.controller.line(4).set(true)
    #expect(acknowledge(bench) == nil)
    #expect(bench.in(0x21) == 0xff)
    _ = bench.recorder.take()
    bench.out(0xef, 0x21)
    #expect(!bench.recorder.take().isEmpty)
    #expect(acknowledge(bench) == 0x34)
  }

  @Test func `an edge stays requested, a level does not`() throws {
    let bench = try Bench()
    bench.startPIC()
    bench.controller.line(5).pulse()
    #expect(acknowledge(bench) == 0x35)
    bench.out(0x20, 0x20)
    bench.out(0x20, 0x4d0)
    bench.out(0xff, 0x4d1)
    #expect(bench.in(0x4d0) == 0x20)
    #expect(bench.in(0x4d1) == 0xde)
    bench.controller.line(5).pulse()
    #expect(acknowledge(bench) == nil)
    let line = bench.controller.line(5)
    line.set(true)
    for _ in 0..<2 {
      #expect(acknowledge(bench) == 0x35)
      bench.out(0x20, 0x20)
    }
    line.set(false)
    #expect(acknowledge(bench) == nil)
  }

  @Test func `an edge still requested goes when its input becomes a level`() throws {
    let bench = try Bench()
    bench.startPIC()
    bench.controller.line(5).pulse()
    bench.out(0x20, 0x4d0)
    #expect(acknowledge(bench) == nil)
  }

  @Test func `automatic end leaves nothing in service, and rotates when told`() throws {
    let bench = try Bench()
    bench.startPIC()
    for (port, value) in [(0x20, 0x11), (0x21, 0x40), (0x21, 4), (0x21, 3)]
      as [(UInt64, UInt64)]
    {
      bench.out(value, port)
    }
    bench.out(0x80, 0x20)
    let (one, three) = (bench.controller.line(1), bench.controller.line(3))
    one.pulse()
    three.pulse()
    #expect(acknowledge(bench) == 0x41)
    one.pulse()
    #expect(acknowledge(bench) == 0x43, "input 1 is now the last")
    #expect(acknowledge(bench) == 0x41)
  }

  @Test func `priorities rotate with the end of an interrupt`() throws {
    let bench = try Bench()
    bench.startPIC()
    bench.out(0xc3, 0x20)  // input 3 is the last, 4 the first
    for number in [1, 4, 6] { bench.controller.line(number).set(true) }
    #expect(acknowledge(bench) == 0x34)
    bench.out(0xa0, 0x20)  // end, and 4 becomes the last
    #expect(acknowledge(bench) == 0x36)
    bench.out(0xe6, 0x20)  // end of 6, which becomes the last
    #expect(acknowledge(bench) == 0x31)
  }

  @Test func `the special mask lets lower priorities through`() throws {
    let bench = try Bench()
    bench.startPIC()
    bench.controller.line(3).set(true)
    #expect(acknowledge(bench) == 0x33)
    bench.controller.line(5).set(true)
    #expect(acknowledge(bench) == nil)
    bench.out(0x08, 0x21)
    bench.out(0x68, 0x20)
    #expect(acknowledge(bench) == 0x35)
  }

  @Test func `polling acknowledges without a vector`() throws {
    let bench = try Bench()
    bench.startPIC()
    bench.out(0x0c, 0x20)
    #expect(bench.in(0x20) == 0)
    bench.controller.line(6).set(true)
    bench.out(0x0c, 0x20)
    #expect(bench.in(0x20) == 0x86)
    bench.out(0x0b, 0x20)
    #expect(bench.in(0x20) == 0x40)
  }

  @Test func `wide accesses are split into bytes`() throws {
    let bench = try Bench()
    bench.startPIC()
    bench.ports.write(0xab0a, to: 0x20, width: .word)
    #expect(bench.in(0x21) == 0xab)
    #expect(bench.ports.read(0x20, width: .double) == 0xffff_ab00)
  }

  @Test func `initialisation clears masks and service`() throws {
    let bench = try Bench()
    bench.startPIC()
    bench.out(0xff, 0x21)
    bench.controller.line(3).set(true)
    bench.startPIC()
    #expect(bench.in(0x21) == 0)
    #expect(acknowledge(bench) == nil, "the edge is forgotten")
  }
}
