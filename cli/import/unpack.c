/* SPDX-License-Identifier: Apache-2.0 */
/* Archives to a directory: see unpack.h. What touches the disk is in place.c. */
#include "import/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "alloc.h"
#include "hostpath.h"
#include "import/layout.h"
#include "import/place.h"
#include "ops/exit.h"

#define WHITEOUT        ".wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"
#define WHITEOUT_OTHER  ".wh..wh." /* of the AUFS filesystem itself */

struct unpack {
    struct place place;
    struct node *tree;
    struct budget *budget;
    char *inner; /* with unpack_strip_top() */
    char *top;
    unsigned archive; /* number of the running one, from 1 */
    enum unpack_style style;
    struct stream *stream;
    size_t skipped;
    struct strlist skipped_paths; /* as their archive calls them */
    struct err *err;
};

struct unpack *unpack_create(int root, struct budget *budget)
{
    struct unpack *u = alloc_zero(sizeof *u);
    u->place.root = root;
    u->tree = node_create_root();
    u->place.tree = u->tree;
    u->budget = budget;
    return u;
}

void unpack_strip_top(struct unpack *u, const char *inner)
{
    u->inner = alloc_string(inner);
}

size_t unpack_skipped(const struct unpack *u)
{
    return u->skipped;
}

const char *unpack_top(const struct unpack *u)
{
    return u->top;
}

static bool refused(struct unpack *u, const char *path, const char *why)
{
    char *shown = mtree_escape(path);
    err_set(u->err, OPS_EXIT_FAILED, NULL, "%s: refused the entry %s: %s", stream_name(u->stream),
            shown, why);
    free(shown);
    return false;
}

/* The entry's path without its top directory; NULL: it is the top directory itself, or see err. */
static const char *top_strip(struct unpack *u, const char *path)
{
    const char *p = path;
    while (*p == '/' || (p[0] == '.' && (p[1] == '/' || !p[1])))
        p++;
    size_t n = strcspn(p, "/");
    if (n == 2 && p[0] == '.' && p[1] == '.') {
        refused(u, path, "it leads out by `..`");
        return NULL;
    }
    if (n && !u->top)
        u->top = alloc_bytes(p, n);
    if (n && (strlen(u->top) != n || strncmp(u->top, p, n) != 0)) {
        refused(u, path, "it is not in the one top directory");
        return NULL;
    }
    return p[n] ? p + n + 1 : NULL;
}

/* Takes everything below `n` and itself away, but for what this archive brought if `lower`.
 * *kept: something stayed. */
static bool node_delete(struct unpack *u, struct node *n, bool lower, bool self, bool *kept)
{
    struct node **children = node_children(n);
    bool ok = true, below = false;
    for (size_t i = 0; ok && children[i]; i++)
        ok = node_delete(u, children[i], lower, true, &below);
    free(children);
    if (ok && (!self || below || (lower && n->archive == u->archive)))
        *kept = true;
    else if (ok)
        ok = place_remove(&u->place, n, u->err);
    return ok;
}

static bool whiteout(struct unpack *u, struct node *dir, const char *last)
{
    bool kept = false;
    if (strcmp(last, WHITEOUT_OPAQUE) == 0)
        return node_delete(u, dir, true, false, &kept);
    if (strncmp(last, WHITEOUT_OTHER, strlen(WHITEOUT_OTHER)) == 0)
        return true;
    struct node *n = node_child(dir, last + strlen(WHITEOUT));
    return !n || node_delete(u, n, true, true, &kept);
}

/* The directories that the archive uses without having named them. */
static bool dirs_add(struct unpack *u, struct node **dir, const char *rest, const char *path)
{
    struct strlist names = {0};
    bool ok = true;
    strlist_split(&names, rest, "/");
    for (size_t i = 0; ok && i < names.count; i++) {
        if (++u->budget->members > u->budget->entries)
            ok = refused(u, path, "there are too many entries (--max-entries sets the limit)");
        struct node *n = ok ? node_add(*dir, names.items[i], TREE_DIR, NULL) : NULL;
        ok = n && place_dir(&u->place, n, u->err);
        *dir = n;
    }
    strlist_free(&names);
    return ok;
}

