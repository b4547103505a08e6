/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The name cache: the nodes (`struct path`) of all names seen, hashed by parent
 * and name, found names and missing ones alike. A child holds a reference to its
 * parent; nodes without references wait on the idle list, oldest first. One
 * spinlock guards all of it; vnodes are put after it is released.
 */
#include <linux/errno.h>

#include "fs/path.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "mem/page.h"

#define PATH_BUCKETS 1024
#define EVICT_SCAN   4 /* nodes that a path_put() looks at when too many are idle: it adds one */

static struct {
    struct spinlock lock;
    bool ready;
    size_t idle_count, idle_limit;
    struct list idle;
    struct list bucket[PATH_BUCKETS];
} cache;

static void cache_lock(void)
{
    spin_lock(&cache.lock);
    if (LIKELY(cache.ready))
        return;
    list_init(&cache.idle);
    for (unsigned i = 0; i < PATH_BUCKETS; i++)
        list_init(&cache.bucket[i]);
    cache.idle_limit = MIN(MAX(page_count_total() / 8, (size_t)256), (size_t)65536);
    cache.ready = true;
}

static void cache_unlock(void)
{
    spin_unlock(&cache.lock);
}

/* FNV-1a over the parent's address and the name. */
static uint32_t path_hash(const struct path *parent, const char *name, size_t len)
{
    uint64_t seed = (uint64_t)parent >> 4;
    uint32_t h = 2166136261u ^ (uint32_t)seed ^ (uint32_t)(seed >> 32);
    for (size_t i = 0; i < len; i++)
        h = (h ^ (uint8_t)name[i]) * 16777619u;
    return h;
}

/* A node, one reference, on no list; holds its own references to parent and vnode. */
static struct path *path_alloc(struct path *parent, const char *name, size_t len, struct vnode *v)
{
    struct path *p = kzalloc(sizeof *p);
    if (!p)
        return NULL;
    p->name = kmalloc(len + 1);
    if (!p->name) {
        kfree(p);
        return NULL;
    }
    memcpy(p->name, name, len);
    p->name[len] = 0;
    p->len = (uint16_t)len;
    p->refs = 1;
    p->hash = path_hash(parent, name, len);
    list_init(&p->hash_link);
    list_init(&p->idle_link);
    list_init(&p->alias_link);
    list_init(&p->children);
    list_init(&p->sibling_link);
    p->parent = parent;
    if (parent)
        path_get(parent);
    p->vnode = v;
    if (v)
        vnode_get(v);
    return p;
}

static void path_unhash(struct path *p)
{
    list_remove(&p->hash_link);
    list_remove(&p->sibling_link);
    p->hashed = false;
}

static void path_hash_in(struct path *p)
{
    list_add_head(&cache.bucket[p->hash % PATH_BUCKETS], &p->hash_link);
    list_add_tail(&p->parent->children, &p->sibling_link);
    p->hashed = true;
}

/*
 * The last reference went away: an unhashed node, and each parent that loses its
 * last child by that, goes to `dead` (linked by idle_link); others become idle.
 */
static void path_release_locked(struct path *p, struct list *dead)
{
    while (p && --p->refs == 0) {
        if (p->hashed || !p->parent) {
            list_add_tail(&cache.idle, &p->idle_link);
            cache.idle_count++;
            return;
        }
        list_remove(&p->alias_link);
        list_add_tail(dead, &p->idle_link);
        p = p->parent;
    }
}

static void path_free_dead(struct list *dead)
{
    for (struct list *l; (l = list_pop_head(dead));) {
        struct path *p = LIST_ENTRY(l, struct path, idle_link);
        if (p->vnode)
            vnode_put(p->vnode);
        kfree(p->name);
        kfree(p);
    }
}

/* Whether only the name cache uses the vnode of an idle node. */
static bool path_vnode_idle(const struct path *p)
{
    uint32_t names = 0;
    if (!p->vnode)
        return true;
    LIST_FOR_EACH(l, &p->vnode->aliases)
    names++;
    return p->vnode->refs <= names;
}

