/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Radix tree from 64-bit numbers to pointers, 64 slots a node; the tree is only
 * as high as its largest number needs. It never allocates: radix_insert() is
 * given a node when it asks for one. The caller locks.
 */
#pragma once

#include "lib/types.h"

#define RADIX_BITS  6
#define RADIX_SLOTS (1u << RADIX_BITS)

struct radix_node {
    struct radix_node *parent;
    uint16_t used; /* slots that are not NULL */
    uint16_t slot; /* where in the parent */
    void *slots[RADIX_SLOTS];
};

struct radix {
    void *root;      /* node, or the item itself when height is 0 */
    unsigned height; /* levels of nodes */
};

/* NULL when absent. */
void *radix_get(const struct radix *r, uint64_t key);
/*
 * 0; -EEXIST; -EAGAIN: *spare was NULL and a zeroed node is needed (call again
 * with one). A spare that was used is set to NULL. item is not NULL.
 */
int radix_insert(struct radix *r, uint64_t key, void *item, struct radix_node **spare);
/* Removes and returns the item; nodes that became empty go to free_node. */
void *radix_remove(struct radix *r, uint64_t key, void (*free_node)(void *node));
/* The first item whose key is >= *key; stores its key. NULL: none. */
void *radix_next(const struct radix *r, uint64_t *key);
/* Frees what nodes are left of a tree without items. */
void radix_fini(struct radix *r, void (*free_node)(void *node));
