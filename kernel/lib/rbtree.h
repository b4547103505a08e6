/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intrusive red-black tree. The caller walks down to find the place, links the
 * node there with rb_link() and calls rb_insert(). No locking, no allocation.
 * A tree whose nodes sum up what is below them sets `update`, which recomputes
 * one node from its own value and its two children.
 */
#pragma once

#include "lib/types.h"

struct rb_node {
    struct rb_node *parent, *left, *right;
    bool red;
};

struct rb_root {
    struct rb_node *node;
    void (*update)(struct rb_node *n); /* NULL: nothing is summed up */
};

#define RB_ENTRY(ptr, type, member) CONTAINER_OF(ptr, type, member)

static inline void rb_link(struct rb_node *n, struct rb_node *parent, struct rb_node **link)
{
    n->parent = parent;
    n->left = n->right = NULL;
    n->red = true;
    *link = n;
}

/* Restores balance after rb_link(). */
void rb_insert(struct rb_root *root, struct rb_node *n);
void rb_remove(struct rb_root *root, struct rb_node *n);
/* The node's own value has changed: updates it and all above it. */
void rb_update(struct rb_root *root, struct rb_node *n);
/* In-order neighbours; NULL at the ends. */
struct rb_node *rb_first(const struct rb_root *root);
struct rb_node *rb_last(const struct rb_root *root);
struct rb_node *rb_next(const struct rb_node *n);
struct rb_node *rb_prev(const struct rb_node *n);
