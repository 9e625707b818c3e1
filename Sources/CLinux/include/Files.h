// Files at offsets. Each function returns -errno on failure.
#ifndef APUS_CLINUX_FILES_H
#define APUS_CLINUX_FILES_H

#include <stddef.h>
#include <stdint.h>

/// pread(2) and pwrite(2), restarted when interrupted.
long apus_pread(int fd, void *buffer, size_t count, int64_t offset);
long apus_pwrite(int fd, const void *buffer, size_t count, int64_t offset);

/// fdatasync(2), and fallocate(2) for a hole that leaves the file's size.
int apus_fdatasync(int fd);
int apus_punch_hole(int fd, int64_t offset, int64_t count);

/// The size of a block device in bytes (BLKGETSIZE64).
int64_t apus_block_size(int fd);

/// Opens the file of another descriptor once more, past the page cache (O_DIRECT).
int apus_open_direct(int fd, int flags);

/// Gives the file another size (ftruncate(2)).
int apus_truncate(int fd, int64_t size);

/// Where the next bytes are that are not a hole (lseek(2), SEEK_DATA); -ENXIO if there are none.
int64_t apus_next_data(int fd, int64_t offset);

/// Locks the file for its open description (flock(2)) unless somebody else has; -EWOULDBLOCK then.
int apus_try_lock(int fd, int exclusive);

#endif
