/* Keeps what has been synced: at each fsync of a file its content, at each fsync of a folder its entries, under
   FOSI_JOURNAL and a name made of the inode and the time of birth. What isn't there after a kill would be lost with the
   page cache. Loaded into the program with LD_PRELOAD. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME = 4096 };

/* 1 for a folder, 0 for another file, -1 for none. */
static int identify(int folder, const char *name, int flags, char *key) {
  struct statx s;
  if (statx(folder, name, flags, STATX_INO | STATX_BTIME | STATX_TYPE, &s) != 0) return -1;
  snprintf(key, NAME, "%llu-%lld-%u", (unsigned long long)s.stx_ino, (long long)s.stx_btime.tv_sec, s.stx_btime.tv_nsec);
  return S_ISDIR(s.stx_mode) ? 1 : 0;
}

static void copy_content(int fd, FILE *out) {
  char path[64], buffer[1 << 16];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  int in = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t length;
  while (in >= 0 && (length = read(in, buffer, sizeof buffer)) > 0) fwrite(buffer, 1, (size_t)length, out);
  if (in >= 0) close(in);
}

static void list_entries(int fd, FILE *out) {
  char key[NAME];
  int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *folder = own < 0 ? NULL : fdopendir(own);
  struct dirent *entry;
  while (folder && (entry = readdir(folder))) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    int kind = identify(fd, entry->d_name, AT_SYMLINK_NOFOLLOW, key);
    if (kind >= 0) fprintf(out, "%s %c %s\n", key, kind ? 'd' : 'f', entry->d_name);
  }
  if (folder) closedir(folder);
}

/* Whole or not at all, as the process can be killed here too. */
static void keep(int fd) {
  static atomic_uint count;
  const char *journal = getenv("FOSI_JOURNAL");
  char key[NAME], part[2 * NAME], whole[2 * NAME];
  int kind = identify(fd, "", AT_EMPTY_PATH, key);
  if (!journal || kind < 0) return;
  snprintf(part, sizeof part, "%s/part-%d-%u", journal, (int)getpid(), atomic_fetch_add(&count, 1));
  snprintf(whole, sizeof whole, "%s/%s", journal, key);
  FILE *out = fopen(part, "wbe");
  if (!out) return;
  if (kind)
    list_entries(fd, out);
  else
    copy_content(fd, out);
  if (fclose(out) == 0) rename(part, whole);
}

static int sync_with(const char *name, int fd) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  int outcome = real(fd);
  if (outcome == 0) keep(fd);
  return outcome;
}

int fsync(int fd) { return sync_with("fsync", fd); }

int fdatasync(int fd) { return sync_with("fdatasync", fd); }
