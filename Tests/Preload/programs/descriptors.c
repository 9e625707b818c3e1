// Descriptors of KVM's behave as the kernel's do.
#include "guest.h"

#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static int count_on(int cpu, struct guest *guest) {
  CHECK(ioctl(cpu, KVM_RUN, 0) == 0 && guest->run->exit_reason == KVM_EXIT_IO);
  return written(guest);
}

static void test_copies(void) {
  struct guest guest = GUEST(counting);
  int copy = dup(guest.cpu);
  CHECK(copy >= 0 && close(guest.cpu) == 0);
  CHECK(count_on(copy, &guest) == 1);
  int other = fcntl(copy, F_DUPFD_CLOEXEC, 100);
  CHECK(other >= 100 && close(copy) == 0);
  CHECK(count_on(other, &guest) == 2);
  int null = open("/dev/null", O_RDWR);
  CHECK(dup2(other, null) == null && close(other) == 0);
  CHECK(count_on(null, &guest) == 3);
  CHECK(dup3(null, other, O_CLOEXEC) == other && syscall(SYS_close, null) == 0);
  CHECK(syscall(SYS_ioctl, other, KVM_RUN, 0) == 0 && written(&guest) == 4);
  // The processor keeps its machine.
  CHECK(close(guest.machine) == 0 && close(guest.device) == 0);
  CHECK(count_on(other, &guest) == 5);
  // A descriptor that becomes something else is no processor any more.
  null = open("/dev/null", O_RDWR);
  CHECK(dup2(null, other) == other);
  REFUSED(ioctl(other, KVM_RUN, 0), ENOTTY);
  // The shared page outlives it.
  CHECK(guest.run->exit_reason == KVM_EXIT_IO);
  CHECK(munmap(guest.run, guest.run_size) == 0);
}

static void test_private_mapping(void) {
  struct guest guest = GUEST(counting);
  struct kvm_run *private =
      mmap(NULL, guest.run_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, guest.cpu, 0);
  CHECK(private != MAP_FAILED);
  expect(&guest, KVM_EXIT_IO);
  CHECK(private->exit_reason == KVM_EXIT_IO);
  CHECK(((uint8_t *)private)[private->io.data_offset] == 1);
}

static void send_descriptor(int socket, int fd) {
  char byte = 0, control[CMSG_SPACE(sizeof fd)] = {0};
  struct iovec part = {&byte, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
                           .msg_controllen = sizeof control};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(header), &fd, sizeof fd);
  CHECK(sendmsg(socket, &message, 0) == 1);
}

static int receive_descriptor(int socket) {
  int fd;
  char byte, control[CMSG_SPACE(sizeof fd)];
  struct iovec part = {&byte, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
                           .msg_controllen = sizeof control};
  CHECK(recvmsg(socket, &message, 0) == 1);
  memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
  return fd;
}

static void test_sockets(void) {
  struct guest guest = GUEST(counting);
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  send_descriptor(pair[0], guest.cpu);
  CHECK(close(guest.cpu) == 0);
  CHECK(count_on(receive_descriptor(pair[1]), &guest) == 1);
}

static void in_child(void (*body)(struct guest *), struct guest *guest) {
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    body(guest);
    _exit(0);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void use_parents(struct guest *guest) {
  struct kvm_regs registers;
  REFUSED(ioctl(guest->cpu, KVM_GET_REGS, &registers), EIO);
  REFUSED(ioctl(guest->cpu, KVM_RUN, 0), EIO);
  REFUSED(ioctl(guest->machine, KVM_CREATE_VCPU, 1), EIO);
  // The device is anybody's; so are new machines.
  struct guest own = make_machine(guest->device);
  make_cpu(&own, counting, sizeof counting);
  expect(&own, KVM_EXIT_IO);
  CHECK(close(own.cpu) == 0 && close(own.machine) == 0);
  CHECK(close(guest->cpu) == 0 && close(guest->machine) == 0);
}

static void test_fork(void) {
  struct guest guest = GUEST(counting);
  CHECK(ioctl(guest.machine, KVM_CREATE_IRQCHIP, 0) == -1 && errno == EINVAL);
  expect(&guest, KVM_EXIT_IO);
  in_child(use_parents, &guest);
  CHECK(count_on(guest.cpu, &guest) == 2);
}

static void exec_self(struct guest *guest) {
  char device[16], cpu[16];
  CHECK(fcntl(guest->device, F_SETFD, 0) == 0 && fcntl(guest->cpu, F_SETFD, 0) == 0);
  snprintf(device, sizeof device, "%d", guest->device);
  snprintf(cpu, sizeof cpu, "%d", guest->cpu);
  execl("/proc/self/exe", "descriptors", device, cpu, NULL);
  CHECK(!"exec");
}

static void test_exec(void) {
  struct guest guest = GUEST(counting);
  in_child(exec_self, &guest);
  CHECK(count_on(guest.cpu, &guest) == 1);
}

/// In the program that another one became, with descriptors that it left open.
static int after_exec(int device, int cpu) {
  CHECK(ioctl(device, KVM_GET_API_VERSION, 0) == 12);
  REFUSED(ioctl(cpu, KVM_RUN, 0), EIO);
  struct guest guest = make_machine(device);
  make_cpu(&guest, counting, sizeof counting);
  expect(&guest, KVM_EXIT_IO);
  return 0;
}

/// A child that shares the memory closes its own descriptors only.
static void test_vfork(void) {
  struct guest guest = GUEST(counting);
  int cpu = guest.cpu, machine = guest.machine;
  pid_t child = vfork();
  CHECK(child >= 0);
  if (child == 0) {
    close(cpu);
    close_range((unsigned int)machine, ~0U, 0);
    _exit(0);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  CHECK(count_on(cpu, &guest) == 1);
}

static void test_close_all(void) {
  struct guest guest = GUEST(counting);
  CHECK(close_range(3, ~0U, 0) == 0);
  REFUSED(ioctl(guest.cpu, KVM_RUN, 0), EBADF);
  guest = GUEST(counting);
  expect(&guest, KVM_EXIT_IO);
}

static void *run_until_signalled(void *guest) {
  REFUSED(ioctl(((struct guest *)guest)->cpu, KVM_RUN, 0), EINTR);
  return NULL;
}

static void ignore(int number) { (void)number; }

/// A run goes on when the last descriptor of its processor is closed.
static void test_close_while_running(void) {
  // 1: incw 0x1000; jmp 1b
  static const uint8_t code[] = {0xff, 0x06, 0, 0x10, 0xeb, 0xfa};
  struct guest guest = GUEST(code);
  struct sigaction action = {.sa_handler = ignore};
  CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
  volatile uint16_t *turns = (volatile uint16_t *)(guest.memory + 0x1000);
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, run_until_signalled, &guest) == 0);
  while (*turns == 0) usleep(1000);
  CHECK(close(guest.cpu) == 0 && close(guest.machine) == 0 && close(guest.device) == 0);
  uint16_t before = *turns;
  while (*turns == before) usleep(1000);
  CHECK(pthread_kill(thread, SIGUSR1) == 0 && pthread_join(thread, NULL) == 0);
  REFUSED(ioctl(guest.cpu, KVM_RUN, 0), EBADF);
}

int main(int count, char **arguments) {
  if (count == 3) return after_exec(atoi(arguments[1]), atoi(arguments[2]));
  test_copies();
  test_private_mapping();
  test_sockets();
  test_fork();
  test_exec();
  test_vfork();
  test_close_all();
  test_close_while_running();
  return 0;
}
