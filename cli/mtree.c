/* SPDX-License-Identifier: Apache-2.0 */
/* The list of a package's files: see mtree.h. Reading is in mtree_read.c. */
#include "mtree.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "buf.h"
#include "hostpath.h"

char *mtree_escape(const char *text)
{
    struct buf b = {0};
    buf_add(&b, "", 0);
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c <= ' ' || c >= 0x7f || strchr("#=\\", c))
            buf_addf(&b, "\\%03o", c);
        else
            buf_add(&b, p, 1);
    }
    return b.data;
}

static void escaped_add(struct buf *b, const char *before, const char *text)
{
    char *escaped = mtree_escape(text);
    buf_addf(b, "%s%s", before, escaped);
    free(escaped);
}

static void xattr_add(struct buf *b, const struct mtree_xattr *x)
{
    size_t room = sodium_base64_encoded_len(x->size, sodium_base64_VARIANT_ORIGINAL);
    char *text = alloc_zero(room);
    sodium_bin2base64(text, room, x->value, x->size, sodium_base64_VARIANT_ORIGINAL);
    escaped_add(b, " xattr.", x->name);
    buf_addf(b, "=%s", text);
    free(text);
}

static void entry_add(struct buf *b, const struct mtree_entry *e)
{
    static const char *const kinds[] = {
        [TREE_DIR] = "dir", [TREE_FILE] = "file", [TREE_LINK] = "link"};
    escaped_add(b, ".", strcmp(e->path, "/") == 0 ? "" : e->path);
    buf_addf(b, " type=%s mode=%04o uid=%" PRIu32 " gid=%" PRIu32 " time=%lld.%09ld",
             kinds[e->kind], e->mode, e->uid, e->gid, (long long)e->mtime.tv_sec, e->mtime.tv_nsec);
    if (e->kind == TREE_FILE) {
        char digest[DIGEST_TEXT];
        digest_text(e->sha256, digest);
        buf_addf(b, " size=%" PRIu64 " sha256digest=%s", e->size, digest);
        if (e->nlink > 1)
            buf_addf(b, " nlink=%u", e->nlink);
    } else if (e->kind == TREE_LINK) {
        escaped_add(b, " link=", e->link);
    }
    for (size_t i = 0; i < e->xattr_count; i++)
        xattr_add(b, &e->xattrs[i]);
    buf_add(b, "\n", 1);
}

bool mtree_write(const struct mtree *m, int dir, const char *name, struct err *err)
{
    struct buf b = {0};
    buf_addf(&b, "#mtree\n");
    for (size_t i = 0; i < m->count; i++)
        entry_add(&b, &m->entries[i]);
    bool ok = path_write(dir, name, b.data, b.size) || err_errno(err, "write", name);
    buf_free(&b);
    return ok;
}

static int entry_compare(const void *path, const void *entry)
{
    return strcmp(path, ((const struct mtree_entry *)entry)->path);
}

const struct mtree_entry *mtree_find(const struct mtree *m, const char *path)
{
    return m->count ? bsearch(path, m->entries, m->count, sizeof *m->entries, entry_compare) : NULL;
}

unsigned mtree_disk_mode(enum tree_kind kind, unsigned mode)
{
    if (kind == TREE_LINK)
        return 0777; /* Linux has no other */
    return (mode & 0777) | (kind == TREE_DIR ? 0700 : 0600);
}

void mtree_entry_free(struct mtree_entry *e)
{
    for (size_t i = 0; i < e->xattr_count; i++) {
        free(e->xattrs[i].name);
        free(e->xattrs[i].value);
    }
    free(e->xattrs);
    free(e->path);
    free(e->link);
    *e = (struct mtree_entry){0};
}

void mtree_free(struct mtree *m)
{
    for (size_t i = 0; i < m->count; i++)
        mtree_entry_free(&m->entries[i]);
    free(m->entries);
    *m = (struct mtree){0};
}
