/* SPDX-License-Identifier: Apache-2.0 */
/* The tree in memory: see layout.h. */
#include "import/layout.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "buf.h"
#include "hostpath.h"

#define WALK_LINKS 40 /* as Linux */

static int node_compare(const void *a, const void *b)
{
    return strcmp(((const struct node *)a)->name, ((const struct node *)b)->name);
}

static struct inode *inode_create(enum tree_kind kind)
{
    struct inode *i = alloc_zero(sizeof *i);
    i->meta.kind = kind;
    i->meta.mode = 0755;
    return i;
}

struct node *node_create_root(void)
{
    struct node *n = alloc_zero(sizeof *n);
    n->name = alloc_string("");
    n->inode = inode_create(TREE_DIR);
    n->inode->meta.nlink = 1;
    return n;
}

struct node *node_add(struct node *dir, const char *name, enum tree_kind kind, struct inode *inode)
{
    struct node *n = alloc_zero(sizeof *n);
    n->name = alloc_string(name);
    n->parent = dir;
    n->inode = inode ? inode : inode_create(kind);
    n->inode->meta.nlink++;
    if (!tsearch(n, &dir->children, node_compare))
        abort(); /* small allocations do not fail (alloc.h) */
    return n;
}

static void node_free(struct node *n)
{
    if (--n->inode->meta.nlink == 0) {
        mtree_entry_free(&n->inode->meta);
        free(n->inode);
    }
    free(n->name);
    free(n);
}

void node_remove(struct node *n)
{
    tdelete(n, &n->parent->children, node_compare);
    node_free(n);
}

struct node *node_child(const struct node *dir, const char *name)
{
    struct node key = {.name = (char *)name};
    struct node *const *found = tfind(&key, &dir->children, node_compare);
    return found ? *found : NULL;
}

struct collect {
    struct node **items;
    size_t count, room;
};

static void node_collect(const void *node, VISIT visit, void *context)
{
    struct collect *c = context;
    if (visit != postorder && visit != leaf)
        return;
    if (c->count + 1 >= c->room) {
        c->room = 2 * c->room + 16;
        c->items = alloc_array(c->items, c->room, sizeof *c->items);
    }
    c->items[c->count++] = *(struct node *const *)node;
}

struct node **node_children(const struct node *dir)
{
    struct collect c = {.items = alloc_array(NULL, 1, sizeof *c.items), .room = 1};
    twalk_r(dir->children, node_collect, &c);
    c.items[c.count] = NULL;
    return c.items;
}

char *node_path(const struct node *n, const struct node *root)
{
    size_t size = 0;
    for (const struct node *p = n; p != root; p = p->parent)
        size += strlen(p->name) + 1;
    char *path = alloc_zero(size ? size + 1 : 2), *at = path + size;
    if (!size)
        path[0] = '/';
    for (const struct node *p = n; p != root; p = p->parent) {
        size_t length = strlen(p->name);
        at -= length + 1;
        at[0] = '/';
        memcpy(at + 1, p->name, length);
    }
    return path;
}

struct walk {
    struct node *root, *at;
    char *todo; /* components to go, the last one included */
    unsigned links;
};

/* The next component goes off w->todo; NULL: there is none. Freed with free(). */
static char *component_take(struct walk *w)
{
    char *p = w->todo + strspn(w->todo, "/");
    size_t n = strcspn(p, "/");
    char *name = n ? alloc_bytes(p, n) : NULL, *left = alloc_string(p + n);
    free(w->todo);
    w->todo = left;
    return name;
}

static bool component_is_last(const struct walk *w)
{
    return w->todo[strspn(w->todo, "/")] == 0;
}

/* Goes on where a symlink leads. */
static bool link_enter(struct walk *w, const char *target)
{
    char *todo = alloc_printf("%s/%s", target, w->todo);
    free(w->todo);
    w->todo = todo;
    if (target[0] == '/')
        w->at = w->root;
    return ++w->links <= WALK_LINKS && strlen(todo) <= 2 * MTREE_PATH;
}

static bool has_dotdot(const char *path)
{
    for (const char *p = path; *p; p += strcspn(p, "/")) {
        p += strspn(p, "/");
        if (strncmp(p, "..", 2) == 0 && (p[2] == 0 || p[2] == '/'))
            return true;
    }
    return false;
}

/* One step down. *found: the walk ends here, and `name` is the last component. */
static bool walk_step(struct walk *w, const char *name, bool *found, bool *missing,
                      const char **why)
{
    if (strcmp(name, ".") == 0)
        return true;
    if (strcmp(name, "..") == 0) { /* of a symlink's target */
        w->at = w->at == w->root ? w->root : w->at->parent;
        return true;
    }
    *found = component_is_last(w);
    if (*found)
        return true;
    struct node *next = node_child(w->at, name);
    *missing = !next;
    if (next && next->inode->meta.kind == TREE_FILE) {
        *why = "a file stands where it needs a directory";
        return false;
    }
    if (next && next->inode->meta.kind == TREE_LINK) {
        *why = "it runs through a loop of symlinks";
        return link_enter(w, next->inode->meta.link);
    }
    if (next)
        w->at = next;
    return true;
}

/* What is missing may not go up again: only names stand in it. */
static char *rest_join(const char *first, const char *todo, char **last)
{
    char *slash = strrchr(todo, '/');
    struct buf b = {0};
    buf_addf(&b, "%s", first);
    buf_add(&b, todo, (size_t)(slash - todo));
    *last = alloc_string(slash + 1);
    return b.data;
}

struct node *node_walk(struct node *root, const char *path, char **rest, char **last,
                       const char **why)
{
    struct walk w = {.root = root, .at = root};
    char *name = NULL;
    bool ok = true, found = false, missing = false;
    *rest = *last = NULL;
    *why = has_dotdot(path) ? "it leads out by `..`" : "its path is too long";
    if (has_dotdot(path) || strlen(path) > MTREE_PATH)
        return NULL;
    w.todo = path_normal(path);
    while (ok && !found && !missing) {
        free(name);
        name = component_take(&w);
        if (!name)
            break;
        ok = walk_step(&w, name, &found, &missing, why);
    }
    if (ok && missing) {
        char *normal = path_normal(w.todo);
        *why = "a symlink that leads nowhere is on its way";
        ok = !has_dotdot(w.todo);
        if (ok)
            *rest = rest_join(name, normal, last);
        free(normal);
    } else if (ok) {
        *last = alloc_string(found ? name : "");
    }
    free(name);
    free(w.todo);
    return ok ? w.at : NULL;
}

void node_free_all(struct node *root)
{
    struct node **children = node_children(root);
    for (size_t i = 0; children[i]; i++)
        node_free_all(children[i]);
    free(children);
    if (root->parent)
        node_remove(root);
    else
        node_free(root);
}
