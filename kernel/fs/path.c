/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The path walker. `struct walk` is the walk in progress: where it stands (one
 * referenced node) and what is left of the text. A symbolic link puts its text
 * in front of the rest, in a buffer of the walk's own. No lock is held between
 * components.
 */
#include "fs/path.h"

#include <linux/errno.h>

#include "fs/mount.h"
#include "lib/string.h"
#include "mem/kmalloc.h"

#define WALK_SCOPED (WALK_BENEATH | WALK_IN_ROOT)

struct walk {
    struct fs_context *ctx;
    const struct cred *cred;
    struct path *root; /* referenced; the start of a scoped walk */
    struct path *cur;  /* referenced */
    const char *rest;
    char *buffer; /* holds `rest` once a link was followed */
    unsigned flags, links;
};

int fs_context_init(struct fs_context *ctx)
{
    struct path *root = mount_root();
    if (!root)
        return -ENOENT;
    *ctx = (struct fs_context){.root = root, .cwd = root, .umask = 022};
    path_get(root);
    return 0;
}

static struct path *context_get(struct fs_context *ctx, struct path **which)
{
    spin_lock(&ctx->lock);
    struct path *p = *which;
    path_get(p);
    spin_unlock(&ctx->lock);
    return p;
}

struct path *fs_context_root(struct fs_context *ctx)
{
    return context_get(ctx, &ctx->root);
}

struct path *fs_context_cwd(struct fs_context *ctx)
{
    return context_get(ctx, &ctx->cwd);
}

int path_child_locked(struct path *dir, const char *name, size_t len, struct path **out)
{
    struct vnode *v = NULL, *d = dir->vnode;
    struct path *p = path_find(dir, name, len);
    if (p && (p->mounted || !(d->flags & VNODE_LIVE))) {
        *out = p;
        return 0;
    }
    int err = d->ops->lookup ? d->ops->lookup(d, &(struct vnode_name){name, len}, &v) : -ENOTDIR;
    if (err == -ENOENT)
        err = 0;
    if (!err && p && p->vnode == v) {
        *out = p; /* as it was */
        p = NULL;
    } else if (!err) {
        err = path_attach(dir, name, len, v, out);
    }
    path_put(p);
    if (v)
        vnode_put(v);
    return err;
}

int path_child(struct path *dir, const char *name, size_t len, struct path **out)
{
    *out = dir->vnode->flags & VNODE_LIVE ? NULL : path_find(dir, name, len);
    if (*out)
        return 0;
    mutex_lock(&dir->vnode->lock);
    int err = path_child_locked(dir, name, len, out);
    mutex_unlock(&dir->vnode->lock);
    return err;
}

static void walk_goto(struct walk *w, struct path *p)
{
    path_put(w->cur);
    w->cur = p;
}

/* Whether the walk may go on in the file system of `to`. */
static int walk_may_enter(const struct walk *w, const struct path *to)
{
    bool other = to->vnode && to->vnode->fs != w->cur->vnode->fs;
    return other && w->flags & WALK_NO_XDEV ? -EXDEV : 0;
}

/* A link's text begins with a slash. */
static int walk_to_root(struct walk *w)
{
    int err = w->flags & WALK_BENEATH ? -EXDEV : walk_may_enter(w, w->root);
    if (err)
        return err;
    path_get(w->root);
    walk_goto(w, w->root);
    return 0;
}

/* "..". A directory that is moved away meanwhile leads nobody out of his scope. */
static int walk_up(struct walk *w)
{
    if (w->flags & WALK_BENEATH && w->cur == w->root)
        return -EXDEV;
    path_get(w->cur);
    struct path *up = path_up(w->cur, w->root), *from = w->cur;
    int err = walk_may_enter(w, up);
    if (!err && w->flags & WALK_SCOPED && !path_within(up, w->root))
        err = -EAGAIN;
    w->cur = up;
    path_put(from);
    return err;
}

