// Every unblocked signal ends KVM_RUN with EINTR, and handlers run as they always do.
#include "guest.h"

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

static volatile int handled;
static volatile int last_value;
static volatile pthread_t handled_on;
static struct guest *running;

static void note(int number) {
  (void)number;
  handled++;
  handled_on = pthread_self();
}

static void note_value(int number, siginfo_t *info, void *context) {
  note(number);
  last_value = info->si_value.sival_int;
  CHECK(context != NULL);
  // What the run has come to is told before the handler runs.
  if (running != NULL) CHECK(running->run->exit_reason == KVM_EXIT_INTR);
}

static void handle(int number, int flags) {
  struct sigaction action = {.sa_flags = flags};
  if (flags & SA_SIGINFO)
    action.sa_sigaction = note_value;
  else
    action.sa_handler = note;
  CHECK(sigaction(number, &action, NULL) == 0);
}

static void alarm_soon(void) {
  struct itimerval timer = {.it_value = {.tv_usec = 20000}};
  CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

static void expect_interrupted(struct guest *guest) {
  REFUSED(ioctl(guest->cpu, KVM_RUN, 0), EINTR);
  CHECK(guest->run->exit_reason == KVM_EXIT_INTR);
}

static void test_timer(int flags) {
  struct guest guest = GUEST(spinning);
  running = &guest;
  handle(SIGALRM, flags);
  handled = 0;
  alarm_soon();
  expect_interrupted(&guest);
  CHECK(handled == 1);
  running = NULL;
}

static void test_restart(void) {
  struct guest guest = GUEST(spinning);
  handle(SIGALRM, SA_RESTART);
  handled = 0;
  alarm_soon();
  expect_interrupted(&guest);
  CHECK(handled == 1);
}

static void test_once(void) {
  struct guest guest = GUEST(spinning);
  handle(SIGALRM, (int)SA_RESETHAND);
  alarm_soon();
  expect_interrupted(&guest);
  struct sigaction action;
  CHECK(sigaction(SIGALRM, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
}

static void test_old_action(void) {
  struct sigaction action = {.sa_sigaction = note_value, .sa_flags = SA_SIGINFO}, old;
  sigaddset(&action.sa_mask, SIGUSR2);
  CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
  action.sa_handler = SIG_IGN;
  action.sa_flags = 0;
  CHECK(sigaction(SIGUSR1, &action, &old) == 0);
  CHECK(old.sa_sigaction == note_value && old.sa_flags & SA_SIGINFO);
  CHECK(sigismember(&old.sa_mask, SIGUSR2) && !sigismember(&old.sa_mask, SIGUSR1));
  CHECK(signal(SIGUSR1, note) == SIG_IGN);
  CHECK(signal(SIGUSR1, SIG_DFL) == note);
}

static void test_immediate_exit(void) {
  struct guest guest = GUEST(counting);
  expect(&guest, KVM_EXIT_IO);
  guest.run->immediate_exit = 1;
  REFUSED(ioctl(guest.cpu, KVM_RUN, 0), EINTR);
  struct kvm_regs registers;
  CHECK(ioctl(guest.cpu, KVM_GET_REGS, &registers) == 0 && registers.rip == 5);
  guest.run->immediate_exit = 0;
  expect(&guest, KVM_EXIT_IO);
  CHECK(written(&guest) == 2);
}

static struct kvm_signal_mask *kernel_mask(uint64_t blocked) {
  static char memory[sizeof(struct kvm_signal_mask) + 8];
  struct kvm_signal_mask *mask = (struct kvm_signal_mask *)memory;
  mask->len = 8;
  memcpy(mask->sigset, &blocked, 8);
  return mask;
}

/// A signal that is blocked outside and let in during the run ends it, and then still waits.
static void test_signal_mask(int disposition) {
  struct guest guest = GUEST(spinning);
  sigset_t set, pending;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
  if (disposition) handle(SIGUSR1, 0);
  handled = 0;
  CHECK(ioctl(guest.cpu, KVM_SET_SIGNAL_MASK, kernel_mask(0)) == 0);
  CHECK(pthread_kill(pthread_self(), SIGUSR1) == 0);
  expect_interrupted(&guest);
  CHECK(handled == 0 && sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1));
  int number;
  CHECK(sigwait(&set, &number) == 0 && number == SIGUSR1);
  // With the thread's own mask again, the signal is no reason to stop.
  handle(SIGALRM, 0);
  CHECK(ioctl(guest.cpu, KVM_SET_SIGNAL_MASK, NULL) == 0);
  CHECK(pthread_kill(pthread_self(), SIGUSR1) == 0);
  alarm_soon();
  expect_interrupted(&guest);
  CHECK(handled == 1 && sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1));
  CHECK(sigwait(&set, &number) == 0);
  CHECK(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
}

static void *send_values(void *argument) {
  pthread_t target = *(pthread_t *)argument;
  for (int value = 1; value <= 100; value++) {
    int seen = handled;
    CHECK(pthread_sigqueue(target, SIGUSR2, (union sigval){.sival_int = value}) == 0);
    while (handled == seen) usleep(100);
  }
  return NULL;
}

/// Signals from another thread, each with its value, however they meet the run.
static void test_threads(void) {
  struct guest guest = GUEST(counting);
  pthread_t self = pthread_self(), sender;
  handle(SIGUSR2, SA_SIGINFO);
  handled = 0;
  CHECK(pthread_create(&sender, NULL, send_values, &self) == 0);
  while (handled < 100) {
    if (ioctl(guest.cpu, KVM_RUN, 0) < 0) CHECK(errno == EINTR);
  }
  CHECK(pthread_join(sender, NULL) == 0);
  CHECK(last_value == 100 && pthread_equal(handled_on, self));
}

/// A processor that sleeps is woken.
static void test_halted(void) {
  struct guest guest = make_machine(open_device());
  CHECK(ioctl(guest.machine, KVM_CREATE_IRQCHIP, 0) == 0);
  make_cpu(&guest, halting, sizeof halting);
  handle(SIGALRM, SA_RESTART);
  handled = 0;
  alarm_soon();
  expect_interrupted(&guest);
  CHECK(handled == 1);
}

static char *faulting_page;
static void on_fault(int number, siginfo_t *info, void *context) {
  (void)number, (void)context;
  CHECK(info->si_addr == faulting_page);
  handled++;
  CHECK(mprotect(faulting_page, 4096, PROT_READ | PROT_WRITE) == 0);
}

/// The program's own faults are its own.
static void test_faults(void) {
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
  CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
  struct guest guest = GUEST(counting);
  faulting_page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  handled = 0;
  *(volatile char *)faulting_page = 1;
  CHECK(handled == 1);
  expect(&guest, KVM_EXIT_IO);
  CHECK(mprotect(faulting_page, 4096, PROT_NONE) == 0);
  *(volatile char *)faulting_page = 1;
  CHECK(handled == 2);
  CHECK(signal(SIGSEGV, SIG_DFL) != SIG_ERR);
}

int main(void) {
  test_faults();
  test_timer(0);
  test_timer(SA_SIGINFO);
  test_timer(SA_SIGINFO | SA_NODEFER);
  test_restart();
  test_once();
  test_old_action();
  test_immediate_exit();
  test_signal_mask(1);
  test_signal_mask(0);
  test_threads();
  test_halted();
  return 0;
}