/* Where the path leads: *dir, and the name in it (freed with free(), "" for a root). Directories
 * that are not there are made if `make`; otherwise *dir is NULL when one is missing. */
static bool find(struct unpack *u, const char *path, bool make, struct node **dir, char **last)
{
    const char *why, *inside = path + strspn(path, "/");
    size_t n = u->inner ? strlen(u->inner) : 0;
    struct node *root = n ? node_child(u->tree, u->inner) : NULL;
    char *rest;
    if (root && root->inode->meta.kind == TREE_DIR && strncmp(inside, u->inner, n) == 0 &&
        inside[n] == '/')
        inside += n + 1;
    else
        root = u->tree;
    *dir = node_walk(root, inside, &rest, last, &why);
    bool ok = *dir || refused(u, path, why);
    if (ok && rest && make)
        ok = dirs_add(u, dir, rest, path);
    else if (ok && rest)
        *dir = NULL;
    free(rest);
    return ok;
}

/* Makes room for an entry of that kind. *there: the directory that stays. */
static bool room_make(struct unpack *u, struct node *old, enum tree_kind kind, const char *path,
                      struct node **there)
{
    bool kept = false;
    *there = NULL;
    if (old && kind == TREE_DIR && old->inode->meta.kind == TREE_DIR) {
        *there = old;
        return true;
    }
    if (old && old->children && u->style != UNPACK_LAYER)
        return refused(u, path, "a directory with something in it is already there");
    return !old || node_delete(u, old, false, true, &kept);
}

static bool xattrs_take(struct mtree_entry *meta, struct archive_entry *e)
{
    const char *name;
    const void *value;
    size_t size;
    for (size_t i = 0; i < meta->xattr_count; i++) {
        free(meta->xattrs[i].name);
        free(meta->xattrs[i].value);
    }
    meta->xattr_count = 0;
    archive_entry_xattr_reset(e);
    while (archive_entry_xattr_next(e, &name, &value, &size) == ARCHIVE_OK) {
        if (!name || !name[0])
            return false;
        meta->xattrs = alloc_array(meta->xattrs, meta->xattr_count + 1, sizeof *meta->xattrs);
        meta->xattrs[meta->xattr_count++] =
            (struct mtree_xattr){.name = alloc_string(name),
                                 .value = (unsigned char *)alloc_bytes(value ? value : "", size),
                                 .size = size};
    }
    return true;
}

static int xattr_compare(const void *a, const void *b)
{
    return strcmp(((const struct mtree_xattr *)a)->name, ((const struct mtree_xattr *)b)->name);
}

/* libarchive's own archives have each attribute in two ways: one stays. Sorted; false: two ways
 * that differ. */
static bool xattrs_same(struct mtree_entry *meta)
{
    size_t kept = 0;
    bool same = true;
    for (size_t i = 0; i < meta->xattr_count; i++) {
        struct mtree_xattr x = meta->xattrs[i], *last = kept ? &meta->xattrs[kept - 1] : NULL;
        if (!last || strcmp(last->name, x.name) != 0) {
            meta->xattrs[kept++] = x;
            continue;
        }
        same = same && last->size == x.size && memcmp(last->value, x.value, x.size) == 0;
        free(x.name);
        free(x.value);
    }
    meta->xattr_count = kept;
    return same;
}

