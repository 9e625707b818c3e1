// Random ioctls: fuzz [SEED [COUNT]]. Numbers, sizes, pointers and descriptors are anything; each
// call must come back with KVM's kind of answer, and touch nothing but what it was given.
#include "guest.h"

#include <signal.h>
#include <sys/time.h>
#include <time.h>

enum { BUFFER = 1 << 16, CANARY = 4096, FILES = 48 };

static uint64_t state;
static int files[FILES];
static struct guest machines[4];
static uint8_t *buffer;
static char *unreadable, *readable, *edge;

static uint64_t next(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}
static uint64_t below(uint64_t limit) { return next() % limit; }

static const unsigned long requests[] = {
    KVM_GET_API_VERSION, KVM_CREATE_VM, KVM_GET_MSR_INDEX_LIST, KVM_CHECK_EXTENSION,
    KVM_GET_VCPU_MMAP_SIZE, KVM_GET_SUPPORTED_CPUID, KVM_GET_EMULATED_CPUID,
    KVM_GET_MSR_FEATURE_INDEX_LIST, KVM_X86_GET_MCE_CAP_SUPPORTED, KVM_GET_SUPPORTED_HV_CPUID,
    KVM_CREATE_VCPU, KVM_GET_DIRTY_LOG, KVM_SET_NR_MMU_PAGES, KVM_GET_NR_MMU_PAGES,
    KVM_SET_USER_MEMORY_REGION, KVM_SET_TSS_ADDR, KVM_SET_IDENTITY_MAP_ADDR, KVM_CREATE_IRQCHIP,
    KVM_IRQ_LINE, KVM_GET_IRQCHIP, KVM_SET_IRQCHIP, KVM_CREATE_PIT, KVM_GET_PIT, KVM_SET_PIT,
    KVM_IRQ_LINE_STATUS, KVM_REGISTER_COALESCED_MMIO, KVM_UNREGISTER_COALESCED_MMIO,
    KVM_SET_GSI_ROUTING, KVM_REINJECT_CONTROL, KVM_IRQFD, KVM_CREATE_PIT2, KVM_SET_BOOT_CPU_ID,
    KVM_IOEVENTFD, KVM_SET_CLOCK, KVM_GET_CLOCK, KVM_GET_PIT2, KVM_SET_PIT2, KVM_SIGNAL_MSI,
    KVM_HYPERV_EVENTFD, KVM_CLEAR_DIRTY_LOG, KVM_X86_SET_MSR_FILTER, KVM_RESET_DIRTY_RINGS,
    KVM_CREATE_DEVICE, KVM_RUN,
    KVM_GET_REGS, KVM_SET_REGS, KVM_GET_SREGS, KVM_SET_SREGS, KVM_TRANSLATE, KVM_INTERRUPT,
    KVM_GET_MSRS, KVM_SET_MSRS, KVM_SET_CPUID, KVM_SET_SIGNAL_MASK, KVM_GET_FPU, KVM_SET_FPU,
    KVM_GET_LAPIC, KVM_SET_LAPIC, KVM_SET_CPUID2, KVM_GET_CPUID2, KVM_TPR_ACCESS_REPORTING,
    KVM_SET_VAPIC_ADDR, KVM_GET_MP_STATE, KVM_SET_MP_STATE, KVM_NMI, KVM_SET_GUEST_DEBUG,
    KVM_X86_SETUP_MCE, KVM_X86_SET_MCE, KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS,
    KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, KVM_GET_XSAVE, KVM_SET_XSAVE, KVM_GET_XCRS,
    KVM_SET_XCRS, KVM_GET_TSC_KHZ, KVM_SET_TSC_KHZ, KVM_KVMCLOCK_CTRL, KVM_SMI,
    KVM_GET_NESTED_STATE, KVM_SET_NESTED_STATE, KVM_GET_SREGS2, KVM_SET_SREGS2, KVM_GET_XSAVE2,
    KVM_ENABLE_CAP, KVM_GET_STATS_FD, KVM_SET_DEVICE_ATTR, KVM_GET_DEVICE_ATTR,
    KVM_HAS_DEVICE_ATTR,
};
enum { REQUESTS = sizeof requests / sizeof *requests };

static unsigned long any_request(void) {
  unsigned long request = requests[below(REQUESTS)];
  switch (below(16)) {
    case 0: return (KVMIO << 8) | (next() & 0xffff00ff);
    case 1: return request ^ (1UL << below(32));
    default: return request;
  }
}

static uint64_t any_number(void) {
  switch (below(6)) {
    case 0: return below(8);
    case 1: return next();
    case 2: return next() & 0xffffffff;
    case 3: return 1ULL << below(64);
    case 4: return below(MEMORY);
    default: return ~below(1 << 16);
  }
}

static void fill(uint8_t *bytes, size_t size) {
  if (below(2)) memset(bytes, 0, size);
  for (uint64_t i = below(24); i > 0; i--) {
    uint64_t value = any_number();
    memcpy(bytes + (below(size - 8) & ~3UL), &value, 1 << below(4));
  }
}

