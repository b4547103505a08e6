#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Nothing left: blocks, inodes, the disposable root, memory for tmpfs. The program gets
# ENOSPC and goes on, what it had stays whole, and what it deletes is free again.
. "$(dirname "$0")/lib.sh"

E2E_LIMIT=150
FULL=${FULL:-1} # times the cycles; `make check-long` takes more

volume_make() { # SIZE MKE2FS-OPTION...
    local size=$1
    shift
    rm -f disk && truncate -s "$size" disk
    mke2fs -q -F -t ext4 "$@" disk >/dev/null 2>&1 || fail "mke2fs"
    e2fsck -fy disk >/dev/null 2>&1
    counts >counts-before
}

counts() { dumpe2fs -h disk 2>/dev/null | grep -E '^Free (blocks|inodes):'; }

# The volume is sound, and has as much room as at the start.
as_before() {
    e2fsck -fn disk >fsck 2>&1 || fail "e2fsck: $(head -c 500 fsck)"
    counts >counts-after
    cmp -s counts-before counts-after || fail "room is lost: $(tr '\n' ' ' <counts-before) became $(tr '\n' ' ' <counts-after)"
}

# fill DIRECTORY CYCLES: fills it with files of all sizes until nothing more goes in, by
# writes, allocation, directories, links and mappings; looks at them; deletes; and again.
fill_program() {
    cc_program fill -static -pthread <<'END'
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#define FILES 4000
static unsigned sizes[FILES], made;
static unsigned char buf[300000];
static void die(const char *what, int i) { printf("%s %d: %s\n", what, i, strerror(errno)); exit(1); }
static void content(unsigned cycle, unsigned file, unsigned n) { for (unsigned k = 0; k < n; k++) buf[k] = (k * 7 + k / 253 + file * 31 + cycle) & 255; }
static int one(unsigned cycle, unsigned i) /* 1: full */
{
    char name[32];
    sizes[i] = 0;
    snprintf(name, sizeof name, "f%u", i);
    if (i % 17 == 0) { snprintf(name, sizeof name, "d%u", i); sizes[i] = 0; if (!mkdir(name, 0755)) return 0; if (errno != ENOSPC) die("mkdir", i); return 1; }
    int fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0644);
    if (fd < 0) { if (errno != ENOSPC) die("open", i); return 1; }
    unsigned n = (i * 7919 + cycle * 104729) % (i % 5 ? 30000 : 300000), done = 0;
    content(cycle, i, n);
    if (i % 7 == 3 && fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, n + 1) && errno != ENOSPC && errno != EOPNOTSUPP) die("fallocate", i);
    while (done < n) {
        ssize_t w = write(fd, buf + done, n - done > 50000 ? 50000 : n - done);
        if (w < 0 && errno != ENOSPC) die("write", i);
        if (w <= 0) break;
        done += w;
    }
    sizes[i] = done;
    if (i % 11 == 0 && fsync(fd)) die("fsync", i); /* what was accepted has its place */
    close(fd);
    if (i % 13 == 5) { char other[32]; snprintf(other, sizeof other, "r%u", i); if (rename(name, other) && errno != ENOSPC) die("rename", i); if (access(other, F_OK) == 0 && rename(other, name)) { if (errno != ENOSPC) die("rename back", i); if (unlink(other)) die("unlink", i); sizes[i] = 0; close(open(name, O_RDWR | O_CREAT, 0644)); } }
    return done < n;
}
static void look(unsigned cycle)
{
    static unsigned char got[300000];
    char name[32];
    for (unsigned i = 0; i < made; i++) {
        if (i % 17 == 0) continue;
        snprintf(name, sizeof name, "f%u", i);
        int fd = open(name, O_RDONLY);
        if (fd < 0) { if (sizes[i]) die("lost", i); continue; }
        ssize_t n = read(fd, got, sizeof got);
        content(cycle, i, sizes[i]);
        if (n != (ssize_t)sizes[i] || memcmp(got, buf, n)) die("differs", i);
        close(fd);
    }
}
static void clear(void)
{
    char name[32];
    for (unsigned i = 0; i < made; i++) {
        snprintf(name, sizeof name, i % 17 ? "f%u" : "d%u", i);
        if (i % 17 ? unlink(name) : rmdir(name)) if (errno != ENOENT) die("delete", i);
    }
}
int main(int argc, char **argv)
{
    struct statvfs before, after;
    unsigned cycles = atoi(argv[2]), least = FILES;
    if (chdir(argv[1])) die("chdir", 0);
    sync();
    statvfs(".", &before);
    for (unsigned c = 0; c < cycles; c++) {
        unsigned full = 0;
        if (mkdir("w", 0755) || chdir("w")) die("its own directory", c);
        for (made = 0; made < FILES && full < 8; ) full += one(c, made++);
        if (!full) die("it never was full", made);
        if (made < least) least = made;
        if (c % 10 == 3) sync();
        look(c);
        clear();
        if (chdir("..") || rmdir("w")) die("its own directory", c);
        if (c % 10 == 0 || c + 1 == cycles) {
            sync();
            statvfs(".", &after);
            if (argc < 4 && (after.f_bfree != before.f_bfree || after.f_ffree != before.f_ffree)) {
                printf("cycle %u: %lu blocks and %lu inodes were free, now %lu and %lu\n", c, (unsigned long)before.f_bfree, (unsigned long)before.f_ffree, (unsigned long)after.f_bfree, (unsigned long)after.f_ffree);
                exit(1);
            }
        }
    }
    printf("%u cycles of %u files or more\n", cycles, least);
    return 0;
}
END
}