/* Puts `target` in front of the rest of the path; takes over its buffer of PATH_LIMIT bytes. */
static int walk_splice(struct walk *w, char *target, size_t len)
{
    size_t rest = strlen(w->rest);
    if (len == 0 || len + 1 + rest >= PATH_LIMIT) {
        kfree(target);
        return len ? -ENAMETOOLONG : -ENOENT;
    }
    if (rest)
        target[len++] = '/';
    memcpy(target + len, w->rest, rest + 1);
    kfree(w->buffer);
    w->rest = w->buffer = target;
    return *target == '/' ? walk_to_root(w) : 0;
}

/* A link that leads to an object: its path, or NULL when it stands for its target itself. */
static int walk_magic_link(struct walk *w, struct path *link)
{
    struct path *to = NULL;
    if (w->flags & WALK_NO_MAGIC)
        return -ELOOP;
    int err = link->vnode->ops->follow(link->vnode, &to);
    if (err)
        return err;
    if (w->flags & WALK_SCOPED)
        err = -EXDEV;
    else if (to)
        err = walk_may_enter(w, to);
    else if (w->flags & WALK_NO_XDEV)
        err = -EXDEV; /* pipes and such are in no file system of names */
    if (err) {
        path_put(to);
        return err;
    }
    if (!to) {
        to = link;
        path_get(to);
    }
    walk_goto(w, to);
    return 0;
}

/* Follows a link found in w->cur. */
static int walk_link(struct walk *w, struct path *link)
{
    struct vnode *v = link->vnode;
    if (++w->links > LINKS_LIMIT || w->flags & WALK_NO_LINKS)
        return -ELOOP;
    if (v->ops->follow)
        return walk_magic_link(w, link);
    if (!v->ops->readlink)
        return -EINVAL;
    char *target = kmalloc(PATH_LIMIT);
    if (!target)
        return -ENOMEM;
    int len = v->ops->readlink(v, target, PATH_LIMIT);
    if (len < 0) {
        kfree(target);
        return len;
    }
    return walk_splice(w, target, (size_t)len);
}

/* A name in the directory where the walk stands. */
static int walk_child(struct walk *w, const char *name, size_t len, struct path **out)
{
    if (!(w->flags & WALK_CACHED))
        return path_child(w->cur, name, len, out);
    *out = w->cur->vnode->flags & VNODE_LIVE ? NULL : path_find(w->cur, name, len);
    return *out ? 0 : -EAGAIN;
}

/* One component that is a name. `last`: nothing but slashes follows. */
static int walk_name(struct walk *w, const char *name, size_t len, bool last, bool slash)
{
    struct path *child;
    int err = walk_child(w, name, len, &child);
    if (err)
        return err;
    child = path_cross(child);
    err = child->vnode ? walk_may_enter(w, child) : -ENOENT;
    if (err)
        ;
    else if (vnode_is_link(child->vnode) && (!last || slash || !(w->flags & WALK_NOFOLLOW))) {
        w->flags |= last && slash ? WALK_DIR : 0;
        err = walk_link(w, child);
    } else {
        walk_goto(w, child);
        return 0;
    }
    path_put(child);
    return err;
}

static size_t component_length(const char *s)
{
    size_t n = 0;
    while (s[n] && s[n] != '/')
        n++;
    return n;
}

/* May the walk search the directory it stands in? */
static int walk_may_search(struct walk *w)
{
    if (!vnode_is_dir(w->cur->vnode))
        return -ENOTDIR;
    int err = w->cred->uid ? vnode_refresh(w->cur->vnode) : 0; /* uid 0 may, whatever the mode */
    return err ? err : vnode_access(w->cur->vnode, w->cred, MAY_EXEC);
}

/* Describes the final component instead of taking it. */
static void walk_stop(struct walk *w, struct path_last *last, const char *name, size_t len,
                      bool slash)
{
    last->len = len;
    last->slash = slash;
    memcpy(last->name, name, len);
    last->name[len] = 0;
    last->kind = !strcmp(last->name, ".")    ? LAST_DOT
                 : !strcmp(last->name, "..") ? LAST_DOTDOT
                                             : LAST_NAME;
    last->dir = w->cur;
    w->cur = NULL;
}