/* Owner, mode, time and xattrs, as the archive says. */
static bool meta_take(struct unpack *u, struct mtree_entry *meta, struct archive_entry *e,
                      const char *path)
{
    int64_t uid = archive_entry_uid(e), gid = archive_entry_gid(e);
    if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
        return refused(u, path, "its owner is no number that Linux knows");
    meta->uid = (uint32_t)uid;
    meta->gid = (uint32_t)gid;
    meta->mode = meta->kind == TREE_LINK ? 0777 : archive_entry_perm(e) & 07777;
    meta->mtime = (struct timespec){archive_entry_mtime(e), archive_entry_mtime_nsec(e)};
    if (meta->mtime.tv_nsec < 0 || meta->mtime.tv_nsec > 999999999)
        meta->mtime.tv_nsec = 0;
    if (!xattrs_take(meta, e))
        return refused(u, path, "an extended attribute without a name");
    if (meta->xattr_count)
        qsort(meta->xattrs, meta->xattr_count, sizeof *meta->xattrs, xattr_compare);
    return xattrs_same(meta) || refused(u, path, "an extended attribute with two values");
}

static bool link_target_take(struct unpack *u, struct mtree_entry *meta, struct archive_entry *e,
                             const char *path)
{
    const char *target = archive_entry_symlink(e);
    if (!target || !target[0] || strlen(target) > MTREE_PATH)
        return refused(u, path, "a symlink's target is empty or too long");
    meta->link = alloc_string(target);
    return true;
}

/* The data blocks of the entry at which the archive stands. */
static bool content_take(struct unpack *u, struct archive *a, struct archive_entry *e,
                         struct node *n, const char *path)
{
    struct mtree_entry *meta = &n->inode->meta;
    struct place_file f;
    const void *bytes;
    size_t size;
    la_int64_t at;
    int status = ARCHIVE_OK;
    int64_t whole = archive_entry_size(e);
    struct budget *b = u->budget;
    if (whole < 0 || (uint64_t)whole > b->bytes - b->content)
        return refused(u, path, "the files would be too large (--max-bytes sets the limit)");
    b->content += (uint64_t)whole;
    meta->size = (uint64_t)whole;
    if (!place_file_begin(&f, &u->place, n, u->err))
        return false;
    bool ok = true;
    while (ok && (status = archive_read_data_block(a, &bytes, &size, &at)) == ARCHIVE_OK)
        ok = (at >= 0 && (uint64_t)at <= (uint64_t)whole && size <= (uint64_t)(whole - at) &&
              (uint64_t)at >= f.at)
                 ? place_file_add(&f, (uint64_t)at, bytes, size, u->err)
                 : refused(u, path, "its pieces are not in order");
    if (ok && status != ARCHIVE_EOF)
        ok = refused(u, path, archive_error_string(a) ? archive_error_string(a) : "it is damaged");
    return place_file_end(&f, meta, ok, u->err) && ok;
}

/* A second name for a file that is there. */
static bool hard_link(struct unpack *u, struct node *dir, const char *last, const char *target,
                      const char *path)
{
    struct node *to_dir, *there;
    char *to_last;
    const char *inside = u->inner ? top_strip(u, target) : target;
    if (!inside && u->err->message)
        return false;
    bool ok = find(u, inside ? inside : "/", false, &to_dir, &to_last);
    struct node *to = ok && to_dir && to_last[0] ? node_child(to_dir, to_last) : NULL;
    free(to_last);
    if (!ok)
        return false;
    if (!to && strlist_has(&u->skipped_paths, target)) {
        u->skipped++;
        return true;
    }
    if (!to || to->inode->meta.kind == TREE_DIR)
        return refused(u, path, "it is a hard link to no file of the tree");
    struct node *old = node_child(dir, last);
    if (old == to)
        return true;
    for (const struct node *up = to; up; up = up->parent)
        if (up == old)
            return refused(u, path, "it is a hard link to a file below itself");
    ok = room_make(u, old, TREE_FILE, path, &there);
    struct node *n = ok ? node_add(dir, last, to->inode->meta.kind, to->inode) : NULL;
    if (n)
        n->archive = u->archive;
    return n && place_link(&u->place, to, n, u->err);
}

static bool is_other(mode_t type)
{
    return type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK;
}

