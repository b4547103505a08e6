/* SPDX-License-Identifier: Apache-2.0 */
/* A disk at /mnt: whole files, single blocks from one thread and from 32, names, and sync. */
#include "guest.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define BIG     "/mnt/big"
#define MB      (1l << 20)
#define BLOCK   4096
#define THREADS 32
#define NAMES   10000

static char piece[MB] __attribute__((aligned(BLOCK)));
static long big_size;
static int big;

/* Nothing of the file is in memory any more. */
static void forget(void)
{
    NEED(fsync(big) == 0);
    NEED(posix_fadvise(big, 0, 0, POSIX_FADV_DONTNEED) == 0);
}

static void write_all(long n)
{
    big_size = n;
    NEED(ftruncate(big, 0) == 0);
    for (long at = 0; at < n; at += MB)
        NEED(pwrite(big, piece, MB, at) == MB);
    NEED(fsync(big) == 0);
}

static void read_all(long n)
{
    for (long at = 0; at < n; at += MB)
        NEED(pread(big, piece, MB, at) == MB);
}

/* As a program that is executed: its pages are touched in order. */
static void map_all(long n)
{
    volatile char *p = mmap(NULL, (size_t)n, PROT_READ, MAP_PRIVATE, big, 0);
    char sum = 0;
    NEED(p != MAP_FAILED);
    for (long at = 0; at < n; at += BLOCK)
        sum = (char)(sum + p[at]);
    NEED(munmap((void *)p, (size_t)n) == 0);
}

static uint64_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

struct job {
    long n;
    uint64_t state;
    bool write;
    pthread_t thread;
};

static void *blocks(void *arg)
{
    struct job *j = arg;
    void *buf;
    int fd = open(BIG, O_RDWR | O_DIRECT);
    NEED(fd >= 0 && posix_memalign(&buf, BLOCK, BLOCK) == 0);
    memset(buf, 7, BLOCK);
    for (long i = 0; i < j->n; i++) {
        long at = (long)(next(&j->state) % (uint64_t)(big_size / BLOCK)) * BLOCK;
        NEED((j->write ? pwrite(fd, buf, BLOCK, at) : pread(fd, buf, BLOCK, at)) == BLOCK);
    }
    free(buf);
    close(fd);
    return NULL;
}

static void random_blocks(long n, bool write, int threads)
{
    struct job jobs[THREADS];
    for (int i = 0; i < threads; i++) {
        jobs[i] = (struct job){.n = n / threads, .state = (uint64_t)i + 1, .write = write};
        NEED(pthread_create(&jobs[i].thread, NULL, blocks, &jobs[i]) == 0);
    }
    for (int i = 0; i < threads; i++)
        pthread_join(jobs[i].thread, NULL);
}

static void read_one(long n)
{
    random_blocks(n, false, 1);
}
static void read_many(long n)
{
    random_blocks(n, false, THREADS);
}
static void write_one(long n)
{
    random_blocks(n, true, 1);
}
static void write_many(long n)
{
    random_blocks(n, true, THREADS);
}

static void appends(long n, int (*sync)(int fd))
{
    int fd = open("/mnt/log", O_RDWR | O_CREAT | O_TRUNC, 0644);
    NEED(fd >= 0);
    while (n--)
        NEED(write(fd, piece, BLOCK) == BLOCK && sync(fd) == 0);
    close(fd);
}

static void append_sync(long n)
{
    appends(n, fsync);
}

static void overwrite_sync(long n)
{
    int fd = open("/mnt/log", O_RDWR);
    NEED(fd >= 0);
    for (long i = 0; i < n; i++)
        NEED(pwrite(fd, piece, BLOCK, i % 16 * BLOCK) == BLOCK && fdatasync(fd) == 0);
    close(fd);
}

static char *name_of(char *out, long i)
{
    sprintf(out, "/mnt/names/file-%ld", i);
    return out;
}

static void create(long n)
{
    char name[64];
    mkdir("/mnt/names", 0755);
    while (n--) {
        int fd = open(name_of(name, n), O_WRONLY | O_CREAT | O_EXCL, 0644);
        NEED(fd >= 0 && close(fd) == 0);
    }
}

static void stat_all(long n)
{
    char name[64];
    struct stat st;
    while (n--)
        NEED(stat(name_of(name, n), &st) == 0);
}

static void unlink_all(long n)
{
    char name[64];
    while (n--)
        NEED(unlink(name_of(name, n)) == 0);
}

static void create_all(void)
{
    create(NAMES);
}

static void open_cached(long n)
{
    while (n--) {
        int fd = open("/mnt/a/b/c/file", O_RDONLY);
        NEED(fd >= 0 && close(fd) == 0);
    }
}

static void path_row(void)
{
    NEED(mkdir("/mnt/a", 0755) == 0 && mkdir("/mnt/a/b", 0755) == 0);
    NEED(mkdir("/mnt/a/b/c", 0755) == 0);
    int fd = open("/mnt/a/b/c/file", O_WRONLY | O_CREAT, 0644);
    NEED(fd >= 0 && close(fd) == 0);
    measure("open", open_cached, 5000);
}

static void unlink_names(void)
{
    unlink_all(NAMES);
}

static void nothing(void)
{
}

void rows_disk(void)
{
    big = open(BIG, O_RDWR | O_CREAT, 0644);
    NEED(big >= 0);
    memset(piece, 'x', sizeof piece);
    measure_slow("writeall", nothing, write_all, 256 * MB);
    measure_slow("readall", forget, read_all, 256 * MB);
    measure_slow("mapall", forget, map_all, 64 * MB);
    measure_slow("read1", forget, read_one, 4000);
    measure_slow("read32", forget, read_many, 32 * 250);
    measure_slow("write1", forget, write_one, 4000);
    measure_slow("write32", forget, write_many, 32 * 250);
    measure_slow("append", nothing, append_sync, 300);
    measure_slow("overwrite", nothing, overwrite_sync, 300);
    create_all();
    unlink_names(); /* the directory is there, and as long as it will be */
    create_all();
    measure_slow("stat", nothing, stat_all, NAMES);
    unlink_names();
    measure_slow("unlink", create_all, unlink_all, NAMES);
    create_all();
    measure_slow("create", unlink_names, create, NAMES);
    path_row();
}