/* For `last` with following: goes through a link at the end. 1 when it did. */
static int walk_last_link(struct walk *w, const char *name, size_t len)
{
    struct path *child;
    int err = walk_child(w, name, len, &child);
    if (err)
        return err;
    struct vnode *v = child->vnode;
    if (v && !child->mounted && vnode_is_link(v) && !v->ops->follow) {
        err = walk_link(w, child);
        err = err ? err : 1;
    }
    path_put(child);
    return err;
}

/* Walks to the end, or with `last` to the final component. */
static int walk_run(struct walk *w, struct path_last *last)
{
    bool slash = false;
    for (;;) {
        while (*w->rest == '/')
            w->rest++;
        if (!*w->rest)
            break;
        const char *name = w->rest;
        size_t len = component_length(name);
        const char *next = name + len;
        slash = *next == '/';
        while (*next == '/')
            next++;
        int err = walk_may_search(w);
        if (!err && len > NAME_LIMIT)
            err = -ENAMETOOLONG;
        if (err)
            return err;
        bool dots = name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'));
        if (last && !*next) {
            w->rest = next;
            err = !dots && !(w->flags & WALK_NOFOLLOW) ? walk_last_link(w, name, len) : 0;
            if (err < 0)
                return err;
            if (err)
                continue;
            walk_stop(w, last, name, len, slash);
            return 0;
        }
        w->rest = next;
        if (!dots)
            err = walk_name(w, name, len, !*next, slash);
        else if (len == 2)
            err = walk_up(w);
        if (err)
            return err;
    }
    if ((slash || w->flags & WALK_DIR) && !vnode_is_dir(w->cur->vnode))
        return -ENOTDIR;
    if (last) {
        walk_stop(w, last, "", 0, false);
        last->kind = LAST_ROOT;
    }
    return 0;
}

static int walk_start(struct walk *w, struct fs_context *ctx, struct path *start, const char *name,
                      unsigned flags, const struct cred *cred)
{
    if (!*name && !(flags & WALK_EMPTY))
        return -ENOENT;
    if (strnlen(name, PATH_LIMIT) == PATH_LIMIT)
        return -ENAMETOOLONG;
    *w = (struct walk){.ctx = ctx, .cred = cred ? cred : &ctx->cred, .rest = name, .flags = flags};
    if (*name == '/' && flags & WALK_BENEATH)
        return -EXDEV;
    w->root = fs_context_root(ctx);
    if (*name == '/' && !(flags & WALK_IN_ROOT))
        start = w->root;
    if (start) {
        path_get(start);
        w->cur = start;
    } else {
        w->cur = fs_context_cwd(ctx);
    }
    w->cur = path_cross(w->cur);
    if (flags & WALK_SCOPED) {
        path_put(w->root);
        w->root = w->cur;
        path_get(w->root);
    }
    return 0;
}

static void walk_end(struct walk *w)
{
    path_put(w->cur);
    path_put(w->root);
    kfree(w->buffer);
}

int path_walk(struct fs_context *ctx, struct path *start, const char *name, unsigned flags,
              const struct cred *cred, struct path **out)
{
    struct walk w;
    int err = walk_start(&w, ctx, start, name, flags, cred);
    if (err)
        return err;
    err = walk_run(&w, NULL);
    if (!err) {
        *out = w.cur;
        w.cur = NULL;
    }
    walk_end(&w);
    return err;
}

int path_walk_parent(struct fs_context *ctx, struct path *start, const char *name, unsigned flags,
                     struct path_last *out)
{
    struct walk w;
    int err = walk_start(&w, ctx, start, name, flags, NULL);
    if (err)
        return err;
    err = walk_run(&w, out);
    walk_end(&w);
    return err;
}
