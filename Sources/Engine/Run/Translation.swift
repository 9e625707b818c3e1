internal import Host

/// Everything that translating takes: caches, tables, thunks, and room for a block in the making.
@safe
final class Translation {
  let store: BlockStore
  let sites: SiteStore
  let thunks: Thunks
  let instructions: UnsafeMutablePointer<Instruction>
  let liveFlags: UnsafeMutablePointer<ArithmeticFlags>
  let cold: UnsafeMutablePointer<ColdStub>
  private let groups: AccessGroups
  /// The guest's bytes that are being translated.
  let copy: UnsafeMutablePointer<UInt8>
  private let tables: Mapping
  private let siteMemory: Mapping
  private let scratch: Mapping

  init(isProfiled: Bool) throws(SystemError) {
    tables = try Mapping(anonymous: BlockStore.memorySize)
    siteMemory = try Mapping(anonymous: SiteStore.memorySize)
    scratch = try Mapping(anonymous: 1 << 18)
    let cache = try CodeCache()
    store = BlockStore(cache: cache, memory: tables)
    sites = SiteStore(memory: siteMemory)
    let base = unsafe scratch.base
    unsafe instructions = base.bindMemory(to: Instruction.self, capacity: BlockTranslator.limit)
    unsafe liveFlags = (base + 0x20000).bindMemory(
      to: ArithmeticFlags.self, capacity: BlockTranslator.limit)
    unsafe cold = (base + 0x21000).bindMemory(
      to: ColdStub.self, capacity: BlockTranslator.coldLimit)
    unsafe groups = AccessGroups(memory: base + 0x3e000)
    unsafe copy = (base + 0x3f000).bindMemory(
      to: UInt8.self, capacity: BlockTranslator.longest + 16)
    thunks = Thunks(into: store, isProfiled: isProfiled)
    try cache.armFaultHandler(thunks)
  }

  deinit { store.cache.disarmFaultHandler(thunks) }

  /// Translates and enters a block; `nil` when its first instruction is not wholly there.
  func translate(_ source: BlockSource) -> Int32? {
    let start = unsafe store.cache.write(at: store.count.cursor)
    var translator = unsafe BlockTranslator(
      writer: CodeWriter(at: start), store: store, thunks: thunks, sites: sites, source: source,
      instructions: instructions, liveFlags: liveFlags, cold: cold, groups: groups)
    return translator.translate()
  }

  var isFull: Bool { store.isFull || sites.isFull }

  func reset() {
    store.reset()
    sites.reset()
  }
}
