/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading an instance's log (instance_log.h): the newest lines of both parts, then what
 * comes, as inotify tells of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "instance_log.h"

/* Lines of both streams together, in the order in which they begin. */
struct count {
    uint64_t lines, line[2];
    bool inside[2]; /* the stream stands inside a line */
};

struct reader {
    int dir, fd;
    const struct log_view *view;
    struct buf rest; /* records that were read and not shown */
    struct count shown;
    uint64_t skip; /* lines at the beginning */
};

/* Reads what the file has now. */
static void file_take(int fd, struct buf *b)
{
    char bytes[65536];
    ssize_t n;
    while ((n = read(fd, bytes, sizeof bytes)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            buf_add(b, bytes, (size_t)n);
}

/* A record that stands at `at`; its text ends with a newline. */
struct record {
    const char *time, *text;
    size_t time_size, text_size;
    enum log_stream stream;
    bool open; /* the line goes on in the next record of the stream */
};

/* Finds the record at *at and moves behind it; false: there is no whole one. Lines that are none
 * are passed over. */
static bool record_next(const struct buf *b, size_t *at, struct record *r)
{
    const char *end;
    while (*at < b->size && (end = memchr(b->data + *at, '\n', b->size - *at))) {
        const char *start = b->data + *at;
        const char *word = memchr(start, ' ', (size_t)(end - start));
        const char *text = word ? memchr(word + 1, ' ', (size_t)(end - word - 1)) : NULL;
        *at = (size_t)(end + 1 - b->data);
        if (!text)
            continue;
        *r = (struct record){.time = start,
                             .time_size = (size_t)(word - start),
                             .text = text + 1,
                             .text_size = (size_t)(end - text - 1),
                             .stream = word[1] == 'o' ? LOG_OUT : LOG_ERR,
                             .open = text[-1] == '+'};
        return true;
    }
    return false;
}

/* The number of the line that the record belongs to, from 1. */
static uint64_t count_record(struct count *c, const struct record *r)
{
    if (!c->inside[r->stream])
        c->line[r->stream] = ++c->lines;
    c->inside[r->stream] = r->open;
    return c->line[r->stream];
}

static void record_show(struct reader *r, const struct record *one)
{
    FILE *to = one->stream == LOG_OUT ? stdout : stderr;
    bool begins = !r->shown.inside[one->stream];
    if (count_record(&r->shown, one) <= r->skip)
        return;
    if (r->view->timestamps && begins)
        fprintf(to, "%.*s ", (int)one->time_size, one->time);
    fwrite(one->text, 1, one->text_size, to);
    if (!one->open)
        putc('\n', to);
}

/* Shows whole records; what is behind the last newline stays. */
static void records_show(struct reader *r)
{
    struct record one;
    size_t at = 0;
    while (record_next(&r->rest, &at, &one))
        record_show(r, &one);
    buf_drop(&r->rest, at);
    fflush(stdout);
}

/* How many lines there are to leave out, so that only the last ones are shown. */
static uint64_t lines_before(const struct buf *b, uint64_t last)
{
    struct count c = {0};
    struct record one;
    size_t at = 0;
    while (record_next(b, &at, &one))
        count_record(&c, &one);
    return c.lines > last ? c.lines - last : 0;
}

/* The current part, if it is another one than that we have. */
static bool part_next(struct reader *r)
{
    struct stat ours, there;
    int fd = openat(r->dir, LOG_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool another = fd >= 0 && fstat(fd, &there) == 0 &&
                   (r->fd < 0 || (fstat(r->fd, &ours) == 0 && ours.st_ino != there.st_ino));
    if (another) {
        if (r->fd >= 0) {
            file_take(r->fd, &r->rest); /* written before it was put aside */
            close(r->fd);
        }
        r->fd = fd;
    } else if (fd >= 0) {
        close(fd);
    }
    return another;
}

static void first_take(struct reader *r)
{
    struct stat new, old;
    r->fd = openat(r->dir, LOG_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    int fd = openat(r->dir, LOG_OLD, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool same = fd >= 0 && r->fd >= 0 && fstat(fd, &old) == 0 && fstat(r->fd, &new) == 0 &&
                old.st_ino == new.st_ino; /* put aside between our two steps */
    if (fd >= 0 && !same)
        file_take(fd, &r->rest);
    if (fd >= 0)
        close(fd);
    if (r->fd >= 0)
        file_take(r->fd, &r->rest);
    r->skip = lines_before(&r->rest, r->view->lines);
    records_show(r);
}

static void follow(struct reader *r, int notes, int ended)
{
    struct pollfd p[] = {{.fd = notes, .events = POLLIN}, {.fd = ended, .events = POLLIN}};
    char events[4096];
    for (bool last = false;; last = p[1].revents) {
        do {
            if (r->fd >= 0)
                file_take(r->fd, &r->rest);
        } while (part_next(r));
        records_show(r);
        if (last || ferror(stdout))
            return;
        if (poll(p, 2, -1) > 0 && p[0].revents && read(notes, events, sizeof events) < 0)
            return;
    }
}

bool log_show(int dir, const struct log_view *v, int ended, struct err *err)
{
    struct reader r = {.dir = dir, .fd = -1, .view = v};
    char *path = alloc_printf("/proc/self/fd/%d", dir);
    int notes = ended >= 0 ? inotify_init1(IN_CLOEXEC) : -1;
    bool ok = true;
    if (ended >= 0 && (notes < 0 || inotify_add_watch(notes, path, IN_MODIFY | IN_CREATE) < 0))
        ok = err_errno(err, "watch", "the log");
    if (ok)
        first_take(&r);
    if (ok && ended >= 0)
        follow(&r, notes, ended);
    if (notes >= 0)
        close(notes);
    if (r.fd >= 0)
        close(r.fd);
    buf_free(&r.rest);
    free(path);
    return ok;
}
