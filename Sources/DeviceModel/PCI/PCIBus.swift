import Synchronization

/// Where a machine leaves room for its PCI devices.
public struct PCIWindows: Hashable, Sendable {
  public var ports: Range<UInt64>
  public var memory: Range<UInt64>
  public var memory64: Range<UInt64>
  /// The configuration of every function, 4 KiB each, in the order of their addresses.
  public var configuration: Range<UInt64>

  public init(
    ports: Range<UInt64>, memory: Range<UInt64>, memory64: Range<UInt64>,
    configuration: Range<UInt64>
  ) {
    (self.ports, self.memory) = (ports, memory)
    (self.memory64, self.configuration) = (memory64, configuration)
  }
}

/// A machine's one PCI bus: the functions on it, and how the guest reaches their configuration.
public final class PCIBus: Sendable {
  private struct State {
    var functions = [PCIFunction?](repeating: nil, count: 256)
    /// The first free address of each window.
    var next: (ports: UInt64, memory: UInt64, memory64: UInt64)
  }

  public let windows: PCIWindows
  private let state: Mutex<State>
  private let buses: (ports: Bus, memory: Bus)
  private let interrupts: any InterruptLines
  private let messages: any MessageInterrupts

  /// The I/O APIC's inputs that pins lead to, none of which an ISA device has.
  public static let lines = 16..<24

  public init(
    _ windows: PCIWindows, buses: (ports: Bus, memory: Bus), interrupts: any InterruptLines,
    messages: any MessageInterrupts
  ) {
    self.windows = windows
    (self.buses, self.interrupts, self.messages) = (buses, interrupts, messages)
    state = Mutex(
      State(
        next: (windows.ports.lowerBound, windows.memory.lowerBound, windows.memory64.lowerBound)))
  }

  /// The global system interrupt of a device's pin (0 is INTA): each device begins at another line.
  public static func line(of device: UInt8, pin: Int) -> Int {
    lines.lowerBound + (Int(device) + pin) % lines.count
  }

  /// Adds a function at `address`, or in the first free device. `describe` is given the interrupts
  /// it can raise: a pin, unless `hasPin` says no, and as many messages as `vectors` says.
  public func add(
    at address: PCIAddress? = nil, hasPin: Bool = true, vectors: Int = 0,
    _ describe: (PCIInterrupts) throws(AttachError) -> PCIFunction.Description
  ) throws(AttachError) {
    let wanted = address ?? firstFree
    let line = interrupts.line(Self.line(of: wanted?.device ?? 0, pin: 0))
    let interrupts = PCIInterrupts(
      pin: hasPin ? PCIPin(line) : nil,
      messages: vectors > 0 ? MessageVectors(count: vectors, messages: messages) : nil)
    let description = try describe(interrupts)
    guard let address = wanted else {
      throw .badOption(name: description.name, problem: "all places of the PCI bus are taken")
    }
    let function = PCIFunction(description, interrupts: interrupts, buses: buses)
    let owner = state.withLock { state -> String? in
      if let owner = state.functions[address.index] { return owner.name }
      state.functions[address.index] = function
      return nil
    }
    if let owner {
      throw .badOption(
        name: description.name, problem: "PCI device \(address) is \(owner) already")
    }
    if address.function != 0 {
      function.setMultifunction()
      state.withLock { $0.functions[address.index & ~7] }?.setMultifunction()
    }
  }

  /// Device 0 is the host bridge, and the last one the bridge to ISA.
  private var firstFree: PCIAddress? {
    state.withLock { state in
      (1..<UInt8(31)).first { state.functions[Int($0) << 3] == nil }.map { PCIAddress(device: $0) }
    }
  }

  /// Every function and its address, in order.
  public var functions: [(address: PCIAddress, name: String)] {
    state.withLock { state in
      state.functions.enumerated().compactMap { index, function in
        function.map { (PCIAddress(index: UInt8(index)), $0.name) }
      }
    }
  }

  /// Puts every region somewhere, as firmware does; for guests that are started without any.
  public func assignAddresses() throws(AttachError) {
    for function in state.withLock({ $0.functions }) {
      guard let function else { continue }
      // The largest first, so that alignment wastes nothing.
      for region in function.regions.sorted(by: { $0.size > $1.size }) {
        guard let address = state.withLock({ take(region, from: &$0) }) else {
          throw .badOption(
            name: function.name, problem: "there is no room left for its registers")
        }
        function.place(region, at: address)
      }
    }
  }

  private func take(_ region: PCIRegion, from state: inout State) -> UInt64? {
    switch region.space {
    case .ports: Self.take(region.size, from: &state.next.ports, before: windows.ports.upperBound)
    case .memory:
      Self.take(region.size, from: &state.next.memory, before: windows.memory.upperBound)
    case .memory64:
      Self.take(region.size, from: &state.next.memory64, before: windows.memory64.upperBound)
    }
  }

  private static func take(
    _ size: UInt64, from next: inout UInt64, before end: UInt64
  ) -> UInt64? {
    let address = (next + size - 1) & ~(size - 1)
    guard address <= end, size <= end - address else { return nil }
    next = address + size
    return address
  }

  /// Every function back to its state after power-on.
  public func reset() {
    for function in state.withLock({ $0.functions }) { function?.reset() }
  }

  // MARK: Configuration

  /// Reads the configuration of a function; ones where there is none, or beyond its 256 bytes.
  func read(_ index: UInt8, _ offset: Int, width: AccessWidth) -> UInt64 {
    guard let function = function(index) else { return width.mask }
    // Beyond these are PCI Express's capabilities, of which there are none.
    guard offset + width.bytes <= ConfigurationSpace.size else { return 0 }
    return function.read(offset, width: width)
  }

  func write(_ index: UInt8, _ value: UInt64, width: AccessWidth, at offset: Int) {
    guard offset + width.bytes <= ConfigurationSpace.size else { return }
    function(index)?.write(value, width: width, at: offset)
  }

  private func function(_ index: UInt8) -> PCIFunction? {
    state.withLock { $0.functions[Int(index)] }
  }
}