/* Of the oldest `scan` unused nodes those whose vnode nobody else uses become dead; how many. */
static size_t path_evict_locked(size_t wanted, size_t scan, struct list *dead)
{
    size_t evicted = 0;
    for (scan = MIN(scan, cache.idle_count); scan && evicted < wanted; scan--) {
        struct path *p = LIST_ENTRY(list_pop_head(&cache.idle), struct path, idle_link);
        /* A mapped file keeps its name, and roots stay with their mounts. */
        if (!p->parent || !path_vnode_idle(p)) {
            list_add_tail(&cache.idle, &p->idle_link);
            continue;
        }
        cache.idle_count--;
        path_unhash(p);
        p->refs = 1;
        path_release_locked(p, dead);
        evicted++;
    }
    return evicted;
}

static void path_get_locked(struct path *p)
{
    if (p->refs++ == 0) {
        list_remove(&p->idle_link);
        cache.idle_count--;
    }
}

void path_get(struct path *p)
{
    cache_lock();
    path_get_locked(p);
    cache_unlock();
}

void path_put(struct path *p)
{
    struct list dead;
    if (!p)
        return;
    list_init(&dead);
    cache_lock();
    path_release_locked(p, &dead);
    if (cache.idle_count > cache.idle_limit)
        path_evict_locked(EVICT_SCAN, EVICT_SCAN, &dead);
    cache_unlock();
    path_free_dead(&dead);
}

size_t path_cache_shrink(size_t wanted)
{
    struct list dead;
    list_init(&dead);
    cache_lock();
    size_t n = path_evict_locked(wanted, SIZE_MAX, &dead);
    cache_unlock();
    path_free_dead(&dead);
    return n;
}

static struct path *path_find_locked(struct path *dir, const char *name, size_t len)
{
    uint32_t hash = path_hash(dir, name, len);
    LIST_FOR_EACH(l, &cache.bucket[hash % PATH_BUCKETS])
    {
        struct path *p = LIST_ENTRY(l, struct path, hash_link);
        if (p->hash == hash && p->parent == dir && p->len == len && !memcmp(p->name, name, len))
            return p;
    }
    return NULL;
}

struct path *path_find(struct path *dir, const char *name, size_t len)
{
    cache_lock();
    struct path *p = path_find_locked(dir, name, len);
    if (p)
        path_get_locked(p);
    cache_unlock();
    return p;
}

struct path *path_root_create(struct vnode *root)
{
    struct path *p = path_alloc(NULL, "", 0, root);
    if (p) {
        cache_lock();
        list_add_tail(&root->aliases, &p->alias_link);
        cache_unlock();
    }
    return p;
}

void path_root_destroy(struct path *p)
{
    struct list dead;
    list_init(&dead);
    path_forget_below(p);
    cache_lock();
    p->refs--;
    list_remove(&p->idle_link);
    list_remove(&p->alias_link);
    list_add_tail(&dead, &p->idle_link);
    cache_unlock();
    path_free_dead(&dead);
}

/* A deleted directory: names that are known to be missing in it would keep it, and its inode. */
static void path_childless_locked(struct path *dir, struct list *dead)
{
    for (struct list *l = dir->children.next, *next; l != &dir->children; l = next) {
        struct path *p = LIST_ENTRY(l, struct path, sibling_link);
        next = l->next;
        if (p->pinned || p->vnode)
            continue;
        path_get_locked(p);
        path_unhash(p);
        path_release_locked(p, dead);
    }
}

int path_attach(struct path *dir, const char *name, size_t len, struct vnode *v, struct path **out)
{
    struct list dead;
    struct path *p = path_alloc(dir, name, len, v);
    if (!p)
        return -ENOMEM;
    list_init(&dead);
    cache_lock();
    struct path *old = path_find_locked(dir, name, len);
    if (old) {
        path_get_locked(old);
        path_unhash(old);
        path_release_locked(old, &dead);
    }
    if (!(dir->vnode->flags & VNODE_DYNAMIC) && dir->vnode->nlink) /* not if it is deleted */
        path_hash_in(p);
    if (v)
        list_add_tail(&v->aliases, &p->alias_link);
    cache_unlock();
    path_free_dead(&dead);
    *out = p;
    return 0;
}

