/* SPDX-License-Identifier: Apache-2.0 */
/* A package of a plan: see package_write.h. */
#include "package_write.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "hold.h"
#include "hostpath.h"
#include "mtree.h"
#include "package.h"
#include "package_store.h"

#define COPY_BYTES (1u << 20)

struct writer {
    int root; /* sysroot/ of the draft */
    struct mtree list;
    struct tree_entry **entries;
    struct hold hold;
    struct err *err;
};

/* "/usr/bin/x" -> "usr/bin/x": below the root's descriptor. */
static const char *below(const char *path)
{
    return path[1] ? path + 1 : ".";
}

/* The entry before `i` that is another name of the same file; NULL: none. */
static const struct tree_entry *first_name(const struct writer *w, size_t i)
{
    const struct stat *st = &w->entries[i]->st;
    for (size_t k = 0; w->entries[i]->source && st->st_nlink > 1 && k < i; k++)
        if (w->entries[k]->kind == TREE_FILE && w->entries[k]->source &&
            w->entries[k]->st.st_ino == st->st_ino && w->entries[k]->st.st_dev == st->st_dev)
            return w->entries[k];
    return NULL;
}

static bool data_copy(struct writer *w, int to, const char *source)
{
    int from = open(source, O_RDONLY | O_CLOEXEC);
    ssize_t n = from < 0 ? -1 : 1;
    bool ok = true;
    while (ok && n > 0) {
        n = copy_file_range(from, NULL, to, NULL, COPY_BYTES, 0);
        if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == ENOSYS)) {
            char *bytes = alloc_array(NULL, COPY_BYTES, 1);
            while ((n = read(from, bytes, COPY_BYTES)) > 0 && write(to, bytes, (size_t)n) == n)
                ;
            n = n > 0 ? -1 : n;
            free(bytes);
        }
        ok = hold_step(&w->hold, 0, n > 0 ? (uint64_t)n : 0, w->err);
    }
    if (ok && n < 0)
        ok = err_errno(w->err, "copy", source);
    if (from >= 0)
        close(from);
    return ok;
}

