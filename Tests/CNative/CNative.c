// The child has one thread and one loop: take a batch, run each case, report. A case starts by
// returning from a signal handler with a made-up context, and ends with the next signal. Seccomp's
// strict mode keeps what a snippet may do to itself from reaching anything else.
#define _GNU_SOURCE
#include "CNative.h"

#include <asm/ldt.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

struct child {
  struct native_area *area;
  pid_t process;
  int commands[2];
  int replies[2];
};

static struct child children[8];

static void copy(void *to, const void *from, size_t count) {
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

static void fill(void *to, uint8_t value, size_t count) {
  __asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(value) : "memory");
}

// Without libc: the snippets' FS base is not a thread's.
static long call3(long number, long a, long b, long c) {
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "0"(number), "D"(a), "S"(b), "d"(c)
                   : "rcx", "r11", "memory");
  return result;
}

// MARK: The child's side

static struct native_area *area;
static greg_t resume[NGREG];
static int is_running;
static uint8_t *data;

// The order in which encodings number the registers.
static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                              REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                              REG_R12, REG_R13, REG_R14, REG_R15};

// 32-bit code needs data segments; 64-bit code does not care. Snippets that go astray may have
// changed them, and the bases.
static void load_segments(void) {
  __asm__ volatile("mov %0, %%ds; mov %0, %%es" : : "r"(0x2b));
  __asm__ volatile("mov %0, %%fs; mov %0, %%gs" : : "r"(0));
  __asm__ volatile("wrfsbase %0" : : "r"((uint64_t)NATIVE_FS_BASE));
  __asm__ volatile("wrgsbase %0" : : "r"((uint64_t)NATIVE_GS_BASE));
}

// By type and size: whole, small, odd, expanding down, not to be written or read, not present.
static const uint64_t descriptors[NATIVE_DESCRIPTORS] = {
    [1] = 0x1040fb000000ffff,   // code32, 64 KiB
    [2] = 0x1000fb000000ffff,   // code16, 64 KiB
    [3] = 0x1000fb0123452fff,   // code16 at an odd place, 12 KiB
    [4] = 0x1040fb03000001ff,   // code32, 512 bytes
    [5] = 0x1080fb080000001f,   // code16, 128 KiB
    [6] = 0x1040f90a0100ffff,   // code32 that may not be read
    [7] = 0x1000fb0c001000ff,   // code16, 256 bytes
    [8] = 0x2000f300000017ff,   // data, 6 KiB
    [9] = 0x2040f30001230fff,   // data at an odd place, 4 KiB
    [10] = 0x2000f700000007ff,  // expands down, 16-bit
    [11] = 0x2040f700000007ff,  // expands down, 32-bit
    [12] = 0x2000f10000001fff,  // read-only
    [13] = 0x00cff3000000ffff,  // everything
    [14] = 0x2000f3000000ffff,  // data, 64 KiB, 16-bit stack
    [15] = 0x200073000000ffff,  // not present
    [16] = 0x1f40f3ff8000ffff,  // data from before the pages on
    [17] = 0x2040f3000000fffe,  // data, an odd limit
    [18] = 0x00cffb000000ffff,  // code32, everything
    [19] = 0x208ff3000000ffff,  // all from the data on, 16-bit stack
};

uint64_t native_descriptor(int index) { return descriptors[index]; }

static void load_descriptors(void) {
  for (unsigned i = 0; i < NATIVE_DESCRIPTORS; i++) {
    uint64_t raw = descriptors[i];
    if (raw == 0) continue;
    struct user_desc entry = {
        .entry_number = i,
        .base_addr = (unsigned)((raw >> 16 & 0xffffff) | raw >> 56 << 24),
        .limit = (unsigned)((raw & 0xffff) | (raw >> 32 & 0xf0000)),
        .seg_32bit = raw >> 54 & 1,
        .contents = raw >> 42 & 3,
        .read_exec_only = !(raw >> 41 & 1),
        .limit_in_pages = raw >> 55 & 1,
        .seg_not_present = !(raw >> 47 & 1),
        .useable = 1,
    };
    if (syscall(SYS_modify_ldt, 0x11, &entry, sizeof entry) != 0) _exit(7);
  }
}

