/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes that a program finds mounted: see mounts.h. */
#include "mounts.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "ext4file.h"
#include "hostpath.h"
#include "ops/exit.h"
#include "ops/image.h"
#include "volume_store.h"

#define MOUNT_PATH_MAX 255

bool mount_path_check(const char *option, const char *word, const char *path, struct err *err)
{
    static const char *const taken[] = {"/dev", "/proc", "/sys", "/tmp"};
    if (strcmp(path, "/") == 0)
        return err_set(err, OPS_EXIT_USAGE, "choose a directory below it",
                       "%s %s: the root cannot be replaced", option, word);
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        size_t n = strlen(taken[i]);
        if (strncmp(path, taken[i], n) == 0 && (path[n] == 0 || path[n] == '/'))
            return err_set(err, OPS_EXIT_USAGE, "choose another directory",
                           "%s %s: the kernel mounts its own on %s", option, word, taken[i]);
    }
    if (strlen(path) > MOUNT_PATH_MAX)
        return err_set(err, OPS_EXIT_USAGE, NULL, "%s %s: the path is longer than %d bytes", option,
                       word, MOUNT_PATH_MAX);
    return true;
}

static bool word_parse(struct mount *one, const char *word, struct err *err)
{
    const char *colon = strstr(word, ":/");
    if (!colon || colon == word) {
        bool relative = !colon && strchr(word, ':');
        return err_set(err, OPS_EXIT_USAGE, "write --mounts NAME:/path or NAME:/path:ro",
                       relative ? "--mounts %s: the mount point must be an absolute path"
                                : "--mounts %s says not what is mounted where",
                       word);
    }
    size_t n = strlen(colon + 1);
    one->read_only = n > 3 && strcmp(word + strlen(word) - 3, ":ro") == 0;
    char *path = alloc_bytes(colon + 1, one->read_only ? n - 3 : n);
    one->name = alloc_bytes(word, (size_t)(colon - word));
    one->path = path_normal(path);
    free(path);
    return mount_path_check("--mounts", word, one->path, err);
}

static bool twice_check(const struct mounts *m, const struct mount *one, struct err *err)
{
    for (size_t i = 0; i < m->count; i++) {
        if (&m->items[i] == one)
            continue;
        if (strcmp(m->items[i].path, one->path) == 0)
            return err_set(err, OPS_EXIT_USAGE, NULL, "two volumes are to be mounted on %s",
                           one->path);
        if (strcmp(m->items[i].name, one->name) == 0)
            return err_set(err, OPS_EXIT_USAGE, NULL, "the volume %s is to be mounted twice",
                           one->name);
    }
    return true;
}

static int path_compare(const void *a, const void *b)
{
    return strcmp(((const struct mount *)a)->path, ((const struct mount *)b)->path);
}

bool mounts_parse(struct mounts *m, const struct strlist *words, struct tree *t, struct err *err)
{
    bool ok = true;
    for (size_t i = 0; ok && i < words->count; i++) {
        m->items = alloc_array(m->items, m->count + 1, sizeof *m->items);
        struct mount *one = &m->items[m->count++];
        *one = (struct mount){.fd = -1};
        ok = word_parse(one, words->items[i], err) && twice_check(m, one, err) &&
             (tree_find(t, one->path) || tree_add_dir(t, one->path, 0755, "mount point", err));
    }
    if (m->count)
        qsort(m->items, m->count, sizeof *m->items, path_compare);
    return ok;
}

static void manifest_add(struct strlist *manifest, const char *name, const struct mount *one)
{
    strlist_addf(manifest, "%s:%s%s", name, one->path, one->read_only ? ":ro" : "");
}

bool mounts_declare(const struct mounts *m, struct strlist *manifest, struct err *err)
{
    for (size_t i = 0; i < m->count; i++) {
        if (strchr(m->items[i].name, '/'))
            return err_set(err, OPS_EXIT_USAGE, "`ops volume info FILE` shows its label and UUID",
                           "a disk finds its volumes by label or UUID, not by file: %s",
                           m->items[i].name);
        manifest_add(manifest, m->items[i].name, &m->items[i]);
    }
    return true;
}

static bool super_check(const struct mount *one, const struct ext4file *f, struct err *err)
{
    const struct ext2_super_block *s = f->fs->super;
    if (f->busy)
        return err_set(err, OPS_EXIT_FAILED, "wait until that has ended",
                       "the volume %s is in use by another machine", one->name);
    if (f->disk || strncmp((const char *)s->s_volume_name, OPS_ROOT_LABEL, 16) == 0)
        return err_set(err, OPS_EXIT_FAILED, "`ops volume create` makes volumes",
                       "%s is a system image, not a volume", one->name);
    if ((s->s_state & EXT2_ERROR_FS) || !(s->s_state & EXT2_VALID_FS))
        return err_set(err, OPS_EXIT_FAILED, "`ops volume check --repair` repairs it",
                       "the volume %s is damaged", one->name);
    return true;
}

static bool mount_attach(struct mount *one, char uuid[37], struct err *err)
{
    struct ext4file f;
    if (!(one->file = volume_path(one->name, err)) ||
        !ext4file_locate(&f, one->file, OPS_ROOT_LABEL,
                         one->read_only ? EXT4FILE_READ : EXT4FILE_HOLD, err))
        return false;
    bool ok = ext4file_attach(&f, err) && super_check(one, &f, err);
    if (ok) {
        ext4file_uuid(f.fs->super->s_uuid, uuid);
        one->fd = dup(f.fd); /* shares the lock */
    }
    ext4file_abandon(&f);
    return ok && (one->fd >= 0 || err_errno(err, "lock", one->file));
}

bool mounts_attach(struct mounts *m, struct strlist *manifest, size_t most, struct err *err)
{
    char(*uuids)[37] = alloc_array(NULL, m->count + 1, sizeof *uuids);
    bool ok = true;
    if (m->count > most)
        ok = err_set(err, OPS_EXIT_USAGE, "--machine q35 has room for more",
                     "this machine has room for %zu volumes, not %zu", most, m->count);
    strlist_free(manifest);
    for (size_t i = 0; ok && i < m->count; i++) {
        ok = mount_attach(&m->items[i], uuids[i], err);
        for (size_t k = 0; ok && k < i; k++)
            if (strcmp(uuids[k], uuids[i]) == 0)
                ok = err_set(err, OPS_EXIT_FAILED,
                             "if one is a copy, `tune2fs -U random FILE` tells them apart",
                             "%s and %s have the same UUID", m->items[k].name, m->items[i].name);
        if (ok)
            manifest_add(manifest, uuids[i], &m->items[i]);
    }
    free(uuids);
    return ok;
}

void mounts_free(struct mounts *m)
{
    for (size_t i = 0; i < m->count; i++) {
        free(m->items[i].name);
        free(m->items[i].path);
        free(m->items[i].file);
        if (m->items[i].fd >= 0)
            close(m->items[i].fd);
    }
    free(m->items);
    *m = (struct mounts){0};
}