static bool file_put(struct writer *w, const struct tree_entry *e, struct mtree_entry *m)
{
    int fd = openat(w->root, below(e->path), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(w->err, "write", e->path);
    struct stat st;
    bool ok = e->source
                  ? data_copy(w, fd, e->source)
                  : path_put(fd, e->text, strlen(e->text)) || err_errno(w->err, "write", e->path);
    if (ok && (fchmod(fd, mtree_disk_mode(TREE_FILE, m->mode)) < 0 || fstat(fd, &st) < 0 ||
               !digest_of_fd(fd, m->sha256)))
        ok = err_errno(w->err, "write", e->path);
    if (ok)
        m->size = (uint64_t)st.st_size;
    close(fd);
    return ok;
}

static bool entry_put(struct writer *w, size_t i, struct mtree_entry *m)
{
    const struct tree_entry *e = w->entries[i], *first = first_name(w, i);
    const char *name = below(e->path);
    if (e->kind == TREE_DIR)
        return ((strcmp(name, ".") == 0 || mkdirat(w->root, name, 0700) == 0) &&
                fchmodat(w->root, name, mtree_disk_mode(TREE_DIR, m->mode), 0) == 0) ||
               err_errno(w->err, "write", e->path);
    if (e->kind == TREE_LINK)
        return symlinkat(e->text, w->root, name) == 0 || err_errno(w->err, "write", e->path);
    if (!first)
        return file_put(w, e, m);
    const struct mtree_entry *old = &w->list.entries[0];
    while (strcmp(old->path, first->path) != 0)
        old++;
    memcpy(m->sha256, old->sha256, sizeof m->sha256);
    m->size = old->size;
    return linkat(w->root, below(first->path), w->root, name, 0) == 0 ||
           err_errno(w->err, "write", e->path);
}

/* Every name of a file says how many there are. */
static void names_count(struct writer *w)
{
    for (size_t i = 0; i < w->list.count; i++) {
        struct stat st;
        struct mtree_entry *m = &w->list.entries[i];
        if (m->kind == TREE_FILE && fstatat(w->root, below(m->path), &st, 0) == 0)
            m->nlink = (unsigned)st.st_nlink;
    }
}

static bool tree_put(struct writer *w, size_t count)
{
    bool ok = true;
    w->list.entries = alloc_array(NULL, count + 1, sizeof *w->list.entries);
    for (size_t i = 0; ok && i < count; i++) {
        const struct tree_entry *e = w->entries[i];
        struct mtree_entry *m = &w->list.entries[w->list.count++];
        *m = (struct mtree_entry){.path = e->path,
                                  .kind = e->kind,
                                  .mode = e->st.st_mode & 07777,
                                  .nlink = 1,
                                  .uid = e->uid,
                                  .gid = e->gid,
                                  .mtime = e->st.st_mtim,
                                  .link = e->kind == TREE_LINK ? e->text : NULL};
        if (e->listed) {
            m->xattrs = e->listed->xattrs;
            m->xattr_count = e->listed->xattr_count;
        }
        ok = entry_put(w, i, m) && hold_step(&w->hold, 1, 0, w->err);
    }
    names_count(w);
    return ok;
}

static void texts_add(cJSON *o, const char *name, const struct strlist *l)
{
    cJSON *list = cJSON_AddArrayToObject(o, name);
    for (size_t i = 0; i < l->count; i++)
        cJSON_AddItemToArray(list, cJSON_CreateString(l->items[i]));
}

static void size_add(cJSON *o, const char *name, uint64_t bytes)
{
    char *size = alloc_printf("%lluM", (unsigned long long)((bytes + (1 << 20) - 1) >> 20));
    cJSON_AddStringToObject(o, name, size);
    free(size);
}

static cJSON *manifest_object(const struct plan *p, const char *version)
{
    const struct config *c = p->config;
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "Program", p->guest_program);
    texts_add(o, "Args", &p->manifest.arg);
    cJSON *env = cJSON_AddObjectToObject(o, "Env");
    for (size_t i = 0; i < p->manifest.env.count; i++) {
        const char *entry = p->manifest.env.items[i];
        char *name = alloc_bytes(entry, strcspn(entry, "="));
        cJSON_AddStringToObject(env, name, entry + strlen(name) + 1);
        free(name);
    }
    cJSON_AddStringToObject(o, "Cwd", c->cwd);
    if (c->uid || c->gid) {
        cJSON_AddNumberToObject(o, "Uid", (double)c->uid);
        cJSON_AddNumberToObject(o, "Gid", (double)c->gid);
    }
    if (c->memory)
        size_add(cJSON_AddObjectToObject(o, "RunConfig"), "Memory", c->memory);
    if (c->volume_size)
        size_add(o, "BaseVolumeSz", c->volume_size);
    cJSON_AddStringToObject(o, "Version", version);
    return o;
}

static bool draft_fill(struct writer *w, const struct plan *p, const struct package_draft *d,
                       const char *version)
{
    struct err *err = w->err;
    if (mkdirat(d->fd, PACKAGE_ROOT, 0755) < 0 ||
        (w->root = openat(d->fd, PACKAGE_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        return err_errno(err, "write", d->dir);
    cJSON *manifest = manifest_object(p, version);
    char *text = cJSON_Print(manifest), *line = alloc_printf("%s\n", text);
    bool ok = tree_put(w, p->tree.count) && mtree_write(&w->list, d->fd, PACKAGE_LIST, err) &&
              (path_write(d->fd, PACKAGE_MANIFEST, line, strlen(line)) ||
               err_errno(err, "write", d->dir));
    free(line);
    free(text);
    cJSON_Delete(manifest);
    return ok;
}

bool package_write(const struct plan *p, const char *name, const char *version, char **dir,
                   struct err *err)
{
    struct writer w = {.root = -1, .entries = tree_entries(&p->tree), .err = err};
    struct package_draft draft = {.fd = -1};
    char *store = package_store_dir(err);
    hold_begin(&w.hold);
    bool ok = store && package_draft_make(&draft, store, err) &&
              draft_fill(&w, p, &draft, version) &&
              package_draft_keep(&draft, name, version, dir, err);
    package_draft_drop(&draft);
    free(store);
    hold_end(&w.hold);
    if (w.root >= 0)
        close(w.root);
    free(w.list.entries); /* what is in them is the tree's */
    free(w.entries);
    return ok;
}