/* A device or the like: what it would replace goes. */
static bool other_skip(struct unpack *u, struct node *dir, const char *last, const char *raw)
{
    bool kept;
    struct node *old = node_child(dir, last);
    u->skipped++;
    strlist_add(&u->skipped_paths, raw);
    return !old || (old->children && u->style != UNPACK_LAYER) ||
           node_delete(u, old, false, true, &kept);
}

/* Does the symlink of that name lead to a directory? */
static bool leads_to_dir(struct unpack *u, const char *path)
{
    char *inside = alloc_printf("%s/x", path), *rest, *last;
    const char *why;
    struct node *dir = node_walk(u->tree, inside, &rest, &last, &why);
    bool leads = dir && !rest;
    free(inside);
    free(rest);
    free(last);
    return leads;
}

static bool named_add(struct unpack *u, struct archive *a, struct archive_entry *e,
                      struct node *dir, const char *last, const char *path)
{
    static const char *const long_name = "a name in it has more than 255 bytes";
    mode_t type = archive_entry_filetype(e);
    enum tree_kind kind = type == AE_IFDIR ? TREE_DIR : type == AE_IFLNK ? TREE_LINK : TREE_FILE;
    struct node *n, *old = last[0] ? node_child(dir, last) : dir;
    if (strlen(last) > 255)
        return refused(u, path, long_name);
    if (kind == TREE_DIR && u->style == UNPACK_PACKAGE && old &&
        old->inode->meta.kind == TREE_LINK && leads_to_dir(u, path))
        return true;
    if (!last[0] && kind != TREE_DIR)
        return refused(u, path, "it would replace the root directory");
    if (!room_make(u, old, kind, path, &n))
        return false;
    bool fresh = !n;
    if (fresh)
        n = node_add(dir, last, kind, NULL);
    n->archive = u->archive;
    if (!meta_take(u, &n->inode->meta, e, path))
        return false;
    if (kind == TREE_LINK)
        return link_target_take(u, &n->inode->meta, e, path) && place_symlink(&u->place, n, u->err);
    if (kind == TREE_FILE)
        return content_take(u, a, e, n, path);
    return !fresh || place_dir(&u->place, n, u->err);
}

static bool entry_add(struct unpack *u, struct archive *a, struct archive_entry *e)
{
    const char *raw = archive_entry_pathname(e), *target = archive_entry_hardlink(e);
    struct node *dir = NULL;
    char *last = NULL;
    if (!raw || !raw[0])
        return refused(u, "", "it has no name, or one in no known encoding");
    if (++u->budget->members > u->budget->entries)
        return refused(u, raw, "there are too many entries (--max-entries sets the limit)");
    const char *path = u->inner ? top_strip(u, raw) : raw;
    if (!path)
        return u->err->message == NULL;
    bool gone =
        u->style == UNPACK_LAYER && strncmp(path_basename(path), WHITEOUT, strlen(WHITEOUT)) == 0;
    bool ok = find(u, path, !gone, &dir, &last);
    if (!ok)
        ;
    else if (gone)
        ok = !dir || whiteout(u, dir, last);
    else if (target)
        ok = hard_link(u, dir, last, target, raw);
    else if (is_other(archive_entry_filetype(e)))
        ok = other_skip(u, dir, last, raw);
    else
        ok = named_add(u, a, e, dir, last, path);
    free(last);
    return ok;
}

static la_ssize_t tar_read(struct archive *a, void *context, const void **bytes)
{
    struct unpack *u = context;
    ssize_t n = stream_next(u->stream, bytes, u->err);
    if (n < 0)
        archive_set_error(a, EIO, "%s", u->err->message);
    return n;
}

static bool archive_failed(struct unpack *u, struct archive *a)
{
    if (u->err->message)
        return false;
    const char *text = archive_error_string(a);
    return err_set(u->err, OPS_EXIT_FAILED, "is it a tar archive, and whole?",
                   "cannot unpack %s: %s", stream_name(u->stream), text ? text : "it is damaged");
}