test_blocks_run_out() {
    fill_program
    local words cycles options
    for words in '24 -b 4096' '14 -b 1024 -J size=1'; do
        read -r cycles options <<<"$words"
        # shellcheck disable=SC2086
        volume_make 8M $options
        ops run --smp 2 --mounts ./disk:/data ./fill /data $((cycles * FULL))
        [ "$STATUS" = 0 ] || fail "$options: $(cat out) $(said)"
        as_before
    done
}

test_inodes_run_out() {
    fill_program
    volume_make 32M -N 200
    ops run --mounts ./disk:/data ./fill /data $((12 * FULL))
    [ "$STATUS" = 0 ] || fail "$(cat out) $(said)"
    as_before
    [ "$(sed 's/.* of \([0-9]*\) files.*/\1/' out)" -lt 200 ] || fail "inodes were not what was missing: $(cat out)"
}

# The root is a copy that ends with the machine: it has little room, and the image no less after it.
test_the_root_is_full() {
    fill_program
    ops run ./fill / 3 root
    want_status 0
    ops run ./fill / 1 root
    want_status 0
}

test_memory_is_full() {
    fill_program
    for place in /tmp /dev/shm; do
        ops run -m 128M ./fill $place $((2 * FULL))
        [ "$STATUS" = 0 ] || fail "$place: $(cat out) $(said)"
    done
}

# Who writes to a full disk through a mapping that has no blocks gets SIGBUS, as in Linux.
test_a_mapping_of_a_full_disk() {
    cc_program mapped -static <<'END'
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
static sigjmp_buf out;
static void on_bus(int sig) { siglongjmp(out, sig); }
int main(int argc, char **argv)
{
    static char buf[4096];
    chdir(argv[1]);
    int hole = open("hole", O_RDWR | O_CREAT, 0644), fill = open("fill", O_RDWR | O_CREAT, 0644);
    ftruncate(hole, 1 << 20);
    while (write(fill, buf, sizeof buf) > 0) ;
    printf("%s\n", strerror(errno));
    char *at = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, hole, 0);
    signal(SIGBUS, on_bus);
    if (sigsetjmp(out, 1)) { printf("SIGBUS\n"); ftruncate(fill, 0); at[0] = 'x'; printf("%d\n", msync(at, 4096, MS_SYNC)); return 0; }
    for (int i = 0; i < 1 << 20; i += 4096) at[i] = 1;
    printf("it fits\n");
}
END
    volume_make 8M
    ops run --mounts ./disk:/data ./mapped /data
    want_status 0
    want_out $'No space left on device\nSIGBUS\n0'
    e2fsck -fn disk >fsck 2>&1 || fail "e2fsck: $(head -c 500 fsck)"
}

e2e_main "$@"
