internal import X86

extension Processor {
  /// Tells the engine that registers were replaced from outside: nothing that was derived from
  /// them may be used any more, and what the processor derives when it loads CR3 is derived anew.
  package func stateWasReplaced() {
    let isExtended = cpu.cr4.contains(.physicalAddressExtension)
    let isPaging = cpu.cr0.contains(.paging) && !cpu.efer.contains(.longModeActive)
    // Pointers that make no sense leave the old ones; the first access then faults.
    if isPaging && isExtended { _ = loadPageDirectoryPointers() }
    flushAllTranslations()
  }
}
