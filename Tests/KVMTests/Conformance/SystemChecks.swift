import Glibc
import KVM
import Testing

extension Check where Backend: InquirableHypervisor {
  static var system: [Check] {
    [
      Check("the interface is the stable one, and shares pages") { backend in
        #expect(backend.interfaceVersion == 12)
        #expect(backend.sharedSize >= 3 * 4096 && backend.sharedSize % 4096 == 0)
      },
      Check("what every program asks for is there") { backend in
        let wanted: [Capability] = [
          .userMemory, .setTSSAddress, .setIdentityMapAddress, .extendedCPUID, .mpState, .irqchip,
          .irqRouting, .hlt, .pit2, .vcpuEvents, .debugRegisters, .xsave, .xcrs, .adjustClock,
          .destroyMemoryRegionWorks, .joinMemoryRegionsWorks, .syncMMU, .coalescedMMIO, .ioeventfd,
          .irqfd, .signalMSI, .immediateExit, .setGuestDebug, .enableCap, .checkExtensionVM,
          .readonlyMemory, .numberVCPUs, .maxVCPUs, .numberMemorySlots, .splitIrqchip,
        ]
        for capability in wanted { #expect(backend.check(capability) > 0, "\(capability)") }
      },
      Check("the lists of registers have no doubles") { backend in
        let (state, features) = (try backend.modelSpecificNumbers(), try backend.featureNumbers())
        #expect(state.count > 10 && Set(state).count == state.count)
        #expect(Set(features).count == features.count)
        #expect(try backend.features(features).map(\.number) == features)
        #expect(try backend.features([0xdead_0000]).isEmpty)
      },
      Check("CPUID begins with its first leaf") { backend in
        let (supported, emulated) = (try backend.supportedCPUID(), try backend.emulatedCPUID())
        #expect(supported.contains { $0.leaf == 0 && $0.eax > 0 })
        #expect(emulated.count < 64)
      },
      Check("the state components that guests can have include SSE") { backend in
        guard backend.check(.sysAttributes) > 0 else {
          throw Lacking(sentence: "no attributes of the system")
        }
        #expect(backend.has(.guestStateComponents))
        #expect(try backend.value(of: .guestStateComponents) & 3 == 3)
        let unknown = DeviceAttribute(group: 77, number: 1)
        #expect(!backend.has(unknown))
        #expect(refusal { _ = try backend.value(of: unknown) } == ENXIO)
      },
    ]
  }
}
