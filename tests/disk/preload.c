/* Stands between a program and its files under one folder (LD_PRELOAD): writes down in order what the program does to
 * them, and fails the calls that it is told to fail. `tests.disk.trace` reads the one, `tests.disk.faults` gives the
 * other. Everything outside the folder passes through untouched.
 *
 *   DISK_FOLDER   the folder: absolute, without symbolic links
 *   DISK_TRACE    a file that records are appended to: `struct record`, then its payload
 *   DISK_CONTROL  a file of `struct control`, shared with whoever decides about faults
 *
 * One lock is held from a call's start until it is written down, so the order in the trace is the order of the calls.
 * The system's calls are made directly: nothing here can come back to itself. Linux with glibc, 64 bits.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct record {
  uint32_t bytes; /* of the payload */
  uint32_t kind;  /* a letter */
  uint64_t inode;
  int64_t number; /* an offset or a size */
};

enum operation { OPEN, READ, WRITE, SYNC, RESIZE, RENAME, UNLINK, MKDIR, STAT, LIST, OPERATIONS };

struct control {
  int32_t operations; /* a bit for each that may fail */
  int32_t skip;       /* calls to let pass first */
  int32_t error;      /* errno */
  int32_t times;      /* how many to fail after that */
  int32_t failed;     /* how many did */
  int32_t calls[OPERATIONS];
};

#define DESCRIPTORS 65536
static unsigned char watched[DESCRIPTORS];
static char folder[PATH_MAX];
static size_t folder_bytes;
static int trace = -1;
static struct control *control;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void enter(void) { pthread_mutex_lock(&lock); }

static void leave(void) {
  int kept = errno;
  pthread_mutex_unlock(&lock);
  errno = kept;
}

__attribute__((constructor)) static void start(void) {
  const char *name = getenv("DISK_FOLDER");
  if (!name || !*name) return;
  snprintf(folder, sizeof folder, "%s", name);
  folder_bytes = strlen(folder);
  if ((name = getenv("DISK_TRACE")) && *name) {
    int low = syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_APPEND | O_CLOEXEC, 0);
    if (low < 0) abort();
    /* Out of the way of the program's own descriptors. */
    trace = fcntl(low, F_DUPFD_CLOEXEC, 200);
    syscall(SYS_close, low);
  }
  if ((name = getenv("DISK_CONTROL")) && *name) {
    int file = syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_CLOEXEC, 0);
    void *mapped = (void *)syscall(SYS_mmap, NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (file < 0 || mapped == MAP_FAILED) abort();
    syscall(SYS_close, file);
    control = mapped;
  }
  /* Programs that this one starts are none of our business. */
  unsetenv("LD_PRELOAD");
}

static void put(char kind, uint64_t inode, int64_t number, const void *payload, size_t bytes) {
  if (trace < 0) return;
  struct record record = {bytes, (unsigned char)kind, inode, number};
  struct iovec parts[] = {{&record, sizeof record}, {(void *)payload, bytes}};
  int kept = errno;
  if (syscall(SYS_writev, trace, parts, 2) != (long)(sizeof record + bytes)) abort();
  errno = kept;
}

/* Something that the reader of the trace could not follow: it must hear of it. */
static void unsupported(const char *what) { put('X', 0, 0, what, strlen(what)); }

static int fails(enum operation operation) {
  if (!control) return 0;
  control->calls[operation]++;
  if (!(control->operations >> operation & 1)) return 0;
  if (control->skip > 0) return control->skip--, 0;
  if (control->times <= 0) return 0;
  control->times--;
  control->failed++;
  errno = control->error;
  return 1;
}

