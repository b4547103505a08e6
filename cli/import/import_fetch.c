/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ops-import fetch URL FILE: what is being fetched is FILE.part, and FILE once it is whole and
 * right. With --resume, FILE.part stays when the connection breaks, beside FILE.part.tag with its
 * address and what the server calls that version; the next call goes on from there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "digest.h"
#include "hostpath.h"
#include "import/fetch.h"
#include "import/import.h"
#include "import/jail.h"
#include "ops/exit.h"

#define TAG_LIMIT 16384 /* bytes of FILE.part.tag */

struct getting {
    struct import *i;
    const char *url, *file;
    char *part, *tag;
    int fd; /* of the part */
    unsigned char want[DIGEST_SIZE];
    bool hashed; /* `want` is given */
};

/* The version of the part; freed with free(), NULL: unknown, or of another address. */
static char *tag_read(const struct getting *g)
{
    struct err ignored = {0};
    size_t n = strlen(g->url);
    char *text = path_read(g->tag, TAG_LIMIT, NULL, &ignored), *validator = NULL;
    if (text && strncmp(text, g->url, n) == 0 && text[n] == '\n' && text[n + 1] &&
        !strpbrk(text + n + 1, "\r\n"))
        validator = alloc_string(text + n + 1);
    free(text);
    err_free(&ignored);
    return validator;
}

static void tag_write(const struct getting *g, const char *validator)
{
    int fd = open(g->tag, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    char *text = alloc_printf("%s\n%s", g->url, validator);
    bool ok = fd >= 0 && path_put(fd, text, strlen(text));
    if (fd >= 0)
        close(fd);
    if (!ok)
        unlink(g->tag); /* then nothing can be resumed */
    free(text);
}

static bool digest_check(const struct getting *g, struct err *err)
{
    unsigned char got[DIGEST_SIZE];
    char want_text[DIGEST_TEXT], got_text[DIGEST_TEXT];
    if (!digest_of_fd(g->fd, got))
        return err_errno(err, "read", g->part);
    if (!g->hashed || memcmp(got, g->want, DIGEST_SIZE) == 0)
        return true;
    digest_text(g->want, want_text);
    digest_text(got, got_text);
    char *shown = fetch_shown(g->url);
    err_set(err, OPS_EXIT_FAILED, "it was changed, or damaged on its way; it is not used",
            "%s has the SHA-256 %s, not %s", shown, got_text, want_text);
    free(shown);
    return false;
}

static uint64_t part_size(const struct getting *g)
{
    struct stat st;
    return fstat(g->fd, &st) == 0 && st.st_size > 0 ? (uint64_t)st.st_size : 0;
}

/* One attempt; `from` bytes of the part are kept. *broken: what is there is good to go on with. */
static bool attempt(struct getting *g, uint64_t from, const char *validator, bool *broken,
                    long *code, struct err *err)
{
    struct fetch f = {.url = g->url,
                      .what = path_basename(g->file),
                      .limit = g->i->budget.bytes,
                      .stall = g->i->stall,
                      .status = g->i->status,
                      .fd = g->fd,
                      .from = from,
                      .validator = validator};
    bool ok = fetch_run(&f, err);
    if (f.new_validator && g->i->options.resume && f.code >= 200 && f.code < 300)
        tag_write(g, f.new_validator);
    *broken = f.broken && f.at && (f.new_validator || g->hashed);
    *code = f.code;
    fetch_free(&f);
    return (ok && digest_check(g, err));
}

static bool get(struct getting *g, bool *keep, struct err *err)
{
    uint64_t from = g->i->options.resume ? part_size(g) : 0;
    char *validator = from ? tag_read(g) : NULL;
    long code;
    if (from && !validator && !g->hashed)
        from = 0;
    if (from && g->hashed && digest_check(g, err)) { /* it was whole already */
        free(validator);
        return true;
    }
    err_free(err);
    bool ok = attempt(g, from, validator, keep, &code, err);
    /* What was there was of another version, or too long. */
    if (!ok && from && !*keep && (code == 416 || code == 206)) {
        err_free(err);
        ok = attempt(g, 0, NULL, keep, &code, err);
    }
    free(validator);
    return ok;
}

static bool get_begin(struct getting *g, struct err *err)
{
    struct strlist dirs = {0}, inputs = {0};
    char *dir = path_dirname(g->file);
    strlist_add(&dirs, dir);
    if (strncmp(g->url, "file://", 7) == 0)
        strlist_add(&inputs, g->url + 7);
    bool ok = jail_enter(&dirs, &inputs, g->i->budget.bytes, err);
    strlist_free(&dirs);
    strlist_free(&inputs);
    free(dir);
    if (!ok)
        return false;
    g->fd = open(g->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return g->fd >= 0 || err_errno(err, "write", g->part);
}

bool import_fetch(struct import *i, struct err *err)
{
    struct getting g = {.i = i, .url = i->words[0], .file = i->words[1], .fd = -1};
    const char *sum = i->options.sha256;
    bool keep = false;
    if (i->words[2])
        return err_set(err, OPS_EXIT_USAGE, NULL, "one address, one file");
    if (sum && !(g.hashed = digest_parse(sum, g.want)))
        return err_set(err, OPS_EXIT_USAGE, NULL, "--sha256 needs 64 hexadecimal digits");
    g.part = alloc_printf("%s.part", g.file);
    g.tag = alloc_printf("%s.tag", g.part);
    bool ok = get_begin(&g, err) && get(&g, &keep, err);
    if (ok && (fsync(g.fd) < 0 || rename(g.part, g.file) < 0))
        ok = err_errno(err, "write", g.file);
    if (g.fd >= 0 && !ok && !(keep && i->options.resume))
        unlink(g.part);
    if (ok || !(keep && i->options.resume))
        unlink(g.tag);
    if (g.fd >= 0)
        close(g.fd);
    free(g.part);
    free(g.tag);
    return ok;
}
