// A tree of files through descriptors (O_PATH and others), so that no name is ever resolved beyond
// one step. Each function returns -errno on failure.
#ifndef APUS_CLINUX_TREE_H
#define APUS_CLINUX_TREE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/// O_PATH of open(2).
extern const int apus_path_only;

/// One step down from a directory, without following a link: a descriptor that only names a file.
int apus_step(int directory, const char *name);
/// Opens again, for use, what a descriptor names.
int apus_reopen(int fd, int flags);
/// Creates a regular file and opens it.
int apus_create_at(int directory, const char *name, int flags, unsigned int mode);

/// fstatat(2) of what the descriptor itself names.
int apus_status(int fd, struct stat *status);
int apus_read_link(int fd, char *buffer, size_t count);
int apus_make_directory(int directory, const char *name, unsigned int mode);
int apus_make_node(int directory, const char *name, unsigned int mode, uint64_t device);
int apus_make_link(int directory, const char *name, const char *target);
/// A second name for what a descriptor names.
int apus_link(int fd, int directory, const char *name);
int apus_remove(int directory, const char *name, int is_directory);
int apus_rename(int from, const char *name, int to, const char *new_name, unsigned int flags);

int apus_change_mode(int fd, unsigned int mode);
/// UINT32_MAX leaves a number as it is.
int apus_change_owner(int fd, uint32_t user, uint32_t group);
int apus_change_size(int fd, int64_t size);
/// Nanoseconds may be UTIME_NOW and UTIME_OMIT.
int apus_change_times(int fd, const struct timespec times[2]);

int apus_file_system(int fd, struct statvfs *status);
/// The number by which a file system's kind is known (statfs(2)).
long apus_file_system_kind(int fd);
long apus_read_directory(int fd, int64_t offset, void *buffer, size_t count);
int64_t apus_seek(int fd, int64_t offset, int whence);
int apus_allocate(int fd, int mode, int64_t offset, int64_t count);
int apus_synchronize(int fd, int only_data);

long apus_get_attribute(int fd, const char *name, void *buffer, size_t count);
int apus_set_attribute(int fd, const char *name, const void *value, size_t count, int flags);
long apus_list_attributes(int fd, char *buffer, size_t count);
int apus_remove_attribute(int fd, const char *name);

/// Allows this process as many open files as it may have (RLIMIT_NOFILE); how many that is.
unsigned long apus_allow_many_files(void);

#endif
