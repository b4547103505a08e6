/* SPDX-License-Identifier: Apache-2.0 */
/* Red-black tree balancing (Cormen et al., ch. 13), with explicit NULL leaves. */
#include "lib/rbtree.h"

static bool is_red(const struct rb_node *n)
{
    return n && n->red;
}

static void replace_child(struct rb_root *root, struct rb_node *parent, struct rb_node *old,
                          struct rb_node *new)
{
    if (!parent)
        root->node = new;
    else if (parent->left == old)
        parent->left = new;
    else
        parent->right = new;
}

/* Turns `n` down; its child on the other side takes its place. */
static void rotate(struct rb_root *root, struct rb_node *n, bool to_left)
{
    struct rb_node *up = to_left ? n->right : n->left;
    struct rb_node *moved = to_left ? up->left : up->right;
    if (to_left)
        n->right = moved;
    else
        n->left = moved;
    if (moved)
        moved->parent = n;
    up->parent = n->parent;
    replace_child(root, n->parent, n, up);
    if (to_left)
        up->left = n;
    else
        up->right = n;
    n->parent = up;
    if (root->update) {
        root->update(n);
        root->update(up);
    }
}

void rb_update(struct rb_root *root, struct rb_node *n)
{
    for (; n && root->update; n = n->parent)
        root->update(n);
}

void rb_insert(struct rb_root *root, struct rb_node *n)
{
    rb_update(root, n);
    while (is_red(n->parent)) {
        struct rb_node *parent = n->parent, *grand = parent->parent;
        bool left = parent == grand->left;
        struct rb_node *uncle = left ? grand->right : grand->left;
        if (is_red(uncle)) {
            parent->red = uncle->red = false;
            grand->red = true;
            n = grand;
            continue;
        }
        if (n == (left ? parent->right : parent->left)) {
            rotate(root, parent, left);
            n = parent;
            parent = n->parent;
        }
        parent->red = false;
        grand->red = true;
        rotate(root, grand, !left);
    }
    root->node->red = false;
}

/* `n` (maybe NULL, below `parent`) is one black short. */
static void remove_fix(struct rb_root *root, struct rb_node *n, struct rb_node *parent)
{
    while (n != root->node && !is_red(n)) {
        bool left = n == parent->left;
        struct rb_node *sib = left ? parent->right : parent->left;
        if (is_red(sib)) {
            sib->red = false;
            parent->red = true;
            rotate(root, parent, left);
            sib = left ? parent->right : parent->left;
        }
        struct rb_node *near = left ? sib->left : sib->right;
        struct rb_node *far = left ? sib->right : sib->left;
        if (!is_red(near) && !is_red(far)) {
            sib->red = true;
            n = parent;
            parent = n->parent;
            continue;
        }
        if (!is_red(far)) {
            near->red = false;
            sib->red = true;
            rotate(root, sib, !left);
            sib = left ? parent->right : parent->left;
            far = left ? sib->right : sib->left;
        }
        sib->red = parent->red;
        parent->red = false;
        far->red = false;
        rotate(root, parent, left);
        n = root->node;
    }
    if (n)
        n->red = false;
}

static void transplant(struct rb_root *root, struct rb_node *old, struct rb_node *new)
{
    replace_child(root, old->parent, old, new);
    if (new)
        new->parent = old->parent;
}

void rb_remove(struct rb_root *root, struct rb_node *n)
{
    struct rb_node *child, *parent;
    bool black = !n->red;
    if (!n->left || !n->right) {
        child = n->left ? n->left : n->right;
        parent = n->parent;
        transplant(root, n, child);
    } else {
        struct rb_node *next = n->right;
        while (next->left)
            next = next->left;
        black = !next->red;
        child = next->right;
        parent = next->parent == n ? next : next->parent;
        if (next->parent != n) {
            transplant(root, next, child);
            next->right = n->right;
            next->right->parent = next;
        }
        transplant(root, n, next);
        next->left = n->left;
        next->left->parent = next;
        next->red = n->red;
    }
    rb_update(root, parent);
    if (black)
        remove_fix(root, child, parent);
}

struct rb_node *rb_first(const struct rb_root *root)
{
    struct rb_node *n = root->node;
    while (n && n->left)
        n = n->left;
    return n;
}

struct rb_node *rb_last(const struct rb_root *root)
{
    struct rb_node *n = root->node;
    while (n && n->right)
        n = n->right;
    return n;
}

struct rb_node *rb_next(const struct rb_node *n)
{
    if (n->right) {
        n = n->right;
        while (n->left)
            n = n->left;
        return (struct rb_node *)n;
    }
    while (n->parent && n == n->parent->right)
        n = n->parent;
    return n->parent;
}

struct rb_node *rb_prev(const struct rb_node *n)
{
    if (n->left) {
        n = n->left;
        while (n->right)
            n = n->right;
        return (struct rb_node *)n;
    }
    while (n->parent && n == n->parent->left)
        n = n->parent;
    return n->parent;
}