int path_attach_unnamed(struct path *dir, struct vnode *v, struct path **out)
{
    char name[24];
    int len = snprintf(name, sizeof name, "#%llu", (unsigned long long)v->ino);
    struct path *p = path_alloc(dir, name, (size_t)len, v);
    if (!p)
        return -ENOMEM;
    cache_lock();
    list_add_tail(&v->aliases, &p->alias_link);
    cache_unlock();
    *out = p;
    return 0;
}

void path_detach(struct path *p)
{
    struct list dead;
    list_init(&dead);
    cache_lock();
    if (p->hashed)
        path_unhash(p);
    path_childless_locked(p, &dead);
    cache_unlock();
    path_free_dead(&dead);
}

/* Gives p another parent and name. */
static void path_rename_locked(struct path *p, struct path *dir, char *name, size_t len)
{
    if (p->hashed)
        path_unhash(p);
    p->parent = dir;
    p->name = name;
    p->len = (uint16_t)len;
    p->hash = path_hash(dir, name, len);
    path_hash_in(p);
}

int path_move(struct path *p, struct path *dir, const char *name, size_t len)
{
    struct list dead;
    char *fresh = kmalloc(len + 1), *stale;
    if (!fresh)
        return -ENOMEM;
    memcpy(fresh, name, len);
    fresh[len] = 0;
    list_init(&dead);
    cache_lock();
    struct path *old = path_find_locked(dir, name, len), *parent = p->parent;
    if (old) {
        path_unhash(old);
        path_childless_locked(old, &dead);
    }
    if (old && old->refs == 0) {
        path_get_locked(old);
        path_release_locked(old, &dead);
    }
    stale = p->name;
    path_get_locked(dir);
    path_rename_locked(p, dir, fresh, len);
    path_release_locked(parent, &dead);
    cache_unlock();
    path_free_dead(&dead);
    kfree(stale);
    return 0;
}

void path_swap(struct path *a, struct path *b)
{
    cache_lock();
    struct path *dir = a->parent;
    char *name = a->name;
    size_t len = a->len;
    path_rename_locked(a, b->parent, b->name, b->len);
    path_rename_locked(b, dir, name, len);
    cache_unlock();
}

struct path *path_cross(struct path *p)
{
    if (LIKELY(!p->mounted))
        return p;
    struct list dead;
    list_init(&dead);
    cache_lock();
    while (p->mounted) {
        struct path *root = p->mounted;
        path_get_locked(root);
        path_release_locked(p, &dead);
        p = root;
    }
    cache_unlock();
    path_free_dead(&dead);
    return p;
}

struct path *path_up(struct path *p, const struct path *root)
{
    struct path *up = p;
    cache_lock();
    while (up != root && !up->parent && up->covered)
        up = up->covered;
    if (up != root && up->parent)
        up = up->parent;
    path_get_locked(up);
    cache_unlock();
    path_put(p);
    return path_cross(up);
}

int path_mount(struct path *at, struct path *root)
{
    cache_lock();
    bool busy = at->mounted || root->covered;
    if (!busy) {
        path_get_locked(at);
        path_get_locked(root);
        at->mounted = root;
        root->covered = at;
        at->pinned = !at->vnode;
    }
    cache_unlock();
    return busy ? -EBUSY : 0;
}

/* Only inotify may use the vnode beside its names. */
static bool path_forgettable(const struct path *p, const struct path *root)
{
    const struct path *top = p;
    uint32_t names = 0;
    while (top->parent)
        top = top->parent;
    if (top != root || p == root)
        return false;
    if (!p->vnode)
        return true;
    LIST_FOR_EACH(l, &p->vnode->aliases)
    names++;
    return p->vnode->refs <= names + p->vnode->watches;
}

