/* SPDX-License-Identifier: Apache-2.0 */
/* Packages of Debian: see deb.h. The ar archive is read here, front to back. */
#include "import/deb.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "ops/exit.h"

#define AR_MAGIC      "!<arch>\n"
#define AR_HEADER     60 /* name 16, time 12, owner 6, group 6, mode 8, size 10, magic 2 */
#define AR_SIZE       48
#define AR_END        58
#define DEB_VERSION   16 /* bytes that debian-binary may have */
#define CONTROL_LIMIT (1u << 20)

struct deb {
    const char *name;
    int fd;
    struct budget *budget;
    struct err *err;
    struct stream *running;
};

static bool damaged(const struct deb *d, const char *how)
{
    if (!d->err->message) /* the first one counts */
        err_set(d->err, OPS_EXIT_FAILED, NULL, "%s is no package of Debian: %s", d->name, how);
    return false;
}

/* Exactly `n` bytes. With `end` none at all are fine: then *end. */
static bool read_all(const struct deb *d, void *bytes, size_t n, bool *end)
{
    size_t got = 0;
    while (got < n) {
        ssize_t r = read(d->fd, (char *)bytes + got, n - got);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return err_errno(d->err, "read", d->name);
        if (r == 0)
            break;
        got += (size_t)r;
    }
    if (end)
        *end = got == 0;
    return got == n || (end && *end) || damaged(d, "it ends too early");
}

struct member {
    char name[17];
    uint64_t size;
};

static bool member_next(const struct deb *d, struct member *m, bool *end)
{
    char header[AR_HEADER + 1] = "", digits[11] = "";
    if (!read_all(d, header, AR_HEADER, end))
        return false;
    if (*end)
        return true;
    if (memcmp(header + AR_END, "`\n", 2) != 0)
        return damaged(d, "a header of the archive in it is wrong");
    memcpy(m->name, header, 16);
    m->name[16] = 0;
    m->name[strcspn(m->name, " /")] = 0;
    memcpy(digits, header + AR_SIZE, 10);
    digits[strcspn(digits, " ")] = 0;
    if (!digits[0] || strspn(digits, "0123456789") != strlen(digits))
        return damaged(d, "a size in it is no number");
    m->size = strtoull(digits, NULL, 10);
    return true;
}

/* Members start at even offsets. */
static bool member_end(const struct deb *d, const struct member *m)
{
    char pad;
    bool end;
    return m->size % 2 == 0 || read_all(d, &pad, 1, &end);
}

static la_ssize_t control_bytes(struct archive *a, void *context, const void **bytes)
{
    struct deb *d = context;
    ssize_t n = stream_next(d->running, bytes, d->err);
    if (n < 0)
        archive_set_error(a, EIO, "%s", d->err->message);
    return n;
}

static bool control_add(struct deb *d, struct archive *a, struct archive_entry *e, struct buf *to)
{
    int64_t size = archive_entry_size(e);
    if (size < 0 || size > CONTROL_LIMIT)
        return damaged(d, "its control file is too large");
    char *text = alloc_zero((size_t)size + 1);
    bool ok = archive_read_data(a, text, (size_t)size) == size || damaged(d, "its control file");
    size_t n = strlen(text);
    while (n && text[n - 1] == '\n')
        n--;
    if (ok && (n == 0 || strlen(text) != (size_t)size))
        ok = damaged(d, "its control file is no text");
    if (ok) {
        buf_add(to, text, n);
        buf_add(to, "\n\n", 2);
    }
    free(text);
    return ok;
}

static bool control_read(struct deb *d, struct buf *to)
{
    struct archive *a = archive_read_new();
    struct archive_entry *e;
    bool ok = a != NULL, found = false;
    int status = ARCHIVE_OK;
    if (ok) {
        archive_read_support_format_tar(a);
        ok = archive_read_open(a, d, NULL, control_bytes, NULL) == ARCHIVE_OK;
    }
    while (ok && (status = archive_read_next_header(a, &e)) == ARCHIVE_OK) {
        const char *path = archive_entry_pathname(e);
        if (found || !path || archive_entry_filetype(e) != AE_IFREG ||
            (strcmp(path, "./control") != 0 && strcmp(path, "control") != 0))
            continue;
        found = true;
        ok = control_add(d, a, e, to);
    }
    if (!ok || status != ARCHIVE_EOF)
        ok = damaged(d, a && archive_error_string(a) ? archive_error_string(a) : "control.tar");
    archive_read_free(a);
    return ok && (found || damaged(d, "it has no control file")) &&
           stream_drain(d->running, d->err);
}

static bool is_member(const char *name, const char *base)
{
    size_t n = strlen(base);
    return strncmp(name, base, n) == 0 && (name[n] == 0 || name[n] == '.');
}

/* Order is fixed: debian-binary, control.tar*, data.tar*; what begins with _ may stand between. */
static bool member_take(struct deb *d, struct unpack *u, const struct member *m, unsigned *stage,
                        struct buf *control)
{
    static const char *const wanted[] = {"debian-binary", "control.tar", "data.tar"};
    bool known = *stage < 3 && is_member(m->name, wanted[*stage]);
    if (!known && m->name[0] != '_' && *stage < 3)
        return damaged(d, "a member of it is missing, or out of order");
    d->running = stream_open(d->name, d->fd, m->size, d->budget);
    bool ok;
    char version[DEB_VERSION] = "";
    if (known && *stage == 0)
        ok = m->size < sizeof version ? read_all(d, version, m->size, NULL) &&
                                            (strncmp(version, "2.", 2) == 0 ||
                                             damaged(d, "its format is newer than 2.0"))
                                      : damaged(d, "its version is wrong");
    else if (known && *stage == 1)
        ok = control_read(d, control);
    else if (known)
        ok = unpack_archive(u, d->running, UNPACK_PACKAGE, d->err);
    else
        ok = stream_drain(d->running, d->err);
    stream_close(d->running);
    *stage += known;
    return ok;
}

bool deb_unpack(struct unpack *u, const char *name, int fd, struct budget *budget,
                struct buf *control, struct err *err)
{
    struct deb d = {.name = name, .fd = fd, .budget = budget, .err = err};
    char magic[sizeof AR_MAGIC - 1];
    struct member m;
    unsigned stage = 0;
    bool end = false;
    if (!read_all(&d, magic, sizeof magic, NULL))
        return false;
    if (memcmp(magic, AR_MAGIC, sizeof magic) != 0)
        return damaged(&d, "it is no ar archive");
    while (!end) {
        if (!member_next(&d, &m, &end))
            return false;
        if (!end && !(member_take(&d, u, &m, &stage, control) && member_end(&d, &m)))
            return false;
    }
    return stage == 3 || damaged(&d, "a part of it is missing");
}
