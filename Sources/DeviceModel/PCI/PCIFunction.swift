import Synchronization

/// One function of a PCI device: its configuration, and the regions in which it answers.
///
/// The device behind it knows only its ``PCIInterrupts``.
///
/// Lock order: a function's configuration, then the device, then its pin or messages.
public final class PCIFunction: Sendable {
  /// What a device asks for.
  public struct Description: Sendable {
    /// For messages to people.
    public var name: String
    public var identity: PCIIdentity
    public var regions: [PCIRegion] = []
    public var capabilities: [PCICapability] = []
    /// The base address register of the messages' table, if the device has messages.
    public var messageRegion = 1

    public init(_ name: String, _ identity: PCIIdentity) {
      (self.name, self.identity) = (name, identity)
    }
  }

  private struct State {
    var configuration: ConfigurationSpace
    /// Where regions answer now, by their number.
    var mapped: [Int: UInt64] = [:]
  }

  public let name: String
  let regions: [PCIRegion]
  private let capabilities: [(start: Int, capability: PCICapability)]
  private let state: Mutex<State>
  private let interrupts: PCIInterrupts
  private let buses: (ports: Bus, memory: Bus)

  init(
    _ description: Description, interrupts: PCIInterrupts, buses: (ports: Bus, memory: Bus)
  ) {
    name = description.name
    (self.interrupts, self.buses) = (interrupts, buses)
    var (regions, capabilities) = (description.regions, description.capabilities)
    if let messages = interrupts.messages {
      let number = description.messageRegion
      regions.append(PCIRegion(number, .memory, size: messages.regionSize, slot: messages))
      capabilities.insert(messages.capability(region: number), at: 0)
    }
    self.regions = regions
    var configuration = ConfigurationSpace(
      description.identity, regions: regions, pin: interrupts.pin == nil ? 0 : 1)
    let places = configuration.add(capabilities)
    self.capabilities = Array(zip(places, capabilities))
    state = Mutex(State(configuration: configuration))
  }

  func setMultifunction() { state.withLock { $0.configuration.setMultifunction() } }

  /// Back to the state after power-on: the function answers in its configuration only.
  func reset() {
    state.withLock { state in
      state.configuration.reset()
      remap(&state)
    }
    interrupts.messages?.reset()
    interrupts.pin?.setDisabled(false)
  }

  /// Puts a region somewhere, and has it answer there.
  func place(_ region: PCIRegion, at address: UInt64) {
    state.withLock { state in
      state.configuration.setBase(of: region, to: address)
      remap(&state)
    }
  }

  // MARK: Configuration

  /// `offset` and `width` stay within one aligned double word.
  func read(_ offset: Int, width: AccessWidth) -> UInt64 {
    state.withLock { state in
      let accessed = offset..<offset + width.bytes
      call(capabilitiesAt: accessed, isWrite: false, &state)
      var value = state.configuration.read(offset, width: width)
      if accessed.contains(ConfigurationSpace.Field.status), interrupts.pin?.isAsserted == true {
        let shift = UInt64(8 * (ConfigurationSpace.Field.status - offset))
        value |= UInt64(ConfigurationSpace.Status.interrupt) << shift
      }
      return value
    }
  }

  func write(_ value: UInt64, width: AccessWidth, at offset: Int) {
    state.withLock { state in
      state.configuration.write(value, width: width, at: offset)
      let written = offset..<offset + width.bytes
      typealias Field = ConfigurationSpace.Field
      if written.overlaps(Field.command..<Field.status) {
        let command = state.configuration.command
        interrupts.pin?.setDisabled(command & ConfigurationSpace.Command.noInterruptPin != 0)
        remap(&state)
      } else if written.overlaps(Field.baseAddresses..<Field.baseAddresses + 24) {
        remap(&state)
      }
      call(capabilitiesAt: written, isWrite: true, &state)
    }
  }

  /// Has the capabilities know whose bytes are being accessed.
  private func call(capabilitiesAt range: Range<Int>, isWrite: Bool, _ state: inout State) {
    for (start, capability) in capabilities {
      guard let whenAccessed = capability.whenAccessed,
        range.overlaps(
          start + capability.accessed.lowerBound..<start + capability.accessed.upperBound)
      else { continue }
      let body = start..<start + capability.body.count
      state.configuration.change(body) { whenAccessed(&$0, isWrite) }
    }
  }

  /// Has each region answer where the guest wants it. One that would lie over another device
  /// answers nowhere until the guest moves it.
  private func remap(_ state: inout State) {
    for region in regions {
      let wanted = state.configuration.base(of: region)
      if state.mapped[region.number] == wanted { continue }
      let bus = region.space == .ports ? buses.ports : buses.memory
      if let old = state.mapped.removeValue(forKey: region.number) { bus.detach(at: old) }
      guard let wanted else { continue }
      let range = wanted..<wanted + region.size
      if (try? bus.attach(region.slot, named: name, at: range)) != nil {
        state.mapped[region.number] = wanted
      }
    }
  }
}
