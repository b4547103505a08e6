/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes by name: see volume_store.h. */
#include "volume_store.h"

#include <dirent.h>
#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "ext4file.h"
#include "hold.h"
#include "hostpath.h"
#include "nearest.h"
#include "ops/exit.h"
#include "ops/image.h"
#include "rootfs.h"
#include "tempfile.h"

#define VOLUME_SUFFIX  ".ext4"
#define VOLUME_TEMP    ".tmp-"
#define VOLUME_DEFAULT (UINT64_C(64) << 20)
#define VOLUME_LEAST   (UINT64_C(8) << 20)

bool volume_name_check(const char *name, struct err *err)
{
    if (!path_name_ok(name, VOLUME_NAME_MAX))
        return err_set(err, OPS_EXIT_USAGE,
                       "1 to 16 letters, digits, '.', '_' or '-', the first a letter or digit",
                       "'%s' cannot be the name of a volume", name);
    if (strcmp(name, OPS_ROOT_LABEL) == 0 || strcmp(name, OPS_BOOT_LABEL) == 0)
        return err_set(err, OPS_EXIT_USAGE, "choose another name",
                       "%s is the label of the system's own filesystems", name);
    return true;
}

char *volume_dir(struct err *err)
{
    return path_user("XDG_DATA_HOME", ".local/share", "ops/volumes", err);
}

static char *file_of(const char *dir, const char *name)
{
    return alloc_printf("%s/%s" VOLUME_SUFFIX, dir, name);
}

bool volume_names(struct strlist *names, struct err *err)
{
    char *dir = volume_dir(err);
    bool ok = dir && path_names(dir, VOLUME_SUFFIX, names, err);
    free(dir);
    return ok;
}

/* The UUID of the ext4 filesystem in a bare file, as text. */
static bool uuid_read(const char *path, char text[37])
{
    struct ext2_super_block s;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && pread(fd, &s, sizeof s, SUPERBLOCK_OFFSET) == (ssize_t)sizeof s;
    if (fd >= 0)
        close(fd);
    if (ok)
        ext4file_uuid(s.s_uuid, text);
    return ok;
}

bool volume_uuid(const char *path, char text[37], struct err *err)
{
    return uuid_read(path, text) || err_errno(err, "read", path);
}

/* The volume whose UUID this is; NULL: none. */
static char *by_uuid(const char *dir, const struct strlist *names, const char *uuid)
{
    for (size_t i = 0; i < names->count; i++) {
        char *path = file_of(dir, names->items[i]), text[37];
        if (uuid_read(path, text) && strcasecmp(text, uuid) == 0)
            return path;
        free(path);
    }
    return NULL;
}

static void unknown(const char *name, const struct strlist *names, struct err *err)
{
    err_set(err, OPS_EXIT_FAILED, "`ops volume list` lists them", "there is no volume %s", name);
    const char *near = nearest_word(name, (const char *const *)names->items, names->count);
    if (near)
        err_hint(err, "did you mean %s?", near);
    else if (access(name, F_OK) == 0)
        err_hint(err, "write ./%s to mean the file of that name", name);
    else if (!names->count)
        err_hint(err, "`ops volume create NAME` makes one");
}

char *volume_path(const char *name, struct err *err)
{
    struct strlist names = {0};
    if (strchr(name, '/'))
        return alloc_string(name);
    char *dir = volume_dir(err);
    char *path = dir ? file_of(dir, name) : NULL;
    if (path && (name[0] == '.' || access(path, F_OK) < 0)) {
        free(path);
        path = NULL;
        if (volume_names(&names, err) && !(path = by_uuid(dir, &names, name)))
            unknown(name, &names, err);
    }
    strlist_free(&names);
    free(dir);
    return path;
}

/* Removes what killed runs left: nobody has a lock on those. */
static void leftovers_sweep(const char *dir)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (strncmp(e->d_name, VOLUME_TEMP, strlen(VOLUME_TEMP)) != 0)
            continue;
        int fd = openat(dirfd(d), e->d_name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
            unlinkat(dirfd(d), e->d_name, 0);
        if (fd >= 0)
            close(fd);
    }
    if (d)
        closedir(d);
}

