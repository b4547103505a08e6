/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the list of a package's files, which may come from anywhere: see mtree.h. */
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "hostpath.h"
#include "mtree.h"
#include "ops/exit.h"

#define MTREE_LIMIT (256ul << 20) /* bytes of the file */

enum {
    HAS_TYPE = 1,
    HAS_MODE = 2,
    HAS_UID = 4,
    HAS_GID = 8,
    HAS_TIME = 16,
    HAS_SIZE = 32,
    HAS_DIGEST = 64,
    HAS_LINK = 128,
    HAS_NLINK = 256,
    ALWAYS = HAS_TYPE | HAS_MODE | HAS_UID | HAS_GID | HAS_TIME
};

struct reader {
    const char *name;
    size_t line;
    unsigned has;
    struct mtree *m;
    size_t room; /* of m->entries */
    struct err *err;
};

static bool fault(struct reader *r, const char *what)
{
    return err_set(r->err, OPS_EXIT_FAILED, NULL, "%s:%zu: %s", r->name, r->line, what);
}

/* In place; false: a bad escape, or a NUL in disguise. */
static bool unescape(char *text)
{
    char *to = text;
    for (const char *p = text; *p; to++) {
        if (*p != '\\') {
            *to = *p++;
            continue;
        }
        if (strspn(p + 1, "01234567") < 3)
            return false;
        unsigned c = (unsigned)((p[1] - '0') * 64 + (p[2] - '0') * 8 + (p[3] - '0'));
        if (c == 0 || c > 255)
            return false;
        *to = (char)c;
        p += 4;
    }
    *to = 0;
    return true;
}

static bool number(const char *text, int base, uint64_t most, uint64_t *value)
{
    char *end;
    if (!text[0] || strspn(text, "0123456789") != strlen(text))
        return false;
    errno = 0;
    *value = strtoull(text, &end, base);
    return errno == 0 && *end == 0 && *value <= most;
}

/* SECONDS.NANOSECONDS; the seconds may be before 1970, the nanoseconds are always nine digits. */
static bool time_parse(const char *text, struct timespec *t)
{
    const char *digits = text + (text[0] == '-'), *dot = strchr(digits, '.');
    uint64_t nanos;
    if (!dot || dot == digits || (size_t)(dot - digits) != strspn(digits, "0123456789") ||
        strlen(dot + 1) != 9 || !number(dot + 1, 10, 999999999, &nanos))
        return false;
    errno = 0;
    t->tv_sec = strtoll(text, NULL, 10);
    t->tv_nsec = (long)nanos;
    return errno == 0;
}

static bool kind_parse(const char *text, enum tree_kind *kind)
{
    static const char *const names[] = {
        [TREE_DIR] = "dir", [TREE_FILE] = "file", [TREE_LINK] = "link"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(text, names[i]) == 0) {
            *kind = (enum tree_kind)i;
            return true;
        }
    return false;
}

static bool xattr_parse(struct mtree_entry *e, char *name, const char *text)
{
    size_t n = strlen(text), size;
    if (!unescape(name) || !name[0])
        return false;
    for (size_t i = 0; i < e->xattr_count; i++)
        if (strcmp(e->xattrs[i].name, name) == 0)
            return false;
    unsigned char *value = alloc_zero(n + 1);
    if (sodium_base642bin(value, n + 1, text, n, NULL, &size, NULL,
                          sodium_base64_VARIANT_ORIGINAL) < 0) {
        free(value);
        return false;
    }
    e->xattrs = alloc_array(e->xattrs, e->xattr_count + 1, sizeof *e->xattrs);
    e->xattrs[e->xattr_count++] =
        (struct mtree_xattr){.name = alloc_string(name), .value = value, .size = size};
    return true;
}

static bool link_parse(struct mtree_entry *e, char *text)
{
    if (e->link || !unescape(text) || !text[0] || strlen(text) > MTREE_PATH)
        return false;
    e->link = alloc_string(text);
    return true;
}

/* One KEY=VALUE. The result says which it was; 0: it is wrong. */
static unsigned keyword(struct mtree_entry *e, const char *key, char *text)
{
    uint64_t n = 0;
    unsigned which = 0;
    if (strcmp(key, "type") == 0)
        return kind_parse(text, &e->kind) ? HAS_TYPE : 0;
    if (strcmp(key, "time") == 0)
        return time_parse(text, &e->mtime) ? HAS_TIME : 0;
    if (strcmp(key, "sha256digest") == 0)
        return digest_parse(text, e->sha256) ? HAS_DIGEST : 0;
    if (strcmp(key, "link") == 0)
        return link_parse(e, text) ? HAS_LINK : 0;
    if (strcmp(key, "mode") == 0 && number(text, 8, 07777, &n))
        e->mode = (unsigned)n, which = HAS_MODE;
    else if (strcmp(key, "uid") == 0 && number(text, 10, UINT32_MAX, &n))
        e->uid = (uint32_t)n, which = HAS_UID;
    else if (strcmp(key, "gid") == 0 && number(text, 10, UINT32_MAX, &n))
        e->gid = (uint32_t)n, which = HAS_GID;
    else if (strcmp(key, "size") == 0 && number(text, 10, INT64_MAX, &n))
        e->size = n, which = HAS_SIZE;
    else if (strcmp(key, "nlink") == 0 && number(text, 10, INT32_MAX, &n) && n > 1)
        e->nlink = (unsigned)n, which = HAS_NLINK;
    return which;
}

