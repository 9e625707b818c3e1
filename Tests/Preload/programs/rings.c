// The ring of dirty pages, and a processor that waits to be started.
#include <pthread.h>
#include <signal.h>

#include "guest.h"

enum { RING = 4096, PLACES = RING / sizeof(struct kvm_dirty_gfn), PAGES = 0xe0 };

static int enable(int machine, uint64_t size) {
  struct kvm_enable_cap wanted = {.cap = KVM_CAP_DIRTY_LOG_RING, .args = {size}};
  return ioctl(machine, KVM_ENABLE_CAP, &wanted);
}

static void test_rules(void) {
  struct guest guest = make_machine(open_device());
  CHECK(ioctl(guest.machine, KVM_CHECK_EXTENSION, KVM_CAP_DIRTY_LOG_RING) == 1 << 20);
  REFUSED(ioctl(guest.machine, KVM_RESET_DIRTY_RINGS, 0), EINVAL);
  REFUSED(enable(guest.machine, 0), EINVAL);
  REFUSED(enable(guest.machine, 2048), EINVAL);
  REFUSED(enable(guest.machine, 0x3000), EINVAL);
  REFUSED(enable(guest.machine, 2 << 20), E2BIG);
  CHECK(enable(guest.machine, RING) == 0);
  REFUSED(enable(guest.machine, RING), EINVAL);
  uint64_t bits[16];
  struct kvm_dirty_log log = {.dirty_bitmap = bits};
  REFUSED(ioctl(guest.machine, KVM_GET_DIRTY_LOG, &log), ENXIO);
  struct kvm_clear_dirty_log clear = {.num_pages = 16, .dirty_bitmap = bits};
  REFUSED(ioctl(guest.machine, KVM_CLEAR_DIRTY_LOG, &clear), ENXIO);
  make_cpu(&guest, halting, sizeof halting);
  off_t offset = KVM_DIRTY_LOG_PAGE_OFFSET * 4096;
  CHECK(mmap(NULL, RING, PROT_READ, MAP_PRIVATE, guest.cpu, offset) == MAP_FAILED);
  CHECK(mmap(NULL, RING, PROT_READ | PROT_EXEC, MAP_SHARED, guest.cpu, offset) == MAP_FAILED);

  struct guest late = make_machine(open_device());
  make_cpu(&late, halting, sizeof halting);
  REFUSED(enable(late.machine, RING), EINVAL);
}

/// Takes what is in the ring from a place on; each page is to be the one after the last.
static unsigned collect(struct kvm_dirty_gfn *ring, unsigned from, uint64_t *page) {
  unsigned place = from;
  while (__atomic_load_n(&ring[place % PLACES].flags, __ATOMIC_ACQUIRE) == 1) {
    struct kvm_dirty_gfn *entry = &ring[place++ % PLACES];
    if (entry->slot == 1) CHECK(entry->offset == (*page)++);
    entry->flags = 2;
  }
  return place;
}

/// A guest that writes to one page after another, more than its ring has places for.
static void test_full(void) {
  // mov $0x2000, %ax; 1: mov %ax, %ds; mov %al, 0; out %al, $0x10; add $0x100, %ax; jnc 1b; hlt
  static const uint8_t code[] = {0xb8, 0, 0x20, 0x8e, 0xd8, 0xa2, 0,    0,
                                 0xe6, 0x10, 0x05, 0, 1, 0x73, 0xf4, 0xf4};
  struct guest guest = make_machine(open_device());
  CHECK(enable(guest.machine, RING) == 0);
  make_cpu(&guest, code, sizeof code);
  struct kvm_dirty_gfn *ring = mmap(NULL, RING, PROT_READ | PROT_WRITE, MAP_SHARED, guest.cpu,
                                    KVM_DIRTY_LOG_PAGE_OFFSET * 4096);
  CHECK(ring != MAP_FAILED);
  uint8_t *memory = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct kvm_userspace_memory_region slot = {
      .slot = 1, .flags = KVM_MEM_LOG_DIRTY_PAGES, .guest_phys_addr = 0x20000,
      .memory_size = PAGES * 4096, .userspace_addr = (uintptr_t)memory};
  CHECK(ioctl(guest.machine, KVM_SET_USER_MEMORY_REGION, &slot) == 0);
  unsigned place = 0, resets = 0;
  uint64_t page = 0;
  while (ioctl(guest.cpu, KVM_RUN, 0) == 0 && guest.run->exit_reason != KVM_EXIT_HLT) {
    if (guest.run->exit_reason == KVM_EXIT_IO) continue;
    CHECK(guest.run->exit_reason == KVM_EXIT_DIRTY_RING_FULL);
    // It stays full until it is reset.
    CHECK(ioctl(guest.cpu, KVM_RUN, 0) == 0);
    CHECK(guest.run->exit_reason == KVM_EXIT_DIRTY_RING_FULL);
    unsigned before = place;
    place = collect(ring, place, &page);
    CHECK(place - before <= PLACES);
    CHECK(ioctl(guest.machine, KVM_RESET_DIRTY_RINGS, 0) == (int)(place - before));
    resets++;
  }
  CHECK(guest.run->exit_reason == KVM_EXIT_HLT && resets > 0);
  place = collect(ring, place, &page);
  CHECK(page == PAGES);
}

static void nothing(int signal) { (void)signal; }

static pthread_t waiting;

/// Ends the wait of the main thread, again and again.
static void *nudge(void *unused) {
  while (1) {
    usleep(20000);
    pthread_kill(waiting, SIGUSR1);
  }
  return unused;
}

/// KVM_RUN of a second processor waits for INIT; that ends it with EAGAIN.
static void test_startup(void) {
  struct guest guest = make_machine(open_device());
  CHECK(ioctl(guest.machine, KVM_CREATE_IRQCHIP, 0) == 0);
  make_cpu(&guest, halting, sizeof halting);
  int second = ioctl(guest.machine, KVM_CREATE_VCPU, 1);
  CHECK(second >= 0);
  struct sigaction action = {.sa_handler = nothing};
  CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
  waiting = pthread_self();
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, nudge, NULL) == 0);
  REFUSED(ioctl(second, KVM_RUN, 0), EINTR);
  // INIT by a message to all.
  struct kvm_msi message = {.address_lo = 0xfeeff000, .data = 0x4500};
  CHECK(ioctl(guest.machine, KVM_SIGNAL_MSI, &message) > 0);
  REFUSED(ioctl(second, KVM_RUN, 0), EAGAIN);
  struct kvm_mp_state state;
  CHECK(ioctl(second, KVM_GET_MP_STATE, &state) == 0);
  CHECK(state.mp_state == KVM_MP_STATE_INIT_RECEIVED);
  REFUSED(ioctl(second, KVM_RUN, 0), EINTR);
}

int main(void) {
  test_rules();
  test_full();
  test_startup();
  return 0;
}