static void start_segmented(struct native_case *now, greg_t *registers) {
  const uint16_t *selectors = now->selectors;
  __asm__ volatile("mov %0, %%es; mov %1, %%ds" : : "r"(selectors[0]), "r"(selectors[3]));
  __asm__ volatile("mov %0, %%fs; mov %1, %%gs" : : "r"(selectors[4]), "r"(selectors[5]));
  registers[REG_CSGSFS] = (greg_t)(selectors[1] | (uint64_t)selectors[2] << 48);
}

static void end_segmented(struct native_case *now, const greg_t *registers) {
  uint16_t *selectors = now->selectors;
  __asm__ volatile("mov %%es, %0; mov %%ds, %1" : "=r"(selectors[0]), "=r"(selectors[3]));
  __asm__ volatile("mov %%fs, %0; mov %%gs, %1" : "=r"(selectors[4]), "=r"(selectors[5]));
  selectors[1] = (uint16_t)registers[REG_CSGSFS];
  selectors[2] = (uint16_t)((uint64_t)registers[REG_CSGSFS] >> 48);
}

static void start_case(ucontext_t *context) {
  struct native_case *now = &area->cases[area->current];
  greg_t *registers = context->uc_mcontext.gregs;
  uint8_t *extended = (uint8_t *)context->uc_mcontext.fpregs;
  load_segments();
  copy(data, area->pool + now->memory_offset, NATIVE_DATA_SIZE);
  copy((void *)(uintptr_t)now->code_address, now->code, now->code_length);
  for (int i = 0; i < 16; i++) registers[order[i]] = (greg_t)now->before.registers[i];
  registers[REG_RIP] = (greg_t)now->before.rip;
  registers[REG_EFL] = (greg_t)(now->before.rflags | 0x202);
  registers[REG_CSGSFS] = (greg_t)((uint64_t)0x2b << 48 | (now->is_compatibility ? 0x23 : 0x33));
  if (now->is_segmented) start_segmented(now, registers);
  context->uc_flags |= 6;  // UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS
  // The bytes from 464 on are the kernel's own words on the frame.
  copy(extended, now->before.extended, 416);
  copy(extended + 576, now->before.extended + 576, 256);
  *(uint64_t *)(extended + 512) = 7;
}

static void end_case(ucontext_t *context) {
  struct native_case *now = &area->cases[area->current];
  greg_t *registers = context->uc_mcontext.gregs;
  for (int i = 0; i < 16; i++) now->after.registers[i] = (uint64_t)registers[order[i]];
  now->after.rip = (uint64_t)registers[REG_RIP];
  now->after.rflags = (uint64_t)registers[REG_EFL];
  now->after.trap = (uint64_t)registers[REG_TRAPNO];
  now->after.error = (uint64_t)registers[REG_ERR];
  now->after.address = (uint64_t)registers[REG_CR2];
  copy(now->after.extended, context->uc_mcontext.fpregs, 832);
  copy(now->memory, data, NATIVE_DATA_SIZE);
  fill((void *)(uintptr_t)now->code_address, 0xcc, now->code_length);
  if (now->is_segmented) end_segmented(now, registers);
}

static void on_signal(int number, siginfo_t *info, void *raw) {
  ucontext_t *context = raw;
  (void)info;
  if (number == SIGVTALRM) {
    // A case that two ticks in a row find running has no end.
    static uint32_t last = UINT32_MAX;
    if (!is_running || area->current != last) {
      last = is_running ? area->current : UINT32_MAX;
      return;
    }
    end_case(context);
    area->cases[area->current++].after.trap = NATIVE_LOST;
  } else if (!is_running) {
    copy(resume, context->uc_mcontext.gregs, sizeof resume);
    resume[REG_RIP] += 2;  // past the UD2
    is_running = 1;
    area->current = 0;
  } else {
    end_case(context);
    area->current++;
  }
  if (area->current < area->count) {
    start_case(context);
    return;
  }
  is_running = 0;
  uint8_t *extended = (uint8_t *)context->uc_mcontext.fpregs;
  *(uint32_t *)(extended + 24) = 0x1f80;
  *(uint64_t *)(extended + 512) = 0;
  copy(context->uc_mcontext.gregs, resume, sizeof resume);
}

