import KVM

/// Where interrupt lines lead, and which line leads to an input.
struct RoutingTable: Sendable {
  /// KVM_CAP_IRQ_ROUTING: lines are numbered below this.
  static let lineLimit = 4096

  private var destinations: [[InterruptRoute.Destination]] = []
  /// The line of each 8259 input and of each IOAPIC pin; -1 for none.
  private var picLines: [16 of Int16] = .init(repeating: -1)
  private var pinLines: [24 of Int16] = .init(repeating: -1)
  private var syntheticLines: [SyntheticInput: Int] = [:]

  /// No routes.
  init() {}

  /// - Returns: `nil` for a line or input that does not exist, a line that leads to one controller
  ///   twice, or to a message and anything else.
  init?(_ routes: [InterruptRoute], hasChips: Bool) {
    guard let last = routes.map(\.line).max() else { return }
    guard last < Self.lineLimit else { return nil }
    destinations = .init(repeating: [], count: Int(last) + 1)
    for route in routes {
      guard canAdd(route, hasChips: hasChips) else { return nil }
      destinations[Int(route.line)].append(route.destination)
      switch route.destination {
      case .pin(.primaryPIC, let pin): picLines[Int(pin)] = Int16(route.line)
      case .pin(.secondaryPIC, let pin): picLines[Int(pin) + 8] = Int16(route.line)
      case .pin(.ioAPIC, let pin): pinLines[Int(pin)] = Int16(route.line)
      case .hyperV(let processor, let source):
        let input = SyntheticInput(processor: processor, source: source)
        syntheticLines[input] = Int(route.line)
      case .message: break
      }
    }
  }

  private func canAdd(_ route: InterruptRoute, hasChips: Bool) -> Bool {
    guard case .pin(let chip, let pin) = route.destination else {
      return destinations[Int(route.line)].isEmpty
    }
    guard hasChips, pin < (chip == .ioAPIC ? 24 : 8) else { return false }
    return destinations[Int(route.line)].allSatisfy {
      if case .pin(let other, _) = $0 { other != chip } else { false }
    }
  }

  /// How many lines have a place in the table.
  var count: Int { destinations.count }

  subscript(line: Int) -> [InterruptRoute.Destination] {
    destinations.indices.contains(line) ? destinations[line] : []
  }

  /// The line that leads to an input of the 8259s, or to a pin of the IOAPIC.
  func line(ofPIC input: Int) -> Int? { picLines[input] < 0 ? nil : Int(picLines[input]) }
  func line(ofPin pin: Int) -> Int? { pinLines[pin] < 0 ? nil : Int(pinLines[pin]) }
  func line(of input: SyntheticInput) -> Int? { syntheticLines[input] }
}
