/// KVM's requests, by the kernel's names and numbers. A test compares them with the kernel's header.
public enum KVMRequest: UInt, Hashable, Sendable, CaseIterable {
  // Of the system
  case KVM_GET_API_VERSION = 0xae00
  case KVM_CREATE_VM = 0xae01
  case KVM_GET_MSR_INDEX_LIST = 0xc004ae02
  case KVM_CHECK_EXTENSION = 0xae03
  case KVM_GET_VCPU_MMAP_SIZE = 0xae04
  case KVM_GET_SUPPORTED_CPUID = 0xc008ae05
  case KVM_GET_EMULATED_CPUID = 0xc008ae09
  case KVM_GET_MSR_FEATURE_INDEX_LIST = 0xc004ae0a
  case KVM_X86_GET_MCE_CAP_SUPPORTED = 0x8008ae9d
  case KVM_GET_SUPPORTED_HV_CPUID = 0xc008aec1

  // Of a machine
  case KVM_CREATE_VCPU = 0xae41
  case KVM_GET_DIRTY_LOG = 0x4010ae42
  case KVM_SET_NR_MMU_PAGES = 0xae44
  case KVM_GET_NR_MMU_PAGES = 0xae45
  case KVM_SET_USER_MEMORY_REGION = 0x4020ae46
  case KVM_SET_TSS_ADDR = 0xae47
  case KVM_SET_IDENTITY_MAP_ADDR = 0x4008ae48
  case KVM_SET_USER_MEMORY_REGION2 = 0x40a0ae49
  case KVM_CREATE_IRQCHIP = 0xae60
  case KVM_IRQ_LINE = 0x4008ae61
  case KVM_GET_IRQCHIP = 0xc208ae62
  case KVM_SET_IRQCHIP = 0x8208ae63
  case KVM_CREATE_PIT = 0xae64
  case KVM_GET_PIT = 0xc048ae65
  case KVM_SET_PIT = 0x8048ae66
  case KVM_IRQ_LINE_STATUS = 0xc008ae67
  case KVM_REGISTER_COALESCED_MMIO = 0x4010ae67
  case KVM_UNREGISTER_COALESCED_MMIO = 0x4010ae68
  case KVM_SET_GSI_ROUTING = 0x4008ae6a
  case KVM_REINJECT_CONTROL = 0xae71
  case KVM_IRQFD = 0x4020ae76
  case KVM_CREATE_PIT2 = 0x4040ae77
  case KVM_SET_BOOT_CPU_ID = 0xae78
  case KVM_IOEVENTFD = 0x4040ae79
  case KVM_SET_CLOCK = 0x4030ae7b
  case KVM_GET_CLOCK = 0x8030ae7c
  case KVM_GET_PIT2 = 0x8070ae9f
  case KVM_SET_PIT2 = 0x4070aea0
  case KVM_SIGNAL_MSI = 0x4020aea5
  case KVM_HYPERV_EVENTFD = 0x4018aebd
  case KVM_CLEAR_DIRTY_LOG = 0xc018aec0
  case KVM_X86_SET_MSR_FILTER = 0x4188aec6
  case KVM_RESET_DIRTY_RINGS = 0xaec7
  case KVM_CREATE_DEVICE = 0xc00caee0

  // Of a processor
  case KVM_RUN = 0xae80
  case KVM_GET_REGS = 0x8090ae81
  case KVM_SET_REGS = 0x4090ae82
  case KVM_GET_SREGS = 0x8138ae83
  case KVM_SET_SREGS = 0x4138ae84
  case KVM_TRANSLATE = 0xc018ae85
  case KVM_INTERRUPT = 0x4004ae86
  case KVM_GET_MSRS = 0xc008ae88
  case KVM_SET_MSRS = 0x4008ae89
  case KVM_SET_CPUID = 0x4008ae8a
  case KVM_SET_SIGNAL_MASK = 0x4004ae8b
  case KVM_GET_FPU = 0x81a0ae8c
  case KVM_SET_FPU = 0x41a0ae8d
  case KVM_GET_LAPIC = 0x8400ae8e
  case KVM_SET_LAPIC = 0x4400ae8f
  case KVM_SET_CPUID2 = 0x4008ae90
  case KVM_GET_CPUID2 = 0xc008ae91
  case KVM_TPR_ACCESS_REPORTING = 0xc028ae92
  case KVM_SET_VAPIC_ADDR = 0x4008ae93
  case KVM_GET_MP_STATE = 0x8004ae98
  case KVM_SET_MP_STATE = 0x4004ae99
  case KVM_NMI = 0xae9a
  case KVM_SET_GUEST_DEBUG = 0x4048ae9b
  case KVM_X86_SETUP_MCE = 0x4008ae9c
  case KVM_X86_SET_MCE = 0x4040ae9e
  case KVM_GET_VCPU_EVENTS = 0x8040ae9f
  case KVM_SET_VCPU_EVENTS = 0x4040aea0
  case KVM_GET_DEBUGREGS = 0x8080aea1
  case KVM_SET_DEBUGREGS = 0x4080aea2
  case KVM_GET_XSAVE = 0x9000aea4
  case KVM_SET_XSAVE = 0x5000aea5
  case KVM_GET_XCRS = 0x8188aea6
  case KVM_SET_XCRS = 0x4188aea7
  case KVM_GET_TSC_KHZ = 0xaea3
  case KVM_SET_TSC_KHZ = 0xaea2
  case KVM_KVMCLOCK_CTRL = 0xaead
  case KVM_SMI = 0xaeb7
  case KVM_GET_NESTED_STATE = 0xc080aebe
  case KVM_SET_NESTED_STATE = 0x4080aebf
  case KVM_GET_SREGS2 = 0x8140aecc
  case KVM_SET_SREGS2 = 0x4140aecd
  case KVM_GET_XSAVE2 = 0x9000aecf

  // Of more than one kind of file
  case KVM_ENABLE_CAP = 0x4068aea3
  case KVM_GET_STATS_FD = 0xaece
  case KVM_SET_DEVICE_ATTR = 0x4018aee1
  case KVM_GET_DEVICE_ATTR = 0x4018aee2
  case KVM_HAS_DEVICE_ATTR = 0x4018aee3

  /// As the kernel's header spells it.
  public var name: String { "\(self)" }
}
