extension Processor {
  /// Tells the engine that registers were replaced from outside: nothing that was derived from
  /// them may be used any more, and what the processor derives when it loads CR3 is derived anew.
  package func stateWasReplaced() {
    inside {
      // Pointers that make no sense leave the old ones; the first access then faults.
      if cpu.usesPageDirectoryPointers { _ = loadPageDirectoryPointers() }
      cpu.segmentsChanged = 1
      flushAllTranslations()
    }
  }
}
