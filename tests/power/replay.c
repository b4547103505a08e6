/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every state that a cut could have left, from the log of a run's writes (QEMU's
 * blklogwrites; the format is that of Linux' dm-log-writes):
 *   replay make BASE                                          an empty volume
 *   replay judge BASE LOG DIRECTORY SEED STEPS FIRST COUNT
 * State k cuts behind write k/2. The even one has all writes up to there, the odd one
 * has lost some of those since the last flush, by blocks of 4 KiB. COUNT states are
 * judged from FIRST on, evenly over the log (0: every second one; so FIRST 0 and 1
 * are all). The output's last line is `states PASSED FAILED`.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "judge.h"

#define LOG_MAGIC   0x6a736677736872ull
#define LOG_FLUSH   1
#define LOG_FUA     2
#define LOG_DISCARD 4
#define LOG_MARK    8
#define BLOCK       4096u
#define SECTOR      512u
#define VOLUME_MIB  32

struct log_super {
    uint64_t magic, version, entries;
    uint32_t sector_size;
};

struct log_entry {
    uint64_t sector, sectors, flags, data_len;
};

struct event {
    const uint8_t *data; /* NULL: a flush only */
    uint64_t at, bytes;
    bool flush;
};

struct replay {
    struct told told;
    const char *base, *dir;
    uint8_t *durable,
        *state; /* the disk: what flushes have made sure of, and with what came since */
    size_t bytes;
    struct event *events;
    size_t count, writes;
};

static void *map_file(const char *name, size_t *n)
{
    struct stat st;
    int fd = open(name, O_RDONLY);
    if (fd < 0 || fstat(fd, &st)) {
        perror(name);
        exit(2);
    }
    void *at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    *n = (size_t)st.st_size;
    close(fd);
    return at;
}

static bool log_read(struct replay *r, const char *name)
{
    size_t n;
    const uint8_t *log = map_file(name, &n);
    const struct log_super *s = (const struct log_super *)log;
    uint64_t sector = le32toh(s->sector_size), at = sector, entries = le64toh(s->entries);
    if (le64toh(s->magic) != LOG_MAGIC || !sector)
        return false;
    r->events = calloc(entries, sizeof *r->events);
    for (uint64_t i = 0; i < entries; i++) {
        const struct log_entry *e = (const struct log_entry *)(log + at);
        uint64_t flags = le64toh(e->flags), len = le64toh(e->sectors) * sector;
        at += sector;
        if (at + len > n || le64toh(e->sector) * sector + len > r->bytes)
            return false;
        if (flags & (LOG_MARK | LOG_DISCARD))
            return false; /* nobody marks; the kernel discards nothing */
        r->events[r->count++] = (struct event){len ? log + at : NULL, le64toh(e->sector) * sector,
                                               len, flags & (LOG_FLUSH | LOG_FUA)};
        r->writes += len != 0;
        at += len;
    }
    return r->writes != 0;
}

/* A mark in the write tells how far a worker was. */
static void mark_take(struct replay *r, const struct event *e)
{
    for (uint64_t at = 0; at + SECTOR <= e->bytes; at += SECTOR) {
        struct mark m;
        memcpy(&m, e->data + at, sizeof m);
        if (!memcmp(m.magic, MARK_MAGIC, sizeof m.magic) && m.seed == r->told.seed &&
            m.worker < WORKERS && m.index > r->told.done[m.worker])
            r->told.done[m.worker] = m.index;
    }
}

static void event_apply(uint8_t *disk, const struct event *e)
{
    if (e->data)
        memcpy(disk + e->at, e->data, e->bytes);
}

/* Some of the write's blocks. */
static void event_apply_part(uint8_t *disk, const struct event *e, unsigned of)
{
    for (uint64_t at = 0; at < e->bytes;) {
        uint64_t n = BLOCK - (e->at + at) % BLOCK;
        n = n < e->bytes - at ? n : e->bytes - at;
        if (rand() % (int)of)
            memcpy(disk + e->at + at, e->data + at, n);
        at += n;
    }
}

static bool state_judge(struct replay *r, size_t first, size_t cut, uint64_t number)
{
    char image[512];
    memcpy(r->state, r->durable, r->bytes);
    srand((unsigned)number);
    unsigned of = 2 + (unsigned)rand() % 5;
    for (size_t i = first; i < cut; i++)
        if (number % 2 == 0)
            event_apply(r->state, &r->events[i]);
        else if (r->events[i].data)
            event_apply_part(r->state, &r->events[i], of);
    snprintf(image, sizeof image, "%s/state-%d", r->dir, (int)getpid());
    int fd = open(image, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, r->state, r->bytes) != (ssize_t)r->bytes) {
        perror(image);
        exit(2);
    }
    close(fd);
    bool ok = judge_replay(image) && judge_sound(image) && judge_content(image, &r->told);
    if (!ok) {
        char keep[600];
        snprintf(keep, sizeof keep, "%s/state-%llu.bad", r->dir, (unsigned long long)number);
        rename(image, keep);
        printf("not ok state %llu of seed %llu: %u and %u operations were done\n",
               (unsigned long long)number, (unsigned long long)r->told.seed, r->told.done[0],
               r->told.done[1]);
        fflush(stdout);
    }
    return ok;
}

/* The states of interest in one walk through the log. */
static uint64_t walk(struct replay *r, uint64_t first_state, uint64_t count, uint64_t stride,
                     uint64_t *failed)
{
    uint64_t wanted = first_state, judged = 0, writes = 0;
    size_t epoch = 0; /* the first event behind the last flush */
    for (size_t i = 0; i < r->count && judged < count; i++) {
        const struct event *e = &r->events[i];
        if (e->data) {
            mark_take(r, e);
            for (; wanted / 2 == writes && judged < count; wanted += stride, judged++)
                *failed += !state_judge(r, epoch, i + 1, wanted);
            writes++;
        }
        if (!e->flush)
            continue;
        for (; epoch <= i; epoch++)
            event_apply(r->durable, &r->events[epoch]);
    }
    return judged;
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "make"))
        return !judge_make_volume(argv[2], VOLUME_MIB);
    if (argc != 9 || strcmp(argv[1], "judge"))
        return 2;
    struct replay r = {.base = argv[2], .dir = argv[4]};
    r.told.seed = strtoull(argv[5], NULL, 0);
    r.told.steps = (uint32_t)strtoul(argv[6], NULL, 0);
    const uint8_t *base = map_file(r.base, &r.bytes);
    r.durable = malloc(r.bytes);
    r.state = malloc(r.bytes);
    memcpy(r.durable, base, r.bytes);
    if (!log_read(&r, argv[3])) {
        fprintf(stderr, "replay: %s is no log of writes to that volume\n", argv[3]);
        return 2;
    }
    uint64_t failed = 0, first = strtoull(argv[7], NULL, 0), count = strtoull(argv[8], NULL, 0);
    uint64_t stride = count ? 2 * r.writes / count | 1 : 2; /* odd: both kinds of state */
    uint64_t judged = walk(&r, first, count ? count : UINT64_MAX, stride, &failed);
    printf("log %zu %zu\n", r.writes, r.count - r.writes);
    printf("states %llu %llu\n", (unsigned long long)(judged - failed), (unsigned long long)failed);
    return failed || !judged;
}