static bool keyword_read(struct reader *r, struct mtree_entry *e, char *word)
{
    char *value = strchr(word, '=');
    if (!value)
        return fault(r, "a keyword has no value");
    *value++ = 0;
    if (strncmp(word, "xattr.", 6) == 0)
        return xattr_parse(e, word + 6, value) || fault(r, "a bad extended attribute");
    unsigned which = keyword(e, word, value);
    if (!which)
        return fault(r, "an unknown keyword, or a value that it cannot have");
    if (r->has & which)
        return fault(r, "a keyword twice");
    r->has |= which;
    return true;
}

/* Its own directory is there, and it comes behind the entry before it. */
static bool place_check(struct reader *r, const char *path)
{
    const struct mtree *m = r->m;
    if (m->count == 0)
        return strcmp(path, "/") == 0 || fault(r, "the first path is not the root");
    if (strcmp(m->entries[m->count - 1].path, path) >= 0)
        return fault(r, "a path out of order, or twice");
    char *dir = path_dirname(path);
    const struct mtree_entry *parent = mtree_find(m, dir);
    free(dir);
    return (parent && parent->kind == TREE_DIR) || fault(r, "a path without its directory");
}

static bool path_read_from(struct reader *r, struct mtree_entry *e, char *word)
{
    if (word[0] != '.' || !unescape(word) || strlen(word) > MTREE_PATH)
        return fault(r, "a bad path");
    const char *path = word[1] ? word + 1 : "/";
    e->path = path_normal(path);
    if (strcmp(e->path, path) != 0 || (path == word + 1 && !path[1]))
        return fault(r, "a path that is not in its shortest form");
    return place_check(r, e->path);
}

static bool entry_check(struct reader *r, struct mtree_entry *e)
{
    unsigned want = ALWAYS, may = HAS_NLINK;
    if (e->kind == TREE_FILE)
        want |= HAS_SIZE | HAS_DIGEST;
    else
        may = 0;
    if (e->kind == TREE_LINK)
        want |= HAS_LINK;
    if (!(r->has & HAS_NLINK))
        e->nlink = 1;
    if ((r->has & want) != want)
        return fault(r, "a keyword is missing");
    return (r->has & ~(want | may)) == 0 || fault(r, "a keyword that this type does not have");
}

static bool line_read(struct reader *r, char *line)
{
    char *save = NULL, *word = strtok_r(line, " ", &save);
    struct mtree_entry e = {0};
    r->has = 0;
    bool ok = word ? path_read_from(r, &e, word) : fault(r, "an empty line");
    while (ok && (word = strtok_r(NULL, " ", &save)))
        ok = keyword_read(r, &e, word);
    if (!ok || !entry_check(r, &e)) {
        mtree_entry_free(&e);
        return false;
    }
    if (r->m->count == r->room) {
        r->room = 2 * r->room + 64;
        r->m->entries = alloc_array(r->m->entries, r->room, sizeof *r->m->entries);
    }
    r->m->entries[r->m->count++] = e;
    return true;
}

bool mtree_parse(struct mtree *m, const char *name, const char *text, size_t size, struct err *err)
{
    struct reader r = {.name = name, .m = m, .err = err};
    char *copy = alloc_bytes(text, size), *next = copy;
    bool ok = true;
    *m = (struct mtree){0};
    if (strlen(copy) != size)
        ok = fault(&r, "a NUL byte");
    while (ok && *next) {
        char *line = next, *end = strchr(line, '\n');
        r.line++;
        if (!end) {
            ok = fault(&r, "the last line is cut off");
            break;
        }
        *end = 0;
        next = end + 1;
        if (r.line == 1)
            ok = strcmp(line, "#mtree") == 0 || fault(&r, "it does not begin with #mtree");
        else
            ok = line_read(&r, line);
    }
    if (ok && m->count == 0)
        ok = fault(&r, "it lists nothing");
    free(copy);
    return ok;
}

bool mtree_read(struct mtree *m, const char *path, struct err *err)
{
    size_t size;
    *m = (struct mtree){0};
    char *text = path_read(path, MTREE_LIMIT, &size, err);
    bool ok = text && mtree_parse(m, path, text, size, err);
    free(text);
    return ok;
}