/* The path from the folder on; NULL: elsewhere. */
static const char *inside(int directory, const char *path, char *buffer) {
  if (!folder_bytes || !path) return NULL;
  if (*path == '/') {
    snprintf(buffer, PATH_MAX, "%s", path);
  } else {
    char link[64], base[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
    long length = syscall(SYS_readlinkat, AT_FDCWD, directory == AT_FDCWD ? "/proc/self/cwd" : link, base, PATH_MAX - 1);
    if (length < 0) return NULL;
    base[length] = 0;
    if (snprintf(buffer, PATH_MAX, "%s/%s", base, path) >= PATH_MAX) return NULL;
  }
  size_t end = strlen(buffer);
  while (end > 1 && buffer[end - 1] == '/') buffer[--end] = 0;
  if (strncmp(buffer, folder, folder_bytes)) return NULL;
  if (!buffer[folder_bytes]) return "";
  if (buffer[folder_bytes] != '/') return NULL;
  if (strstr(buffer, "/../") || strstr(buffer, "/./")) unsupported("a path with dots");
  return buffer + folder_bytes + 1;
}

static int is_watched(int file) { return file >= 0 && file < DESCRIPTORS && watched[file]; }

static uint64_t inode_of(int file, struct stat *state) {
  return syscall(SYS_newfstatat, file, "", state, AT_EMPTY_PATH) ? 0 : state->st_ino;
}

static int open_file(int directory, const char *path, int flags, mode_t mode) {
  char buffer[PATH_MAX];
  const char *name = inside(directory, path, buffer);
  if (!name) {
    int file = syscall(SYS_openat, directory, path, flags, mode);
    if (file >= 0 && file < DESCRIPTORS) watched[file] = 0;
    return file;
  }
  enter();
  int file = -1;
  if (!fails(OPEN)) {
    struct stat before, now;
    int existed = !syscall(SYS_newfstatat, directory, path, &before, 0);
    file = syscall(SYS_openat, directory, path, flags, mode);
    if (file >= DESCRIPTORS) abort();
    if (file >= 0) {
      watched[file] = 1;
      uint64_t inode = inode_of(file, &now);
      if ((flags & O_TMPFILE) == O_TMPFILE) unsupported("O_TMPFILE");
      if (!existed && S_ISREG(now.st_mode)) put('C', inode, 0, name, strlen(name));
      if (existed && S_ISREG(now.st_mode) && flags & O_TRUNC) put('T', inode, 0, NULL, 0);
    }
  }
  leave();
  return file;
}

#define OPENS(function, before_path, directory)                \
  int function(before_path const char *path, int flags, ...) { \
    va_list more;                                              \
    va_start(more, flags);                                     \
    mode_t mode = va_arg(more, mode_t);                        \
    va_end(more);                                              \
    return open_file(directory, path, flags, mode);            \
  }
#define DIRECTORY int directory,
OPENS(open, , AT_FDCWD)
OPENS(open64, , AT_FDCWD)
OPENS(openat, DIRECTORY, directory)
OPENS(openat64, DIRECTORY, directory)
int __open_2(const char *path, int flags) { return open_file(AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags) { return open_file(AT_FDCWD, path, flags, 0); }
int creat(const char *path, mode_t mode) { return open_file(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

int close(int file) {
  if (file >= 0 && file < DESCRIPTORS) watched[file] = 0;
  return syscall(SYS_close, file);
}

/* What was just written to a file that somebody else's buffer was written to: read back from it. */
static void put_written(int file, int64_t offset, int64_t bytes) {
  struct stat state;
  char name[64], *data = malloc(bytes);
  snprintf(name, sizeof name, "/proc/self/fd/%d", file);
  int again = syscall(SYS_openat, AT_FDCWD, name, O_RDONLY | O_CLOEXEC, 0);
  if (!data || again < 0 || syscall(SYS_pread64, again, data, bytes, offset) != bytes) abort();
  put('W', inode_of(file, &state), offset, data, bytes);
  syscall(SYS_close, again);
  free(data);
}

/* `offset` -1: at the file's position, which has moved on by then. */
#define WRITES(file, offset, call)                                                     \
  if (!is_watched(file)) return call;                                                  \
  enter();                                                                             \
  long written = fails(WRITE) ? -1 : call;                                             \
  if (written > 0 && trace >= 0) {                                                     \
    int kept = errno;                                                                  \
    int64_t end = offset == -1 ? syscall(SYS_lseek, file, 0, SEEK_CUR) : offset + written; \
    put_written(file, end - written, written);                                         \
    errno = kept;                                                                      \
  }                                                                                    \
  leave();                                                                             \
  return written;

ssize_t write(int file, const void *data, size_t bytes) { WRITES(file, -1, syscall(SYS_write, file, data, bytes)) }
ssize_t writev(int file, const struct iovec *parts, int count) {
  WRITES(file, -1, syscall(SYS_writev, file, parts, count))
}
ssize_t pwrite64(int file, const void *data, size_t bytes, off64_t offset) {
  WRITES(file, offset, syscall(SYS_pwrite64, file, data, bytes, offset))
}
ssize_t pwrite(int file, const void *data, size_t bytes, off_t offset) { return pwrite64(file, data, bytes, offset); }
ssize_t pwritev64v2(int file, const struct iovec *parts, int count, off64_t offset, int flags) {
  WRITES(file, offset, syscall(SYS_pwritev2, file, parts, count, offset, 0, flags))
}
ssize_t pwritev64(int file, const struct iovec *parts, int count, off64_t offset) {
  return pwritev64v2(file, parts, count, offset, 0);
}
ssize_t pwritev(int file, const struct iovec *parts, int count, off_t offset) {
  return pwritev64v2(file, parts, count, offset, 0);
}
ssize_t sendfile64(int to, int from, off64_t *offset, size_t bytes) {
  WRITES(to, -1, syscall(SYS_sendfile, to, from, offset, bytes))
}
ssize_t sendfile(int to, int from, off_t *offset, size_t bytes) { return sendfile64(to, from, offset, bytes); }
ssize_t copy_file_range(int from, off64_t *read_at, int to, off64_t *write_at, size_t bytes, unsigned flags) {
  int64_t offset = write_at ? *write_at : -1;
  WRITES(to, offset, syscall(SYS_copy_file_range, from, read_at, to, write_at, bytes, flags))
}

#define READS(file, call)                                \
  if (!control || !is_watched(file)) return call;        \
  enter();                                               \
  long got = fails(READ) ? -1 : call;                    \
  leave();                                               \
  return got;

ssize_t read(int file, void *data, size_t bytes) { READS(file, syscall(SYS_read, file, data, bytes)) }
ssize_t pread64(int file, void *data, size_t bytes, off64_t offset) {
  READS(file, syscall(SYS_pread64, file, data, bytes, offset))
}
ssize_t pread(int file, void *data, size_t bytes, off_t offset) { return pread64(file, data, bytes, offset); }

static int resize(int file, int64_t size) {
  if (!is_watched(file)) return syscall(SYS_ftruncate, file, size);
  enter();
  struct stat state;
  int outcome = fails(RESIZE) ? -1 : syscall(SYS_ftruncate, file, size);
  if (!outcome) put('T', inode_of(file, &state), size, NULL, 0);
  leave();
  return outcome;
}
int ftruncate(int file, off_t size) { return resize(file, size); }
int ftruncate64(int file, off64_t size) { return resize(file, size); }

int truncate64(const char *path, off64_t size) {
  int file = open_file(AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
  if (file < 0) return -1;
  int outcome = resize(file, size);
  close(file);
  return outcome;
}
int truncate(const char *path, off_t size) { return truncate64(path, size); }

int fallocate64(int file, int mode, off64_t offset, off64_t bytes) {
  if (!is_watched(file)) return syscall(SYS_fallocate, file, mode, offset, bytes);
  enter();
  struct stat state;
  int outcome = fails(RESIZE) ? -1 : syscall(SYS_fallocate, file, mode, offset, bytes);
  if (mode) unsupported("fallocate with a mode");
  uint64_t inode = inode_of(file, &state);
  if (!outcome) put('T', inode, state.st_size, NULL, 0);
  leave();
  return outcome;
}
int fallocate(int file, int mode, off_t offset, off_t bytes) { return fallocate64(file, mode, offset, bytes); }
int posix_fallocate64(int file, off64_t offset, off64_t bytes) { return fallocate64(file, 0, offset, bytes) ? errno : 0; }
int posix_fallocate(int file, off_t offset, off_t bytes) { return posix_fallocate64(file, offset, bytes); }

static int synchronize(int file, long call) {
  if (!is_watched(file)) return syscall(call, file);
  enter();
  struct stat state;
  int outcome = fails(SYNC) ? -1 : syscall(call, file);
  if (!outcome) put('S', inode_of(file, &state), 0, NULL, 0);
  leave();
  return outcome;
}
int fsync(int file) { return synchronize(file, SYS_fsync); }
int fdatasync(int file) { return synchronize(file, SYS_fdatasync); }

static int rename_file(int from, const char *old, int to, const char *new, unsigned flags) {
  char first[PATH_MAX], second[PATH_MAX], both[2 * PATH_MAX];
  const char *source = inside(from, old, first), *target = inside(to, new, second);
  if (!source && !target) return syscall(SYS_renameat2, from, old, to, new, flags);
  enter();
  int outcome = fails(RENAME) ? -1 : syscall(SYS_renameat2, from, old, to, new, flags);
  if (!source || !target || flags) unsupported("a rename across the folder's edge, or with flags");
  if (!outcome) put('R', 0, 0, both, snprintf(both, sizeof both, "%s%c%s", source ? source : "", 0, target ? target : ""));
  leave();
  return outcome;
}
int rename(const char *old, const char *new) { return rename_file(AT_FDCWD, old, AT_FDCWD, new, 0); }
int renameat(int from, const char *old, int to, const char *new) { return rename_file(from, old, to, new, 0); }
int renameat2(int from, const char *old, int to, const char *new, unsigned flags) {
  return rename_file(from, old, to, new, flags);
}

/* What changes one entry of a directory. */
#define ENTRY(directory, path, operation, kind, call)                                     \
  char buffer[PATH_MAX];                                                                  \
  const char *name = inside(directory, path, buffer);                                     \
  if (!name) return call;                                                                 \
  enter();                                                                                \
  struct stat state = {0};                                                                \
  syscall(SYS_newfstatat, directory, path, &state, AT_SYMLINK_NOFOLLOW);                  \
  int outcome = fails(operation) ? -1 : call;                                             \
  if (!outcome && kind == 'M') syscall(SYS_newfstatat, directory, path, &state, 0);       \
  /* Sockets and the like are nothing that a disk keeps. */                               \
  if (!outcome && (S_ISREG(state.st_mode) || S_ISDIR(state.st_mode)))                     \
    put(kind, state.st_ino, 0, name, strlen(name));                                       \
  leave();                                                                                \
  return outcome;

int unlinkat(int directory, const char *path, int flags) {
  ENTRY(directory, path, UNLINK, 'U', syscall(SYS_unlinkat, directory, path, flags))
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
int mkdirat(int directory, const char *path, mode_t mode) {
  ENTRY(directory, path, MKDIR, 'M', syscall(SYS_mkdirat, directory, path, mode))
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int linkat(int from, const char *old, int to, const char *new, int flags) {
  char buffer[PATH_MAX];
  if (inside(to, new, buffer)) unsupported("link");
  return syscall(SYS_linkat, from, old, to, new, flags);
}
int link(const char *old, const char *new) { return linkat(AT_FDCWD, old, AT_FDCWD, new, 0); }
int symlinkat(const char *old, int to, const char *new) {
  char buffer[PATH_MAX];
  if (inside(to, new, buffer)) unsupported("symlink");
  return syscall(SYS_symlinkat, old, to, new);
}
int symlink(const char *old, const char *new) { return symlinkat(old, AT_FDCWD, new); }

void *mmap64(void *address, size_t bytes, int protection, int flags, int file, off64_t offset) {
  if (is_watched(file) && protection & PROT_WRITE && (flags & MAP_TYPE) != MAP_PRIVATE) unsupported("shared memory");
  return (void *)syscall(SYS_mmap, address, bytes, protection, flags, file, offset);
}
void *mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset) {
  return mmap64(address, bytes, protection, flags, file, offset);
}

/* What only looks: traced never, failed when told. */
#define LOOKS(directory, path, call)                                          \
  char buffer[PATH_MAX];                                                      \
  if (!control || !(*path ? inside(directory, path, buffer) != NULL : is_watched(directory))) return call; \
  enter();                                                                    \
  int outcome = fails(STAT) ? -1 : call;                                      \
  leave();                                                                    \
  return outcome;

int fstatat64(int directory, const char *path, struct stat64 *state, int flags) {
  LOOKS(directory, path, syscall(SYS_newfstatat, directory, path, state, flags))
}
int fstatat(int directory, const char *path, struct stat *state, int flags) {
  return fstatat64(directory, path, (struct stat64 *)state, flags);
}
int stat64(const char *path, struct stat64 *state) { return fstatat64(AT_FDCWD, path, state, 0); }
int stat(const char *path, struct stat *state) { return fstatat(AT_FDCWD, path, state, 0); }
int lstat64(const char *path, struct stat64 *state) { return fstatat64(AT_FDCWD, path, state, AT_SYMLINK_NOFOLLOW); }
int lstat(const char *path, struct stat *state) { return fstatat(AT_FDCWD, path, state, AT_SYMLINK_NOFOLLOW); }
int fstat64(int file, struct stat64 *state) { return fstatat64(file, "", state, AT_EMPTY_PATH); }
int fstat(int file, struct stat *state) { return fstatat(file, "", state, AT_EMPTY_PATH); }
int access(const char *path, int mode) { LOOKS(AT_FDCWD, path, syscall(SYS_faccessat, AT_FDCWD, path, mode)) }

DIR *opendir(const char *path) {
  static DIR *(*real)(const char *);
  char buffer[PATH_MAX];
  if (!real) real = (DIR * (*)(const char *)) dlsym(RTLD_NEXT, "opendir");
  if (!control || !inside(AT_FDCWD, path, buffer)) return real(path);
  enter();
  DIR *directory = fails(LIST) ? NULL : real(path);
  leave();
  return directory;
}
