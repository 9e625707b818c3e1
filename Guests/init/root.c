#include "root.h"

#include <asm/fcntl.h>
#include <linux/mount.h>

enum { TEXT_SIZE = 1 << 16 };

static char text[TEXT_SIZE];

void root_load_modules(void) {
  for (long number = 0;; number++) {
    char path[48] = "/etc/apus/modules/";
    append_number(path, sizeof path, number);
    long file = CALL(open, path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    // What this kernel has already, or cannot use, is no reason to stop.
    CALL(finit_module, file, "", 0);
    CALL(close, file);
  }
}

static bool complain(const char *what) {
  print(2, "apus: the guest's kernel cannot mount ");
  print(2, what);
  print(2, "\n");
  return false;
}

/// Makes the share the root. Everything that is mounted already moves along.
static bool become_root(const char *tag) {
  static const char *const moved[] = {"/dev", "/proc", "/sys"};
  CALL(mkdir, "/host", 0755);
  CALL(mkdir, "/over", 0755);
  if (CALL(mount, tag, "/host", "virtiofs", MS_RDONLY, 0) != 0) return complain("the host's files");
  CALL(mount, "tmpfs", "/over", "tmpfs", 0, "mode=0755");
  CALL(mkdir, "/over/upper", 0755);
  CALL(mkdir, "/over/work", 0755);
  CALL(mkdir, "/over/root", 0755);
  if (CALL(mount, "overlay", "/over/root", "overlay", 0,
           "lowerdir=/host,upperdir=/over/upper,workdir=/over/work") != 0)
    return complain("an overlay");
  for (size_t index = 0; index < sizeof moved / sizeof *moved; index++) {
    char target[32] = "/over/root";
    append(target, sizeof target, moved[index]);
    CALL(mkdir, target, 0755);
    CALL(mount, moved[index], target, 0, MS_MOVE, 0);
  }
  CALL(chdir, "/over/root");
  CALL(mount, ".", "/", 0, MS_MOVE, 0);
  CALL(chroot, ".");
  CALL(chdir, "/");
  // What the host's programs keep there is about the host.
  CALL(mount, "tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755");
  CALL(mkdir, "/dev/shm", 01777);
  CALL(mount, "tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
  return true;
}

/// Makes the directories on the way to a mount point, as far as they are missing.
static void make_way(char *path) {
  for (char *at = path + 1; *at; at++) {
    if (*at != '/') continue;
    *at = 0;
    CALL(mkdir, path, 0755);
    *at = '/';
  }
  CALL(mkdir, path, 0755);
}

bool root_mount_shares(void) {
  long file = CALL(open, "/etc/apus/mounts", O_RDONLY | O_CLOEXEC);
  if (file < 0) return true;
  size_t size = 0;
  for (;;) {
    long got = CALL(read, file, text + size, TEXT_SIZE - 1 - size);
    if (got <= 0) break;
    size += (size_t)got;
  }
  CALL(close, file);
  for (char *tag = text; tag < text + size;) {
    char *path = tag + length(tag) + 1;
    if (path >= text + size) break;
    if (equal(path, "/")) {
      if (!become_root(tag)) return false;
    } else {
      make_way(path);
      if (CALL(mount, tag, path, "virtiofs", 0, 0) != 0) return complain(path);
    }
    tag = path + length(path) + 1;
  }
  return true;
}
