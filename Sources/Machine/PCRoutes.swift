import KVM

extension [InterruptRoute] {
  /// What a PC wires and its ACPI tables say: the timer's interrupt 0 is the I/O APIC's input 2,
  /// every other one the input of its number; below 16 they are the PICs' too, whose input 2 is
  /// taken by the second PIC.
  static var personalComputer: Self {
    standard.compactMap { route in
      switch route.destination {
      case .pin(.ioAPIC, _) where route.line == 0: InterruptRoute(0, .pin(.ioAPIC, 2))
      case .pin where route.line == 2: nil
      default: route
      }
    }
  }
}