/// What a call is given: memory it may use, memory it may not, or no address at all.
static uintptr_t any_argument(void) {
  switch (below(8)) {
    case 0: return any_number();
    case 1: return (uintptr_t)unreadable + below(4096);
    case 2: return (uintptr_t)readable + below(4096);
    case 3: return (uintptr_t)edge - below(600);
    default: fill(buffer, below(4) ? 256 : BUFFER); return (uintptr_t)buffer;
  }
}

static void remake(int index) {
  struct guest *guest = &machines[index];
  if (guest->run != NULL) CHECK(munmap(guest->run, guest->run_size) == 0);
  for (int i = 0; i < FILES / 4; i++) {
    int *file = &files[index * FILES / 4 + i];
    if (*file > 2) close(*file);
    *file = -1;
  }
  if (guest->memory == NULL)
    guest->memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  uint8_t *memory = guest->memory;
  *guest = make_machine(open_device());
  munmap(guest->memory, MEMORY);
  guest->memory = memory;
  struct kvm_userspace_memory_region slot = {
      .memory_size = MEMORY, .userspace_addr = (uintptr_t)memory};
  struct kvm_userspace_memory_region none = {0};
  CHECK(ioctl(guest->machine, KVM_SET_USER_MEMORY_REGION, &none) == 0);
  CHECK(ioctl(guest->machine, KVM_SET_USER_MEMORY_REGION, &slot) == 0);
  if (below(2)) CHECK(ioctl(guest->machine, KVM_CREATE_IRQCHIP, 0) == 0);
  for (int i = 0; i < 64; i++) guest->memory[i] = (uint8_t)next();
  uint8_t code[64];
  memcpy(code, guest->memory, sizeof code);
  make_cpu(guest, code, sizeof code);
  int *file = &files[index * FILES / 4];
  file[0] = guest->device;
  file[1] = guest->machine;
  file[2] = guest->cpu;
}

static int any_file(void) {
  switch (below(32)) {
    case 0: return (int)below(64) - 1;
    case 1: return files[below(FILES)];
    default: return files[below(4) * FILES / 4 + below(3)];
  }
}

/// A call may make a descriptor, which is kept for a while.
static void keep(unsigned long request, int result) {
  int makes = request == KVM_CREATE_VM || request == KVM_CREATE_VCPU || request == KVM_GET_STATS_FD;
  if (!makes || result < 3) return;
  int *place = &files[below(4) * FILES / 4 + 3 + below(FILES / 4 - 3)];
  if (*place > 2) close(*place);
  *place = result;
}

static unsigned long long done;
static void out_of_time(int number) {
  (void)number;
  // One tick ends a run; many without a call's end are a hang.
  static unsigned long long last, ticks;
  ticks = last == done ? ticks + 1 : 0;
  last = done;
  if (ticks > 2000) {
    static const char text[] = "a call does not come back\n";
    if (write(2, text, sizeof text - 1)) {}
    _exit(1);
  }
}

static void watch(void) {
  struct sigaction action = {.sa_handler = out_of_time, .sa_flags = SA_RESTART};
  CHECK(sigaction(SIGALRM, &action, NULL) == 0);
  struct itimerval timer = {{0, 5000}, {0, 5000}};
  CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

static void make_buffers(void) {
  uint8_t *room = mmap(NULL, BUFFER + 2 * CANARY, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memset(room, 0xc5, BUFFER + 2 * CANARY);
  buffer = room + CANARY;
  unreadable = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  readable = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  char *pair = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(mprotect(pair + 4096, 4096, PROT_NONE) == 0);
  edge = pair + 4096;
}

static void check_canaries(void) {
  for (int i = 0; i < CANARY; i++) CHECK(buffer[-1 - i] == 0xc5 && buffer[BUFFER + i] == 0xc5);
}

int main(int count, char **arguments) {
  uint64_t seed = count > 1 ? strtoull(arguments[1], NULL, 0) : (uint64_t)time(NULL);
  unsigned long long calls = count > 2 ? strtoull(arguments[2], NULL, 0) : 1000000;
  int is_loud = getenv("FUZZ_TRACE") != NULL;
  printf("seed %llu\n", (unsigned long long)seed);
  fflush(stdout);
  state = seed * 0x9e3779b97f4a7c15 | 1;
  for (int i = 0; i < FILES; i++) files[i] = -1;
  make_buffers();
  for (int i = 0; i < 4; i++) remake(i);
  watch();
  unsigned long long succeeded = 0;
  for (done = 0; done < calls; done++) {
    if (below(5000) == 0) remake((int)below(4));
    int file = any_file();
    unsigned long request = any_request();
    uintptr_t argument = request == KVM_RUN && below(8) ? 0 : any_argument();
    if (is_loud) fprintf(stderr, "%llu: ioctl(%d, %#lx, %#lx)\n", done, file, request, argument);
    errno = 0;
    int result = ioctl(file, request, argument);
    if (result < -1 || (result < 0 && (errno <= 0 || errno >= 134))) {
      fprintf(stderr, "call %llu: ioctl(%d, %#lx, %#lx) = %d\n", done, file, request, argument, result);
      exit(1);
    }
    succeeded += result >= 0;
    if (result >= 0) keep(request, result);
    if (done % 1024 == 0) check_canaries();
  }
  check_canaries();
  printf("%llu calls, %llu without an error\n", calls, succeeded);
  return 0;
}
