import Boot
import DeviceModel
import GuestMemory
import Host
import HostBackends

extension RunningMachine {
  /// Builds the machine that `configuration` describes, with its program in place.
  ///
  /// What the program writes to its console port goes to the output named `console`.
  public static func bare(
    _ configuration: BareConfiguration, on backend: Backend, connections: MachineConnections
  ) throws(MachineError) -> RunningMachine {
    let file = try configuration.read()
    let memory: GuestMemory
    do throws(SystemError) {
      memory = try GuestMemory(size: configuration.memory.bytes)
    } catch {
      throw .memory(error)
    }
    let shape = MachineShape(
      devices: configuration.hasStartInfo ? .thin : .bare, processors: 1)
    return try RunningMachine(shape, on: backend, memory: memory, connections: connections) {
      board throws(MachineError) in
      try file.withBytes { bytes throws(MachineError) in
        do throws(BareError) {
          return try configuration.place(bytes, in: memory, board.windows)
        } catch {
          throw .bare(error)
        }
      }
    }
  }
}

extension BareConfiguration {
  /// More than any program without an operating system has.
  private static let programLimit = 1 << 30

  fileprivate func read() throws(MachineError) -> FileContents {
    do throws(FileContents.Failure) {
      return try FileContents(path: program, limit: Self.programLimit)
    } catch {
      throw .file(.program, error)
    }
  }

  fileprivate func place(
    _ file: RawSpan, in memory: GuestMemory, _ windows: [DeviceWindow]
  ) throws(BareError) -> InitialProcessorState {
    let program = try BareProgram(file, at: address ?? (hasStartInfo ? MemoryMap.highMemory : 0))
    let devices = windows.map {
      StartInfo.Device(base: $0.range.lowerBound, interrupt: $0.interrupt)
    }
    return try program.place(
      file, in: memory, mode: mode ?? (hasStartInfo ? .protected : program.usualMode),
      start: start, devices: hasStartInfo ? devices : nil)
  }
}
