// A thread may end, or leave KVM_RUN, in any way that a signal allows; its processor stays usable.
#include "guest.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>

static struct guest *running;
static sigjmp_buf before_run;

static void *run_forever(void *nothing) {
  // The C library's ioctl is no cancellation point: elsewhere than here, KVM_RUN would go on.
  CHECK(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL) == 0);
  while (1) ioctl(running->cpu, KVM_RUN, 0);
  return nothing;
}

/// The processor is not running, and nothing waits for it to stop.
static void expect_usable(struct guest *guest) {
  guest->run->immediate_exit = 1;
  REFUSED(ioctl(guest->cpu, KVM_RUN, 0), EINTR);
  guest->run->immediate_exit = 0;
  struct kvm_userspace_memory_region slot = {
      .slot = 1, .guest_phys_addr = 1 << 20, .memory_size = MEMORY,
      .userspace_addr = (uintptr_t)guest->memory};
  CHECK(ioctl(guest->machine, KVM_SET_USER_MEMORY_REGION, &slot) == 0);
  slot.memory_size = 0;
  CHECK(ioctl(guest->machine, KVM_SET_USER_MEMORY_REGION, &slot) == 0);
}

/// Has a thread run the guest until `stop` stops it.
static void *end_of_thread(struct guest *guest, useconds_t time, void (*stop)(pthread_t)) {
  pthread_t thread;
  void *result;
  running = guest;
  CHECK(pthread_create(&thread, NULL, run_forever, NULL) == 0);
  usleep(time);
  stop(thread);
  CHECK(pthread_join(thread, &result) == 0);
  expect_usable(guest);
  return result;
}

static void cancel(pthread_t thread) { CHECK(pthread_cancel(thread) == 0); }
static void interrupt(pthread_t thread) { CHECK(pthread_kill(thread, SIGUSR1) == 0); }
static void exit_thread(int number) { pthread_exit((void *)(intptr_t)number); }
static void leave_run(int number) { siglongjmp(before_run, number); }

static void test_cancelled(struct guest guest) {
  for (useconds_t turn = 0; turn < 30; turn++)
    CHECK(end_of_thread(&guest, turn * 300, cancel) == PTHREAD_CANCELED);
}

static void test_exit_in_handler(struct guest guest) {
  CHECK(signal(SIGUSR1, exit_thread) != SIG_ERR);
  for (useconds_t turn = 0; turn < 30; turn++)
    CHECK(end_of_thread(&guest, turn * 300, interrupt) == (void *)SIGUSR1);
}

static void test_jump_out_of_handler(void) {
  struct guest guest = GUEST(spinning);
  CHECK(signal(SIGALRM, leave_run) != SIG_ERR);
  for (volatile int turn = 0; turn < 10; turn++) {
    if (sigsetjmp(before_run, 1) == 0) {
      ualarm(10000, 0);
      ioctl(guest.cpu, KVM_RUN, 0);
      CHECK(!"KVM_RUN returns although the handler jumps away");
    }
    expect_usable(&guest);
  }
}

int main(void) {
  test_cancelled(GUEST(spinning));
  test_cancelled(GUEST(counting));
  struct guest sleeper = make_machine(open_device());
  CHECK(ioctl(sleeper.machine, KVM_CREATE_IRQCHIP, 0) == 0);
  make_cpu(&sleeper, halting, sizeof halting);
  test_cancelled(sleeper);
  test_exit_in_handler(GUEST(spinning));
  test_exit_in_handler(GUEST(counting));
  test_jump_out_of_handler();
  return 0;
}
