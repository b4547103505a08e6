/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program under load: does what the plan of its seed says and tells each
 * operation that has returned, `WORKER INDEX` a line. With `mark` it also writes the
 * number of each operation that promises something into a file, which the log of the
 * disk's writes then has in its place.
 *   load DIRECTORY SEED STEPS [mark]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plan.h"

#define KEPT 4 /* deleted files that are still open */

struct worker {
    struct plan plan;
    pthread_t thread;
    int kept[KEPT];
    int marks;
};

static const char *directory;
static uint64_t seed;
static uint32_t steps;

static void die(const struct op *op, const char *what)
{
    fprintf(stderr, "load: operation %u, kind %u: %s: %s\n", op->index, op->kind, what,
            strerror(errno));
    _exit(1);
}

static int name_open(struct worker *w, const struct op *op, unsigned name, int flags)
{
    char path[TEXT_MAX];
    plan_path(&w->plan, name, path);
    int fd = open(path, flags | O_CLOEXEC, op->file % 512);
    if (fd < 0)
        die(op, path);
    return fd;
}

static void units_fill(struct worker *w, const struct op *op, uint8_t *to)
{
    for (uint64_t at = 0; at < op->len; at += UNIT)
        plan_unit(w->plan.worker, op->file, (uint32_t)((op->off + at) / UNIT), op->index, to + at);
}

static void do_write(struct worker *w, const struct op *op, int flags)
{
    static __thread uint8_t buf[UNITS_MAX * UNIT];
    int fd = name_open(w, op, op->name, O_RDWR | flags);
    units_fill(w, op, buf);
    if (pwrite(fd, buf, op->len, (off_t)op->off) != (ssize_t)op->len)
        die(op, "pwrite");
    close(fd);
}

static void do_map_write(struct worker *w, const struct op *op)
{
    int fd = name_open(w, op, op->name, O_RDWR);
    uint64_t from = op->off & ~4095ull;
    uint8_t *at =
        mmap(NULL, op->off + op->len - from, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)from);
    if (at == MAP_FAILED)
        die(op, "mmap");
    units_fill(w, op, at + (op->off - from));
    if (op->kind == OP_MSYNC_WRITE && msync(at, op->off + op->len - from, MS_SYNC))
        die(op, "msync");
    munmap(at, op->off + op->len - from);
    close(fd);
}

static void do_fd(struct worker *w, const struct op *op)
{
    int fd = name_open(w, op, op->name, op->kind == OP_FSYNC ? O_RDONLY : O_RDWR), err = 0;
    if (op->kind == OP_FSYNC)
        err = fsync(fd);
    else if (op->kind == OP_FDATASYNC)
        err = fdatasync(fd);
    else if (op->kind == OP_TRUNCATE)
        err = ftruncate(fd, (off_t)op->len);
    else
        err = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)op->off,
                        (off_t)op->len);
    if (err)
        die(op, "fd");
    close(fd);
}

/* A file that was deleted while it is open takes more, and then is gone. */
static void kept_write(int fd, const struct op *op)
{
    static const char text[3 * UNIT] = "deleted";
    struct stat st;
    if (fd < 0)
        return;
    if (fstat(fd, &st) || (st.st_nlink == 0 && write(fd, text, sizeof text) < 0) || close(fd))
        die(op, "a deleted file");
}

static void do_names(struct worker *w, const struct op *op)
{
    char from[TEXT_MAX], to[TEXT_MAX];
    int *kept = &w->kept[op->index % KEPT], err;
    plan_path(&w->plan, op->name, from);
    plan_path(&w->plan, op->to, to);
    if (op->kind == OP_UNLINK) {
        kept_write(*kept, op);
        *kept = open(from, O_RDWR | O_APPEND | O_CLOEXEC);
        err = unlink(from);
    } else if (op->kind == OP_LINK) {
        err = link(from, to);
    } else {
        err =
            renameat2(AT_FDCWD, from, AT_FDCWD, to, op->kind == OP_EXCHANGE ? RENAME_EXCHANGE : 0);
    }
    if (err)
        die(op, from);
}

static void do_sync_directory(struct worker *w, const struct op *op)
{
    char path[TEXT_MAX];
    plan_path(&w->plan, op->name, path);
    *strrchr(path, '/') = 0;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd))
        die(op, path);
    close(fd);
}

static void perform(struct worker *w, const struct op *op)
{
    switch (op->kind) {
    case OP_CREATE:
        close(name_open(w, op, op->name, O_RDWR | O_CREAT | O_EXCL));
        break;
    case OP_WRITE:
        do_write(w, op, 0);
        break;
    case OP_SYNC_WRITE:
        do_write(w, op, O_SYNC);
        break;
    case OP_DSYNC_WRITE:
        do_write(w, op, O_DSYNC);
        break;
    case OP_MAP_WRITE:
    case OP_MSYNC_WRITE:
        do_map_write(w, op);
        break;
    case OP_SYNC_DIRECTORY:
        do_sync_directory(w, op);
        break;
    case OP_SYNC:
        sync();
        break;
    case OP_TRUNCATE:
    case OP_PUNCH:
    case OP_FSYNC:
    case OP_FDATASYNC:
        do_fd(w, op);
        break;
    default:
        do_names(w, op);
    }
}

static bool promises(const struct op *op)
{
    return op->kind == OP_SYNC_WRITE || op->kind == OP_DSYNC_WRITE || op->kind == OP_MSYNC_WRITE ||
           op->kind >= OP_FSYNC;
}

static void mark(struct worker *w, const struct op *op)
{
    static __thread uint8_t block[UNIT];
    struct mark m = {.seed = seed, .worker = w->plan.worker, .index = op->index};
    memcpy(m.magic, MARK_MAGIC, sizeof m.magic);
    memcpy(block, &m, sizeof m);
    off_t at = (off_t)(w->plan.worker * MARK_SPACE);
    if (pwrite(w->marks, block, sizeof block, at) != sizeof block || fdatasync(w->marks))
        die(op, "mark");
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct op op;
    char line[32];
    while (w->plan.index < steps) {
        plan_next(&w->plan, &op);
        perform(w, &op);
        if (w->marks >= 0 && promises(&op))
            mark(w, &op);
        int n = snprintf(line, sizeof line, "%u %u\n", w->plan.worker, op.index);
        if (write(1, line, (size_t)n) != n)
            die(&op, "stdout");
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static struct worker workers[WORKERS];
    if (argc < 4)
        return 2;
    directory = argv[1];
    seed = strtoull(argv[2], NULL, 0);
    steps = (uint32_t)strtoul(argv[3], NULL, 0);
    umask(0);
    if (steps > STEPS_MAX || chdir(directory)) {
        perror(directory);
        return 2;
    }
    int marks = argc > 4 ? open(MARKS_NAME, O_RDWR | O_CLOEXEC) : -1;
    for (unsigned i = 0; i < WORKERS; i++) {
        plan_init(&workers[i].plan, seed, i);
        workers[i].marks = marks;
        for (unsigned k = 0; k < KEPT; k++)
            workers[i].kept[k] = -1;
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
            return 1;
    }
    for (unsigned i = 0; i < WORKERS; i++)
        pthread_join(workers[i].thread, NULL);
    return 0;
}
