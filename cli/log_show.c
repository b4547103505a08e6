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

struct reader {
    int dir, fd;
    const struct log_view *view;
    struct buf rest; /* records that were read and not shown */
    bool inside[2];  /* the stream stands inside a line */
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

static void record_show(struct reader *r, const char *record, size_t n)
{
    const char *word = memchr(record, ' ', n);
    const char *text = word ? memchr(word + 1, ' ', n - (size_t)(word + 1 - record)) : NULL;
    if (!text)
        return;
    enum log_stream stream = word[1] == 'o' ? LOG_OUT : LOG_ERR;
    bool open = text[-1] == '+';
    FILE *to = stream == LOG_OUT ? stdout : stderr;
    if (r->view->timestamps && !r->inside[stream])
        fprintf(to, "%.*s ", (int)(word - record), record);
    text++;
    fwrite(text, 1, n - (size_t)(text - record), to);
    if (!open)
        putc('\n', to);
    r->inside[stream] = open;
}

/* Shows whole records; what is behind the last newline stays. */
static void records_show(struct reader *r)
{
    size_t at = 0;
    const char *end;
    while (at < r->rest.size && (end = memchr(r->rest.data + at, '\n', r->rest.size - at))) {
        size_t n = (size_t)(end - r->rest.data) - at;
        record_show(r, r->rest.data + at, n);
        at += n + 1;
    }
    buf_drop(&r->rest, at);
    fflush(stdout);
}

/* Does the record from there on end a line? */
static bool record_ends_line(const char *record, size_t n)
{
    const char *word = memchr(record, ' ', n);
    const char *text = word ? memchr(word + 1, ' ', n - (size_t)(word + 1 - record)) : NULL;
    return text && text[-1] != '+';
}

/* Drops all records but those of the last lines. */
static void lines_limit(struct buf *b, uint64_t lines)
{
    size_t end = b->size, cut = 0;
    if (lines == UINT64_MAX)
        return;
    while (end && b->data[end - 1] != '\n')
        end--;
    while (end && !cut) {
        const char *before = end > 1 ? memrchr(b->data, '\n', end - 1) : NULL;
        size_t start = before ? (size_t)(before + 1 - b->data) : 0;
        bool open_end = end == b->size && !record_ends_line(b->data + start, end - start);
        if (open_end || record_ends_line(b->data + start, end - start)) {
            if (lines == 0)
                cut = end;
            else
                lines--;
        }
        end = start;
    }
    if (cut)
        buf_drop(b, cut);
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
    lines_limit(&r->rest, r->view->lines);
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
