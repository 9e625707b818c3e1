import Chipset
import Testing

@Suite struct SpuriousTests {
  /// The pair as Linux initialises it, without a controller around it.
  private func pair() -> PICPair {
    var pair = PICPair()
    for (port, value) in [
      (0x20, 0x11), (0x21, 0x30), (0x21, 0x04), (0x21, 0x01), (0xa0, 0x11), (0xa1, 0x38),
      (0xa1, 0x02), (0xa1, 0x01), (0x4d0, 0x20), (0x4d1, 0x02),
    ] as [(UInt16, UInt8)] {
      pair.write(value, toPort: port)
    }
    return pair
  }

  @Test func `a request that went before it was acknowledged is a spurious 7`() {
    var pics = pair()
    pics.setLine(5, to: true)
    #expect(pics.isPending)
    pics.setLine(5, to: false)
    #expect(!pics.isPending)
    #expect(pics.acknowledge() == 0x37)
    pics.write(0x0b, toPort: 0x20)
    #expect(pics.read(port: 0x20) == 0, "nothing is in service")
  }

  @Test func `masking the second controller's input in time gives a spurious 7 too`() {
    var pics = pair()
    pics.setLine(9, to: true)
    #expect(pics.isPending)
    pics.write(0xff, toPort: 0xa1)
    #expect(pics.acknowledge() == 0x37)
  }
}
