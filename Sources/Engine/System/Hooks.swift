/// What the translator's caches must do when the guest changes its address space.
extension Processor {
  /// Every cached translation of every address space is out of date.
  func flushAllTranslations() {}

  /// The current address space's translations, those of global pages apart, are out of date.
  func flushNonGlobalTranslations() {}

  /// The translations of one linear address, of global pages too, are out of date.
  func flushTranslation(of linear: UInt64) {}

  /// CR3 has been loaded; `keeping` the translations that the new address space still has.
  func switchAddressSpace(keeping: Bool) {
    if !keeping { flushNonGlobalTranslations() }
  }
}
