/* SPDX-License-Identifier: Apache-2.0 */
/* Paths in an unpacked sysroot: see rootpath.h. */
#include "import/rootpath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "alloc.h"
#include "hostpath.h"

#define LINKS_MAX    40
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* The first symlink on the way, whose path goes to *link and what is behind it to *rest; NULL with
 * *found NULL: something is missing. */
static const struct mtree_entry *first_link(const struct mtree *m, const char *path,
                                            const struct mtree_entry **found, size_t *used)
{
    *found = mtree_find(m, "/");
    for (size_t n = 1; *found && path[n - 1] && path[1]; n++) {
        n += strcspn(path + n, "/");
        char *part = alloc_bytes(path, n);
        *found = mtree_find(m, part);
        free(part);
        *used = n;
        if (*found && (*found)->kind == TREE_LINK)
            return *found;
        if (!path[n])
            break;
    }
    return NULL;
}

const struct mtree_entry *rootpath_find(const struct rootfs_view *v, const char *path)
{
    char *at = path_normal(path);
    const struct mtree_entry *found = NULL, *link;
    for (unsigned links = 0; links <= LINKS_MAX; links++) {
        size_t used = 0;
        link = first_link(v->list, at, &found, &used);
        if (!link)
            break;
        char *next = path_through(link->path, link->link, at + used);
        free(at);
        at = next;
        found = NULL;
    }
    free(at);
    return found;
}

static bool is_program(const struct mtree_entry *e)
{
    return e && e->kind == TREE_FILE && (e->mode & 0111);
}

char *rootpath_program(const struct rootfs_view *v, const char *name, const char *cwd,
                       const struct strlist *env)
{
    struct strlist dirs = {0};
    const char *path = DEFAULT_PATH;
    char *found = NULL;
    for (size_t i = 0; i < env->count; i++)
        if (strncmp(env->items[i], "PATH=", 5) == 0)
            path = env->items[i] + 5;
    if (strchr(name, '/'))
        strlist_add(&dirs, cwd);
    else
        strlist_split(&dirs, path, ":");
    for (size_t i = 0; name[0] && !found && i < dirs.count; i++) {
        char *dir = path_join(cwd, dirs.items[i]), *file = path_join(dir, name);
        if (is_program(rootpath_find(v, file)))
            found = path_normal(file);
        free(file);
        free(dir);
    }
    strlist_free(&dirs);
    return found;
}

char *rootpath_read(const struct rootfs_view *v, const char *path, size_t limit)
{
    const struct mtree_entry *e = rootpath_find(v, path);
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    if (!e || e->kind != TREE_FILE)
        return NULL;
    int fd = (int)syscall(SYS_openat2, v->root, e->path + 1, &how, sizeof how);
    if (fd < 0)
        return NULL;
    size_t room = e->size < limit ? e->size : limit;
    char *text = alloc_zero(room + 1);
    ssize_t n = pread(fd, text, room, 0);
    close(fd);
    if (n >= 0)
        return text;
    free(text);
    return NULL;
}
