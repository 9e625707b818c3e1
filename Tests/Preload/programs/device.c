// /dev/kvm appears, however a program looks for it.
#include "guest.h"

#include <limits.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

static void check_status(const struct stat *status) {
  CHECK(S_ISCHR(status->st_mode));
  CHECK(major(status->st_rdev) == 10 && minor(status->st_rdev) == 232);
}

static void check_opened(int device) {
  CHECK(device >= 0);
  CHECK(ioctl(device, KVM_GET_API_VERSION, 0) == 12);
  struct stat status;
  CHECK(fstat(device, &status) == 0);
  check_status(&status);
  CHECK(close(device) == 0);
  REFUSED(ioctl(device, KVM_GET_API_VERSION, 0), EBADF);
}

int main(void) {
  struct stat status;
  CHECK(stat("/dev/kvm", &status) == 0);
  check_status(&status);
  CHECK(lstat("/dev/kvm", &status) == 0);
  check_status(&status);
  CHECK(fstatat(AT_FDCWD, "/dev/../dev/kvm", &status, 0) == 0);
  check_status(&status);
  struct statx extended;
  CHECK(statx(AT_FDCWD, "/dev/kvm", 0, STATX_BASIC_STATS, &extended) == 0);
  CHECK(S_ISCHR(extended.stx_mode) && extended.stx_rdev_minor == 232);
  CHECK(access("/dev/kvm", R_OK | W_OK) == 0);
  CHECK(faccessat(AT_FDCWD, "/dev/kvm", F_OK, 0) == 0);
  char path[PATH_MAX];
  REFUSED(readlink("/dev/kvm", path, sizeof path), EINVAL);
  CHECK(realpath("/dev/./kvm", path) != NULL && strcmp(path, "/dev/kvm") == 0);

  check_opened(open("/dev/kvm", O_RDWR));
  check_opened(open64("/dev/kvm", O_RDWR | O_CLOEXEC));
  check_opened(openat(AT_FDCWD, "/dev/kvm", O_RDWR));
  check_opened((int)syscall(SYS_openat, AT_FDCWD, "/dev/kvm", O_RDWR));
  int folder = open("/dev", O_RDONLY | O_DIRECTORY);
  CHECK(folder >= 0);
  check_opened(openat(folder, "kvm", O_RDWR));
  CHECK(chdir("/dev") == 0);
  check_opened(open("kvm", O_RDWR));
  volatile int flags = O_RDWR;  // __open_2, when fortified
  check_opened(open("/dev/kvm", flags));
  FILE *file = fopen("/dev/kvm", "r+");
  CHECK(file != NULL && ioctl(fileno(file), KVM_GET_API_VERSION, 0) == 12);
  CHECK(fclose(file) == 0);

  REFUSED(open("/dev/kvm", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
  REFUSED(open("/dev/kvm", O_RDONLY | O_DIRECTORY), ENOTDIR);
  CHECK(fcntl(open("/dev/kvm", O_RDWR), F_GETFD) == 0);
  int device = open_device();
  CHECK(fcntl(device, F_GETFD) == FD_CLOEXEC);
  CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, device, 0) == MAP_FAILED && errno == ENODEV);

  // The wrong kind of descriptor, or none.
  REFUSED(ioctl(device, KVM_GET_API_VERSION, 1), EINVAL);
  REFUSED(ioctl(device, KVM_RUN, 0), EINVAL);
  REFUSED(ioctl(device, KVM_CREATE_VM, -1), EINVAL);
  REFUSED(ioctl(folder, KVM_GET_API_VERSION, 0), ENOTTY);
  REFUSED(ioctl(-1, KVM_GET_API_VERSION, 0), EBADF);
  int machine = ioctl(device, KVM_CREATE_VM, 0);
  CHECK(machine >= 0 && fcntl(machine, F_GETFD) == FD_CLOEXEC);
  REFUSED(ioctl(machine, KVM_GET_API_VERSION, 0), ENOTTY);
  REFUSED(ioctl(machine, KVM_RUN, 0), ENOTTY);
  REFUSED(ioctl(machine, KVM_SET_TSS_ADDR, 0xffffffffffffd000), EINVAL);
  REFUSED(ioctl(machine, KVM_SET_USER_MEMORY_REGION, (void *)16), EFAULT);
  int cpu = ioctl(machine, KVM_CREATE_VCPU, 0);
  CHECK(cpu >= 0);
  REFUSED(ioctl(machine, KVM_CREATE_VCPU, 0), EEXIST);
  REFUSED(ioctl(machine, KVM_CREATE_VCPU, 1 << 20), EINVAL);
  REFUSED(ioctl(cpu, KVM_GET_API_VERSION, 0), EINVAL);
  REFUSED(ioctl(cpu, KVM_RUN, 1), EINVAL);
  REFUSED(ioctl(cpu, KVM_GET_REGS, (void *)16), EFAULT);
  // Some programs extend the request's sign.
  struct kvm_regs registers;
  CHECK(ioctl(cpu, (unsigned long)(int)KVM_GET_REGS, &registers) == 0);
  return 0;
}
