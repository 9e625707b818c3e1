/* A guest of the thin machine: finds the entropy device in the device map, drives its queue, sleeps
 * until its interrupt, and prints the random bytes.
 *
 * Build: gcc -m32 -Os -ffreestanding -fno-pic -mgeneral-regs-only -nostdlib -static
 *        -Wl,-z,noseparate-code -Wl,-Ttext-segment=0x100000 -Wl,--build-id=none -o rng rng.c
 * Run:   apus bare --start-info rng
 * Prints the memory map, the device map, "random bytes:" and 32 bytes in hexadecimal; status 0.
 */
#include <stdint.h>

#include "start_info.h"

/* Console and exit. */

static void outb(uint16_t port, uint8_t value) {
  __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static void print(const char *text) {
  while (*text) outb(0xe9, *text++);
}

static void print_hex(uint32_t value, int digits) {
  while (digits-- > 0) outb(0xe9, "0123456789abcdef"[value >> (digits * 4) & 15]);
}

__attribute__((noreturn)) static void leave(uint8_t status) {
  outb(0xf4, status);
  for (;;) __asm__ volatile("hlt");
}

__attribute__((noreturn)) static void fail(const char *why) {
  print(why);
  print("\n");
  leave(1);
}

/* Registers in memory. */

static uint32_t load(uint32_t address) { return *(volatile uint32_t *)address; }
static void store(uint32_t address, uint32_t value) { *(volatile uint32_t *)address = value; }

enum {
  VIRTIO_MAGIC = 0x00, VIRTIO_VERSION = 0x04, VIRTIO_DEVICE_ID = 0x08,
  VIRTIO_DEVICE_FEATURES = 0x10, VIRTIO_DEVICE_FEATURES_SEL = 0x14,
  VIRTIO_DRIVER_FEATURES = 0x20, VIRTIO_DRIVER_FEATURES_SEL = 0x24,
  VIRTIO_QUEUE_SEL = 0x30, VIRTIO_QUEUE_SIZE_MAX = 0x34, VIRTIO_QUEUE_SIZE = 0x38,
  VIRTIO_QUEUE_READY = 0x44, VIRTIO_QUEUE_NOTIFY = 0x50,
  VIRTIO_INTERRUPT_STATUS = 0x60, VIRTIO_INTERRUPT_ACK = 0x64, VIRTIO_STATUS = 0x70,
  VIRTIO_QUEUE_DESC = 0x80, VIRTIO_QUEUE_DRIVER = 0x90, VIRTIO_QUEUE_DEVICE = 0xa0,
};

enum { QUEUE_SIZE = 8, ENTROPY_DEVICE = 4, VECTOR = 0x40 };

/* The queue: descriptors, available ring, used ring. */

static struct {
  uint64_t address;
  uint32_t length;
  uint16_t flags, next;
} descriptors[QUEUE_SIZE] __attribute__((aligned(16)));

static struct {
  uint16_t flags, index, ring[QUEUE_SIZE], event;
} available __attribute__((aligned(2)));

static volatile struct {
  uint16_t flags, index;
  struct { uint32_t head, length; } ring[QUEUE_SIZE];
  uint16_t event;
} used __attribute__((aligned(4)));

static uint8_t bytes[32];
static uint32_t rng; /* where the device is */
static volatile int interrupts;

/* Interrupts: one gate, the local APIC, one input of the I/O APIC. */

static const uint32_t local_apic = 0xfee00000;
static struct { uint32_t low, high; } gates[256] __attribute__((aligned(8)));

struct frame;
__attribute__((interrupt)) static void on_interrupt(struct frame *frame) {
  (void)frame;
  interrupts++;
  store(rng + VIRTIO_INTERRUPT_ACK, load(rng + VIRTIO_INTERRUPT_STATUS));
  store(local_apic + 0xb0, 0); /* end of interrupt */
}

static void set_up_interrupt(uint32_t ioapic, uint32_t input) {
  uint32_t handler = (uint32_t)on_interrupt;
  gates[VECTOR].low = 8u << 16 | (handler & 0xffff);
  gates[VECTOR].high = (handler & 0xffff0000) | 0x8e00;
  struct { uint16_t limit; uint32_t base; } __attribute__((packed)) table = {
    sizeof gates - 1, (uint32_t)gates};
  __asm__ volatile("lidt %0" : : "m"(table));
  store(local_apic + 0xf0, 0x1ff); /* enabled, spurious vector 0xff */
  store(ioapic, 0x10 + input * 2 + 1);
  store(ioapic + 0x10, 0); /* to local APIC 0 */
  store(ioapic, 0x10 + input * 2);
  store(ioapic + 0x10, 1u << 15 | VECTOR); /* level-triggered, active high, unmasked */
}

/* The device. */

static void negotiate(void) {
  store(rng + VIRTIO_STATUS, 0);
  store(rng + VIRTIO_STATUS, 1 | 2); /* acknowledge, driver */
  store(rng + VIRTIO_DEVICE_FEATURES_SEL, 1);
  if (!(load(rng + VIRTIO_DEVICE_FEATURES) & 1)) fail("the device is not of version 1");
  store(rng + VIRTIO_DRIVER_FEATURES_SEL, 0);
  store(rng + VIRTIO_DRIVER_FEATURES, 0);
  store(rng + VIRTIO_DRIVER_FEATURES_SEL, 1);
  store(rng + VIRTIO_DRIVER_FEATURES, 1); /* version 1, and nothing else */
  store(rng + VIRTIO_STATUS, 1 | 2 | 8);
  if (!(load(rng + VIRTIO_STATUS) & 8)) fail("the device refuses the features");
}

static void set_up_queue(void) {
  store(rng + VIRTIO_QUEUE_SEL, 0);
  if (load(rng + VIRTIO_QUEUE_SIZE_MAX) < QUEUE_SIZE) fail("the queue is too small");
  store(rng + VIRTIO_QUEUE_SIZE, QUEUE_SIZE);
  store(rng + VIRTIO_QUEUE_DESC, (uint32_t)descriptors);
  store(rng + VIRTIO_QUEUE_DESC + 4, 0);
  store(rng + VIRTIO_QUEUE_DRIVER, (uint32_t)&available);
  store(rng + VIRTIO_QUEUE_DRIVER + 4, 0);
  store(rng + VIRTIO_QUEUE_DEVICE, (uint32_t)&used);
  store(rng + VIRTIO_QUEUE_DEVICE + 4, 0);
  store(rng + VIRTIO_QUEUE_READY, 1);
  if (load(rng + VIRTIO_QUEUE_READY) != 1) fail("the queue is refused");
  store(rng + VIRTIO_STATUS, 1 | 2 | 8 | 4); /* driver ready */
}

/* Asks for random bytes and sleeps until they have come; how many they are. */
static uint32_t request(void) {
  descriptors[0].address = (uint32_t)bytes;
  descriptors[0].length = sizeof bytes;
  descriptors[0].flags = 2; /* the device writes */
  available.ring[0] = 0;
  __asm__ volatile("" : : : "memory");
  available.index = 1;
  __asm__ volatile("" : : : "memory");
  store(rng + VIRTIO_QUEUE_NOTIFY, 0);
  while (used.index == 0 || interrupts == 0) {
    /* Nothing can come between STI and HLT. */
    __asm__ volatile("sti; hlt; cli" : : : "memory");
  }
  return used.ring[0].length;
}

static void describe(const struct start_info *info) {
  static const char *const uses[] = {"free", "kernel", "init"};
  for (uint32_t i = 0; i < info->mem_size; i++) {
    const struct memory_map_entry *entry = &info->mem_entries[i];
    print("memory ");
    print_hex(entry->base, 8);
    print(" size ");
    print_hex(entry->size, 8);
    print(" ");
    print(entry->use < 3 ? uses[entry->use] : "?");
    print("\n");
  }
  for (uint32_t i = 0; i < info->dev_size; i++) {
    const struct device_map_entry *entry = &info->dev_entries[i];
    print("device ");
    print_hex(entry->base_addr, 8);
    print(" interrupt ");
    print_hex(entry->interrupt_num, 2);
    print("\n");
  }
}

static const struct device_map_entry *find_rng(const struct start_info *info) {
  for (uint32_t i = 0; i < info->dev_size; i++) {
    uint32_t base = info->dev_entries[i].base_addr;
    if (load(base + VIRTIO_MAGIC) == 0x74726976 && load(base + VIRTIO_VERSION) == 2 &&
        load(base + VIRTIO_DEVICE_ID) == ENTROPY_DEVICE)
      return &info->dev_entries[i];
  }
  fail("there is no entropy device");
}

__attribute__((used, noreturn)) static void run(uint32_t magic, const struct start_info *info) {
  if (magic != START_INFO_MAGIC || info->magic != magic) fail("there is no start structure");
  if (info->version != 1) fail("the start structure is of another version");
  describe(info);
  const struct device_map_entry *device = find_rng(info);
  rng = device->base_addr;
  set_up_interrupt(info->ioapic_base, device->interrupt_num);
  negotiate();
  set_up_queue();
  uint32_t count = request();
  print("random bytes:");
  for (uint32_t i = 0; i < count && i < sizeof bytes; i++) {
    print(" ");
    print_hex(bytes[i], 2);
  }
  print("\n");
  leave(0);
}

__attribute__((naked, noreturn)) void _start(void) {
  __asm__ volatile("pushl %ebx; pushl %eax; call run");
}
