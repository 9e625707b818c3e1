import KVM

/// What C calls an array and Swift imports as a tuple, as elements with numbers.
func fixed<let count: Int, Element: BitwiseCopyable, Tuple>(
  _ tuple: Tuple
) -> FixedArray<count, Element> {
  unsafe unsafeBitCast(tuple, to: FixedArray<count, Element>.self)
}

/// The way back; both have the same size, or the process ends.
func tuple<let count: Int, Element: BitwiseCopyable, Tuple>(
  _ array: FixedArray<count, Element>
) -> Tuple {
  unsafe unsafeBitCast(array, to: Tuple.self)
}
