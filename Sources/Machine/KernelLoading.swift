public import Boot
public import GuestMemory
import HostBackends

extension KernelImage {
  /// Puts the kernel of `file` into `memory`, ready to start.
  ///
  /// A compressed kernel is unpacked here, at the host's speed; only what the host cannot unpack is
  /// left to the guest's own decompressor.
  public static func place(
    _ file: RawSpan, in memory: GuestMemory
  ) throws(MachineError) -> PlacedKernel {
    let image: KernelImage
    do throws(KernelImageError) {
      image = try identify(file)
    } catch {
      throw .kernel(error)
    }
    switch image {
    case .elf(let kernel):
      do throws(ELFLoader.Failure) {
        return try kernel.place(file, in: memory)
      } catch {
        throw MachineError(error)
      }
    case .bzImage(let kernel):
      if let unpacked = try kernel.placeUnpacked(file, in: memory) { return unpacked }
      do throws(BootError) {
        return try kernel.place(file, in: memory)
      } catch {
        throw .boot(error)
      }
    }
  }
}

extension BzImage {
  /// Unpacks the kernel into `memory`; `nil` when the guest has to do it.
  fileprivate func placeUnpacked(
    _ file: RawSpan, in memory: GuestMemory
  ) throws(MachineError) -> PlacedKernel? {
    guard let range = payload else { return nil }
    let stream = file.extracting(range)
    guard let payload = KernelPayload(stream) else { return nil }
    var loader = ELFLoader(fileSize: UInt64(payload.size), memory: memory)
    var failure: ELFLoader.Failure?
    do throws(KernelPayload.Failure) {
      try payload.unpack(stream) { piece in
        do throws(ELFLoader.Failure) {
          try loader.take(piece)
          return true
        } catch {
          failure = error
          return false
        }
      }
    } catch {
      // A damaged stream is the guest's to report: its decompressor says where.
      guard let failure, case .memory = failure else { return nil }
      throw MachineError(failure)
    }
    return try? loader.finish(header: header)
  }
}

extension MachineError {
  fileprivate init(_ failure: ELFLoader.Failure) {
    switch failure {
    case .image(let error): self = .kernel(error)
    case .memory(let error): self = .boot(error)
    }
  }
}