void path_forget_below(struct path *root)
{
    struct list dead;
    bool again = true;
    list_init(&dead);
    cache_lock();
    while (again) { /* a parent becomes idle with its last child, at the end of the list */
        again = false;
        LIST_FOR_EACH_SAFE(l, &cache.idle)
        {
            struct path *p = LIST_ENTRY(l, struct path, idle_link);
            if (!path_forgettable(p, root))
                continue;
            path_get_locked(p);
            path_unhash(p);
            path_release_locked(p, &dead);
            again = true;
        }
    }
    cache_unlock();
    path_free_dead(&dead);
}

int path_unmount(struct path *root)
{
    struct list dead;
    list_init(&dead);
    cache_lock();
    struct path *at = root->covered;
    bool busy = !at || root->refs != 2; /* the mount's, and that of path_mount() */
    if (!busy) {
        at->mounted = NULL;
        at->pinned = false;
        root->covered = NULL;
        root->refs--;
        path_release_locked(at, &dead);
    }
    cache_unlock();
    path_free_dead(&dead);
    return busy ? -EBUSY : 0;
}

/* Text in front of *at, which moves; false when there is no room. */
static bool text_prepend(char *buf, char **at, const char *text, size_t len)
{
    if ((size_t)(*at - buf) < len)
        return false;
    *at -= len;
    memcpy(*at, text, len);
    return true;
}

static int path_text_locked(struct path *p, const struct path *root, char *buf, size_t n)
{
    static const char gone[] = " (deleted)";
    if (n == 0)
        return -ENAMETOOLONG;
    char *at = buf + n - 1;
    bool room = true, any = false;
    *at = 0;
    if (p->parent && !p->hashed && !(p->parent->vnode->flags & VNODE_DYNAMIC))
        room = text_prepend(buf, &at, gone, sizeof gone - 1);
    for (; room && p != root; p = p->parent) {
        while (p != root && !p->parent && p->covered)
            p = p->covered;
        if (p == root)
            break;
        if (!p->parent) {
            if (root)
                return -ENOENT;
            break;
        }
        room = text_prepend(buf, &at, p->name, p->len) && text_prepend(buf, &at, "/", 1);
        any = true;
    }
    if (room && !any)
        room = text_prepend(buf, &at, "/", 1);
    if (!room)
        return -ENAMETOOLONG;
    int len = (int)(buf + n - 1 - at);
    memmove(buf, at, (size_t)len + 1);
    return len;
}

int path_text(struct path *p, struct path *root, char *buf, size_t n)
{
    cache_lock();
    int len = path_text_locked(p, root, buf, n);
    cache_unlock();
    return len;
}

int path_text_of_vnode(struct vnode *v, char *buf, size_t n)
{
    int len = -ENOENT;
    cache_lock();
    if (!list_empty(&v->aliases))
        len = path_text_locked(LIST_ENTRY(v->aliases.next, struct path, alias_link), NULL, buf, n);
    cache_unlock();
    return len;
}

int path_name_of_vnode(struct vnode *v, char name[NAME_LIMIT + 1], struct vnode **dir)
{
    int len = -ENOENT;
    cache_lock();
    LIST_FOR_EACH(l, &v->aliases)
    {
        const struct path *p = LIST_ENTRY(l, struct path, alias_link);
        if (!p->parent || !p->hashed || !p->len)
            continue;
        memcpy(name, p->name, p->len);
        name[p->len] = '\0';
        *dir = p->parent->vnode;
        vnode_get(*dir);
        len = p->len;
        break;
    }
    cache_unlock();
    return len;
}

bool path_within(struct path *p, const struct path *root)
{
    cache_lock();
    while (p && p != root)
        p = p->parent ? p->parent : p->covered;
    cache_unlock();
    return p;
}

bool path_deleted(struct path *p)
{
    return p->parent && !p->hashed && !(p->parent->vnode->flags & VNODE_DYNAMIC);
}