/* A new locked file; a sweep between its creation and its lock only makes us try again. */
static int temp_make(char *path, struct err *err)
{
    size_t n = strlen(path);
    for (;;) {
        struct stat st;
        memcpy(path + n - 6, "XXXXXX", 6);
        int fd = mkostemp(path, O_CLOEXEC);
        if (fd < 0) {
            err_errno(err, "write", path);
            return -1;
        }
        if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0 && st.st_nlink > 0)
            return fd;
        close(fd);
    }
}

static bool step(void *context, const struct tree_entry *e, uint64_t bytes, struct err *err)
{
    (void)e;
    return hold_step(context, bytes == 0, bytes, err);
}

static bool volume_write(int fd, const char *temp, const char *name, const struct volume_wish *wish,
                         struct err *err)
{
    const char *dir = wish->dir;
    uint64_t size = wish->size & ~UINT64_C(4095);
    struct hold hold;
    struct tree t = {.data = true, .uid = wish->uid, .gid = wish->gid};
    struct rootfs_options o = {
        .label = name, .journal = true, .volume = true, .step = step, .context = &hold};
    char *real = dir ? realpath(dir, NULL) : NULL;
    if (dir && !real)
        return err_errno(err, "open", dir);
    bool ok = real ? tree_add_all(&t, "/", real, name, NULL, NULL, err)
                   : tree_add_dir(&t, "/", 0755, name, err);
    if (ok && !real)
        clock_gettime(CLOCK_REALTIME, &tree_find(&t, "/")->st.st_mtim);
    if (ok && tree_find(&t, "/")->kind != TREE_DIR)
        ok = err_set(err, OPS_EXIT_USAGE, NULL, "%s is no directory", dir);
    uint64_t need = ok ? rootfs_size(&t, true) : 0;
    o.size = size ? size : need > VOLUME_DEFAULT ? need : VOLUME_DEFAULT;
    if (ok && getrandom(o.id, sizeof o.id, 0) != (ssize_t)sizeof o.id)
        ok = err_errno(err, "get random numbers for", name);
    hold_begin(&hold);
    ok = ok && rootfs_write(temp, &t, &o, err);
    if (ok && fsync(fd) < 0)
        ok = err_errno(err, "write", temp);
    if (!ok)
        tempfile_remove();
    hold_end(&hold);
    tree_free(&t);
    free(real);
    return ok;
}

static bool exists(const char *name, struct err *err)
{
    return err_set(err, OPS_EXIT_FAILED, "choose another name, or delete it first",
                   "there is a volume %s already", name);
}

static bool volume_place(const char *dir, const char *temp, const char *path, const char *name,
                         struct err *err)
{
    if (renameat2(AT_FDCWD, temp, AT_FDCWD, path, RENAME_NOREPLACE) < 0)
        return errno == EEXIST ? exists(name, err) : err_errno(err, "write", path);
    tempfile_release();
    int fd = open(dir, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    return true;
}

bool volume_create(const char *name, const struct volume_wish *wish, struct err *err)
{
    if (!volume_name_check(name, err))
        return false;
    if (wish->size && wish->size < VOLUME_LEAST)
        return err_set(err, OPS_EXIT_USAGE, "the least is 8M",
                       "%llu bytes are too little for a volume", (unsigned long long)wish->size);
    char *dir = volume_dir(err);
    if (!dir)
        return false;
    char *path = file_of(dir, name), *temp = path_join(dir, VOLUME_TEMP "XXXXXX");
    bool ok = path_make_dirs(dir) || err_errno(err, "make", dir);
    if (ok && access(path, F_OK) == 0)
        ok = exists(name, err);
    if (ok) {
        leftovers_sweep(dir);
        int fd = temp_make(temp, err);
        ok = fd >= 0;
        if (ok) {
            tempfile_guard(temp);
            ok =
                volume_write(fd, temp, name, wish, err) && volume_place(dir, temp, path, name, err);
            tempfile_remove();
            close(fd);
        }
    }
    free(temp);
    free(path);
    free(dir);
    return ok;
}

bool volume_delete(const char *name, struct err *err)
{
    struct ext4file f;
    if (strchr(name, '/'))
        return err_set(err, OPS_EXIT_USAGE, "a file is deleted with rm",
                       "'%s' is not the name of a volume", name);
    char *path = volume_path(name, err);
    bool ok = path && ext4file_locate(&f, path, OPS_ROOT_LABEL, EXT4FILE_WRITE, err);
    if (ok) {
        ok = unlink(path) == 0 || err_errno(err, "delete", path);
        ext4file_abandon(&f);
    }
    free(path);
    return ok;
}