static void map(uintptr_t address, size_t size, int protection) {
  void *at = mmap((void *)address, size, protection,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (at != (void *)address) _exit(3);
}

// The data pages, and a second view of them that is all writable.
static void map_data(void) {
  int file = memfd_create("data", MFD_CLOEXEC);
  if (file < 0 || ftruncate(file, NATIVE_DATA_SIZE) != 0) _exit(4);
  int flags = MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_POPULATE;
  void *wanted = (void *)(uintptr_t)NATIVE_DATA;
  if (mmap(wanted, NATIVE_DATA_SIZE, PROT_READ | PROT_WRITE, flags, file, 0) != wanted) _exit(5);
  mprotect((uint8_t *)wanted + 0x2000, 0x1000, PROT_READ);
  data = mmap(NULL, NATIVE_DATA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (data == MAP_FAILED) _exit(6);
  // Present in the host's tables, so that a write's error code says so.
  for (int page = 0; page < 3; page++) (void)*(volatile uint8_t *)((uint8_t *)wanted + page * 4096);
}

static void prepare(void) {
  static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGVTALRM};
  static uint8_t stack[1 << 16] __attribute__((aligned(64)));
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  map(NATIVE_CODE, NATIVE_CODE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC);
  fill((void *)(uintptr_t)NATIVE_CODE, 0xcc, NATIVE_CODE_SIZE);
  map_data();
  load_descriptors();
  stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
  sigaltstack(&alternate, NULL);
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  sigfillset(&action.sa_mask);
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
    sigaction(signals[i], &action, NULL);
    sigdelset(&action.sa_mask, signals[i]);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  struct itimerval tick = {.it_interval.tv_usec = 100000, .it_value.tv_usec = 100000};
  setitimer(ITIMER_VIRTUAL, &tick, NULL);
}

__attribute__((noreturn)) static void serve(int commands, int replies) {
  uint8_t byte;
  prepare();
  call3(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0);
  while (call3(SYS_read, commands, (long)&byte, 1) == 1) {
    __asm__ volatile("ud2" : : : "memory");
    if (call3(SYS_write, replies, (long)&byte, 1) != 1) break;
  }
  for (;;) call3(SYS_exit, 0, 0, 0);
}

// MARK: The parent's side

struct native_area *native_area_make(void) {
  void *at = mmap(NULL, sizeof(struct native_area), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return at == MAP_FAILED ? NULL : at;
}

uint8_t *native_pool(struct native_area *of) { return of->pool; }
uint8_t *native_memory(struct native_case *of) { return of->memory; }
struct native_case *native_case_at(struct native_area *of, int index) {
  return &of->cases[index];
}

static struct child *find(struct native_area *wanted, int can_make) {
  for (int i = 0; i < 8; i++)
    if (children[i].area == wanted) return &children[i];
  for (int i = 0; can_make && i < 8; i++) {
    struct native_area *none = NULL;
    if (__atomic_compare_exchange_n(&children[i].area, &none, wanted, 0, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE))
      return &children[i];
  }
  return NULL;
}

static int start(struct child *child) {
  if (pipe2(child->commands, O_CLOEXEC) != 0) return -1;
  if (pipe2(child->replies, O_CLOEXEC) != 0) return -1;
  pid_t process = fork();
  if (process < 0) return -1;
  if (process == 0) {
    area = child->area;
    close(child->commands[1]);
    close(child->replies[0]);
    serve(child->commands[0], child->replies[1]);
  }
  close(child->commands[0]);
  close(child->replies[1]);
  child->process = process;
  return 0;
}

static void stop(struct child *child) {
  if (child->process <= 0) return;
  kill(child->process, SIGKILL);
  while (waitpid(child->process, NULL, 0) < 0 && errno == EINTR) {
  }
  close(child->commands[1]);
  close(child->replies[0]);
  child->process = 0;
}

void native_stop(struct native_area *wanted) {
  struct child *child = find(wanted, 0);
  if (child == NULL) return;
  stop(child);
  __atomic_store_n(&child->area, NULL, __ATOMIC_RELEASE);
}

void native_area_free(struct native_area *wanted) {
  native_stop(wanted);
  munmap(wanted, sizeof *wanted);
}

int native_run(struct native_area *wanted) {
  struct child *child = find(wanted, 1);
  if (child == NULL) return -1;
  if (child->process <= 0 && start(child) != 0) return -1;
  uint8_t byte = 0;
  if (write(child->commands[1], &byte, 1) == 1) {
    struct pollfd wait = {.fd = child->replies[0], .events = POLLIN};
    int ready;
    while ((ready = poll(&wait, 1, 10000)) < 0 && errno == EINTR) {
    }
    if (ready == 1 && read(child->replies[0], &byte, 1) == 1) return 0;
  }
  stop(child);
  return -1;
}
