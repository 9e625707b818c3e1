/// A given number of elements in place: what the kernel's structures have where Swift has no
/// comparable array of fixed length.
public struct FixedArray<let count: Int, Element> {
  public var storage: InlineArray<count, Element>

  @inlinable
  public init(repeating value: Element) { storage = InlineArray(repeating: value) }

  @inlinable
  public subscript(index: Int) -> Element {
    get { storage[index] }
    set { storage[index] = newValue }
  }

  @inlinable public var indices: Range<Int> { 0..<count }
  public var elements: [Element] { indices.map { self[$0] } }
}

extension FixedArray: Sendable where Element: Sendable {}
extension FixedArray: BitwiseCopyable where Element: BitwiseCopyable {}

extension FixedArray: Equatable where Element: Equatable {
  public static func == (left: Self, right: Self) -> Bool {
    left.indices.allSatisfy { left[$0] == right[$0] }
  }
}

extension FixedArray: Hashable where Element: Hashable {
  public func hash(into hasher: inout Hasher) {
    for index in indices { hasher.combine(self[index]) }
  }
}

extension FixedArray: ExpressibleByArrayLiteral {
  /// As many elements as the type says.
  public init(arrayLiteral elements: Element...) {
    precondition(elements.count == count, "\(elements.count) elements where \(count) belong")
    storage = InlineArray { elements[$0] }
  }
}

extension FixedArray: CustomStringConvertible {
  public var description: String { "\(elements)" }
}
