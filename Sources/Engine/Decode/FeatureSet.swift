/// The instruction set extensions that a guest's CPUID offers.
///
/// Everything that every x86-64 processor has (x87, MMX, SSE, SSE2, CMOV, SYSCALL …) is not
/// listed: it is always there. A row whose feature is missing decodes as undefined.
package struct FeatureSet: OptionSet, BitwiseCopyable, Hashable, Sendable {
  package let rawValue: UInt64
  package init(rawValue: UInt64) { self.rawValue = rawValue }

  /// The set with one feature, by its place in the raw value.
  private init(bit: UInt64) { self.init(rawValue: 1 << bit) }

  /// What needs no feature; decoding adds it to every set.
  package static let always = FeatureSet(bit: 0)

  // SIMD
  package static let sse3 = FeatureSet(bit: 1)
  package static let ssse3 = FeatureSet(bit: 2)
  package static let sse41 = FeatureSet(bit: 3)
  package static let sse42 = FeatureSet(bit: 4)
  package static let aes = FeatureSet(bit: 5)
  package static let pclmulqdq = FeatureSet(bit: 6)
  package static let sha = FeatureSet(bit: 7)
  package static let avx = FeatureSet(bit: 8)
  package static let avx2 = FeatureSet(bit: 9)
  package static let fma = FeatureSet(bit: 10)
  package static let f16c = FeatureSet(bit: 11)

  // General registers
  package static let popcnt = FeatureSet(bit: 12)
  package static let lzcnt = FeatureSet(bit: 13)
  package static let bmi1 = FeatureSet(bit: 14)
  package static let bmi2 = FeatureSet(bit: 15)
  package static let adx = FeatureSet(bit: 16)
  package static let movbe = FeatureSet(bit: 17)
  package static let cmpxchg16b = FeatureSet(bit: 18)
  package static let rdrand = FeatureSet(bit: 19)
  package static let rdseed = FeatureSet(bit: 20)
  package static let rdpid = FeatureSet(bit: 21)
  package static let rdtscp = FeatureSet(bit: 22)
  package static let lahfLongMode = FeatureSet(bit: 23)

  // Processor state and caches
  package static let xsave = FeatureSet(bit: 24)
  package static let xsaveopt = FeatureSet(bit: 25)
  package static let xsavec = FeatureSet(bit: 26)
  package static let xsaves = FeatureSet(bit: 27)
  package static let fsgsbase = FeatureSet(bit: 28)
  package static let smap = FeatureSet(bit: 29)
  package static let invpcid = FeatureSet(bit: 30)
  package static let clflushopt = FeatureSet(bit: 31)
  package static let clwb = FeatureSet(bit: 32)
  package static let monitor = FeatureSet(bit: 33)

  /// Every feature that the tables know.
  package static let all = FeatureSet(rawValue: (1 << 34) - 1)
}