static bool entries_add(struct unpack *u, struct archive *a)
{
    struct archive_entry *e;
    int status;
    archive_read_support_format_tar(a);
    archive_read_support_format_empty(a);
    if (archive_read_open(a, u, NULL, tar_read, NULL) != ARCHIVE_OK)
        return archive_failed(u, a);
    while ((status = archive_read_next_header(a, &e)) == ARCHIVE_OK)
        if (!entry_add(u, a, e))
            return false;
    return (status == ARCHIVE_EOF && !u->err->message) || archive_failed(u, a);
}

bool unpack_archive(struct unpack *u, struct stream *s, enum unpack_style style, struct err *err)
{
    struct archive *a = archive_read_new();
    if (!a)
        return err_errno(err, "unpack", stream_name(s));
    u->archive++;
    u->style = style;
    u->stream = s;
    u->err = err;
    bool ok = entries_add(u, a) && stream_drain(s, err);
    archive_read_free(a);
    strlist_free(&u->skipped_paths);
    return ok;
}

struct lister {
    struct unpack *u;
    const struct node *root;
    struct mtree *m;
    size_t room;
};

static void entry_copy(struct mtree_entry *to, const struct mtree_entry *from)
{
    *to = *from;
    to->link = from->link ? alloc_string(from->link) : NULL;
    to->xattrs =
        from->xattr_count ? alloc_array(NULL, from->xattr_count, sizeof *to->xattrs) : NULL;
    for (size_t i = 0; i < from->xattr_count; i++)
        to->xattrs[i] =
            (struct mtree_xattr){.name = alloc_string(from->xattrs[i].name),
                                 .value = (unsigned char *)alloc_bytes(
                                     (char *)from->xattrs[i].value, from->xattrs[i].size),
                                 .size = from->xattrs[i].size};
}

static bool list_add(struct lister *l, struct node *n, bool listed, struct err *err)
{
    if (n == l->root)
        listed = true;
    if (listed) {
        if (l->m->count == l->room) {
            l->room = 2 * l->room + 64;
            l->m->entries = alloc_array(l->m->entries, l->room, sizeof *l->m->entries);
        }
        struct mtree_entry *e = &l->m->entries[l->m->count++];
        entry_copy(e, &n->inode->meta);
        e->path = node_path(n, l->root);
    }
    struct node **children = node_children(n);
    bool ok = true;
    for (size_t i = 0; ok && children[i]; i++)
        ok = list_add(l, children[i], listed, err);
    free(children);
    return ok && (n->inode->meta.kind != TREE_DIR || place_dir_end(&l->u->place, n, err));
}

static int path_compare(const void *a, const void *b)
{
    return strcmp(((const struct mtree_entry *)a)->path, ((const struct mtree_entry *)b)->path);
}

bool unpack_finish(struct unpack *u, const char *inner, struct mtree *m, struct err *err)
{
    struct node *root = u->tree;
    *m = (struct mtree){0};
    if (inner[1] && !(root = node_child(u->tree, inner + 1))) {
        root = node_add(u->tree, inner + 1, TREE_DIR, NULL);
        if (!place_dir(&u->place, root, err))
            return false;
    }
    if (root->inode->meta.kind != TREE_DIR)
        return err_set(err, OPS_EXIT_FAILED, NULL, "%s of the archive is no directory", inner + 1);
    struct lister l = {.u = u, .root = root, .m = m};
    bool ok = list_add(&l, u->tree, false, err);
    qsort(m->entries, m->count, sizeof *m->entries, path_compare);
    return ok;
}

bool unpack_remove(struct unpack *u, struct err *err)
{
    bool kept;
    u->err = err;
    return node_delete(u, u->tree, false, false, &kept);
}

void unpack_free(struct unpack *u)
{
    node_free_all(u->tree);
    strlist_free(&u->skipped_paths);
    place_free(&u->place);
    free(u->inner);
    free(u->top);
    free(u);
}
