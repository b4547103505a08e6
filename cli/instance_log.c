/* SPDX-License-Identifier: Apache-2.0 */
/* Writing an instance's log: see instance_log.h. */
#include "instance_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"

void log_time(char text[LOG_TIME])
{
    struct timespec t;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &t);
    gmtime_r(&t.tv_sec, &tm);
    size_t n = strftime(text, LOG_TIME, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, LOG_TIME - n, ".%06ldZ", t.tv_nsec / 1000);
}

bool log_open(struct instance_log *l, int dir, uint64_t limit, struct err *err)
{
    struct stat st;
    *l = (struct instance_log){.dir = dir, .limit = limit};
    l->fd = openat(dir, LOG_FILE, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (l->fd < 0 || fstat(l->fd, &st) < 0)
        return err_errno(err, "open", "the log");
    l->size = (uint64_t)st.st_size;
    return true;
}

static void log_rotate(struct instance_log *l)
{
    int fd = -1;
    if (renameat(l->dir, LOG_FILE, l->dir, LOG_OLD) == 0)
        fd = openat(l->dir, LOG_FILE, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return; /* it goes on where it was */
    close(l->fd);
    l->fd = fd;
    l->size = 0;
}

/* All of it or nothing. */
static bool record_write(struct instance_log *l, const struct buf *b)
{
    if (l->size && l->size + b->size > l->limit)
        log_rotate(l);
    ssize_t n;
    while ((n = write(l->fd, b->data, b->size)) < 0 && errno == EINTR)
        ;
    if (n == (ssize_t)b->size) {
        l->size += b->size;
        return true;
    }
    if (n > 0 && ftruncate(l->fd, (off_t)l->size) < 0)
        l->size += (uint64_t)n;
    return false;
}

static bool lost_write(struct instance_log *l, const char *time)
{
    struct buf b = {0};
    buf_addf(&b, "%s err ops: %llu bytes found no room on the disk\n", time,
             (unsigned long long)l->lost);
    bool ok = record_write(l, &b);
    if (ok)
        l->lost = 0;
    buf_free(&b);
    return ok;
}

void log_write(struct instance_log *l, enum log_stream stream, const char *bytes, size_t n)
{
    char time[LOG_TIME];
    log_time(time);
    while (n) {
        struct buf b = {0};
        const char *end = memchr(bytes, '\n', n);
        size_t length = end ? (size_t)(end - bytes) : n, taken = end ? length + 1 : length;
        buf_addf(&b, "%s %s%s ", time, stream == LOG_OUT ? "out" : "err", end ? "" : "+");
        buf_add(&b, bytes, length);
        buf_add(&b, "\n", 1);
        if ((l->lost && !lost_write(l, time)) || !record_write(l, &b))
            l->lost += taken;
        buf_free(&b);
        bytes += taken;
        n -= taken;
    }
}

void log_close(struct instance_log *l)
{
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}
