// The costs of the KVM interface itself, as a program sees them that speaks it: to the first
// instruction of a new machine, for a round trip through an exit, and of several processors.
//
// Prints lines `apus-bench: NAME VALUE`, in nanoseconds but for `parallel`, a ratio. An argument
// divides the work, for hosts that interpret guests.

#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { MEMORY = 1 << 20, PROCESSORS = 4, PORT = 0x10, BEYOND_MEMORY = 0x10000000 };

// Guest programs, in 32-bit code without segments or pages to speak of.
static const uint8_t port_loop[] = {0xe6, PORT, 0xeb, 0xfc};  // 1: out %al, $PORT; jmp 1b
static const uint8_t memory_loop[] = {
    0xa3, 0, 0, 0, BEYOND_MEMORY >> 24, 0xeb, 0xf9};  // 1: mov %eax, BEYOND_MEMORY; jmp 1b
static const uint8_t spin[] = {0xff, 0xc9, 0x75, 0xfc, 0xf4};  // 1: dec %ecx; jnz 1b; hlt

struct processor {
  int file;
  struct kvm_run *run;
  size_t size;
};

struct machine {
  int file;
  uint8_t *memory;
};

static int kvm;
static unsigned long divisor = 1;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e9 + time.tv_nsec;
}

static void report(const char *name, double value) {
  printf("apus-bench: %s %.3f\n", name, value);
  fflush(stdout);
}

static int request(int file, unsigned long number, void *argument, const char *name) {
  int result = ioctl(file, number, argument);
  if (result < 0) err(1, "%s", name);
  return result;
}

static struct machine make_machine(const uint8_t *code, size_t size) {
  struct machine machine;
  machine.file = request(kvm, KVM_CREATE_VM, 0, "KVM_CREATE_VM");
  machine.memory =
      mmap(0, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (machine.memory == MAP_FAILED) err(1, "mmap");
  memcpy(machine.memory, code, size);
  struct kvm_userspace_memory_region slot = {
      .memory_size = MEMORY, .userspace_addr = (uintptr_t)machine.memory};
  request(machine.file, KVM_SET_USER_MEMORY_REGION, &slot, "KVM_SET_USER_MEMORY_REGION");
  return machine;
}

static void end_machine(struct machine machine) {
  close(machine.file);
  munmap(machine.memory, MEMORY);
}

static void set_flat_segment(struct kvm_segment *segment, int type) {
  *segment = (struct kvm_segment){.limit = 0xffffffff, .selector = 8, .type = type, .present = 1,
                                  .db = 1, .s = 1, .g = 1};
}

// A processor in protected mode at address 0, with a count in ECX.
static struct processor make_processor(struct machine machine, long number, uint64_t count) {
  struct processor processor;
  processor.file = request(machine.file, KVM_CREATE_VCPU, (void *)number, "KVM_CREATE_VCPU");
  processor.size = request(kvm, KVM_GET_VCPU_MMAP_SIZE, 0, "KVM_GET_VCPU_MMAP_SIZE");
  processor.run =
      mmap(0, processor.size, PROT_READ | PROT_WRITE, MAP_SHARED, processor.file, 0);
  if (processor.run == MAP_FAILED) err(1, "mmap of a processor");
  struct kvm_sregs special;
  request(processor.file, KVM_GET_SREGS, &special, "KVM_GET_SREGS");
  set_flat_segment(&special.cs, 11);
  set_flat_segment(&special.ds, 3);
  special.es = special.fs = special.gs = special.ss = special.ds;
  special.cr0 |= 1;
  request(processor.file, KVM_SET_SREGS, &special, "KVM_SET_SREGS");
  struct kvm_regs registers = {.rflags = 2, .rcx = count};
  request(processor.file, KVM_SET_REGS, &registers, "KVM_SET_REGS");
  return processor;
}

static void end_processor(struct processor processor) {
  munmap(processor.run, processor.size);
  close(processor.file);
}

static void run(struct processor *processor, uint32_t reason) {
  request(processor->file, KVM_RUN, 0, "KVM_RUN");
  if (processor->run->exit_reason != reason)
    errx(1, "exit %u instead of %u", processor->run->exit_reason, reason);
}

static void measure_creation(void) {
  double best = 1e18;
  for (int turn = 0; turn < 10; turn++) {
    double start = now();
    struct machine machine = make_machine(port_loop, sizeof port_loop);
    struct processor processor = make_processor(machine, 0, 0);
    run(&processor, KVM_EXIT_IO);
    double time = now() - start;
    if (time < best) best = time;
    end_processor(processor);
    end_machine(machine);
  }
  report("creation", best);
}

static void measure_exits(const char *name, const uint8_t *code, size_t size, uint32_t reason) {
  struct machine machine = make_machine(code, size);
  struct processor processor = make_processor(machine, 0, 0);
  double best = 1e18;
  unsigned long count = 200000 / divisor;
  for (int turn = 0; turn < 5; turn++) {
    double start = now();
    for (unsigned long trip = 0; trip < count; trip++) run(&processor, reason);
    double time = (now() - start) / count;
    if (time < best) best = time;
  }
  report(name, best);
  end_processor(processor);
  end_machine(machine);
}

static void *run_to_halt(void *processor) {
  run(processor, KVM_EXIT_HLT);
  return 0;
}

// The seconds that some processors take which count down side by side.
static double spin_together(int number, uint64_t count) {
  struct machine machine = make_machine(spin, sizeof spin);
  struct processor processors[PROCESSORS];
  pthread_t threads[PROCESSORS];
  for (int index = 0; index < number; index++)
    processors[index] = make_processor(machine, index, count);
  double start = now();
  for (int index = 0; index < number; index++)
    pthread_create(&threads[index], 0, run_to_halt, &processors[index]);
  for (int index = 0; index < number; index++) pthread_join(threads[index], 0);
  double time = now() - start;
  for (int index = 0; index < number; index++) end_processor(processors[index]);
  end_machine(machine);
  return time;
}

static void measure_parallel(void) {
  double best = 0;
  for (int turn = 0; turn < 3; turn++) {
    double one = spin_together(1, 2000000000 / divisor);
    double ratio = PROCESSORS * one / spin_together(PROCESSORS, 2000000000 / divisor);
    if (ratio > best) best = ratio;
  }
  report("parallel", best);
}

int main(int argc, char **argv) {
  if (argc > 1) divisor = strtoul(argv[1], 0, 10);
  kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
  if (kvm < 0) err(1, "/dev/kvm");
  measure_creation();
  measure_exits("port-exit", port_loop, sizeof port_loop, KVM_EXIT_IO);
  measure_exits("memory-exit", memory_loop, sizeof memory_loop, KVM_EXIT_MMIO);
  measure_parallel();
  printf("apus-bench: end\n");
  return 0;
}
