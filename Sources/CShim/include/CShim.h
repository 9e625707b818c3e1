// Where an unmodified program's calls enter: C library functions of the same name, found before the
// library's own because the dynamic linker loads us first. Each looks whether KVM is concerned and
// otherwise passes the call on; KVMShim (Swift) does the rest.
#ifndef APUS_CSHIM_H
#define APUS_CSHIM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

// What KVMShim provides. Those that can fail return -errno.

/// Opens the device that stands for /dev/kvm, with the flags of open(2).
int apus_shim_open(int flags);
/// Answers an ioctl; `APUS_NOT_OURS` if the descriptor is none of KVM's.
long apus_shim_ioctl(int fd, uint32_t request, uintptr_t argument);
/// Forgets a descriptor that is about to be closed.
void apus_shim_forget(int fd);
/// Forgets every descriptor from `first` to `last`.
void apus_shim_forget_range(unsigned int first, unsigned int last);
/// Notes that `copy` is now the same open file as `fd`; either may be none of KVM's.
void apus_shim_duplicated(int fd, int copy);
/// Notes that the open file may live on in a message between sockets.
void apus_shim_sent(int fd);
/// What the descriptor of ours stands for, an `apus_file_kind`.
int apus_shim_kind(int fd);
/// Ends the run of the processor that this thread is running. Called by signal handlers.
void apus_shim_ring(void *processor);
/// The offset of the next CPUID instruction in a program's code; `count` when there is none.
size_t apus_shim_find_cpuid(const uint8_t *code, size_t count, size_t offset);
/// Runs in a child after fork(2).
void apus_shim_forked(void);

enum { APUS_NOT_OURS = -100000 };
enum apus_file_kind { APUS_DEVICE, APUS_MACHINE, APUS_PROCESSOR, APUS_STATISTICS };

// What KVMShim uses.

/// Descriptors beyond are found by their inode, each time.
enum { APUS_FILES = 1 << 20 };

/// What is known of each descriptor: nothing (NULL), or a pointer of KVMShim's.
extern void *apus_shim_files[APUS_FILES];

static inline void *apus_file_get(int fd) {
  if (fd < 0 || fd >= APUS_FILES) return NULL;
  return __atomic_load_n(&apus_shim_files[fd], __ATOMIC_ACQUIRE);
}

/// Returns what was there before.
static inline void *apus_file_set(int fd, void *file) {
  return __atomic_exchange_n(&apus_shim_files[fd], file, __ATOMIC_ACQ_REL);
}

/// Begins to watch signals and forks; at the first opening of /dev/kvm.
void apus_shim_activate(void);

/// Makes a file in memory that stands for one of KVM's, `size` bytes that nobody can change the
/// number of; -errno.
int apus_shim_make_file(const char *name, size_t size, int is_close_on_exec);

/// The file behind a descriptor: its device and inode numbers; whether it has any.
int apus_shim_identity(int fd, uint64_t identity[2]);
/// Whether the descriptor is a file of `apus_shim_make_file` whose name begins like this.
int apus_shim_is_named(int fd, const char *prefix);

/// Enters and leaves a piece of code that client's signal handlers must not interrupt. A signal
/// that arrives meanwhile waits.
void apus_shim_enter(void);
void apus_shim_leave(void);
/// Names the processor whose run a signal is to end, from now to `apus_shim_leave`.
void apus_shim_set_running(void *processor);
/// Whether a signal has come since `apus_shim_enter`.
int apus_shim_is_signalled(void);

/// Changes the set of blocked signals until the matching `apus_shim_leave`. Returns whether one of
/// those now let through is waiting already; then the set is unchanged.
int apus_shim_swap_mask(uint64_t mask);

/// Blocks every signal for threads that are made meanwhile; gives the old set back.
uint64_t apus_shim_block_all(void);
void apus_shim_unblock(uint64_t old);

/// Copies to or from memory that a client named; 0, or -EFAULT where it may not be touched.
int apus_shim_copy(void *to, const void *from, size_t count);

/// Makes `apus_shim_copy` survive bad addresses.
int apus_shim_guard_copies(void);

#endif
