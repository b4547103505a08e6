/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Radix tree: see radix.h. Level 1 is the lowest; a node of level h covers
 * 64^h numbers. A tree of height 0 holds at most the item with number 0.
 */
#include "lib/radix.h"

#include <linux/errno.h>

static unsigned radix_slot(uint64_t key, unsigned level)
{
    return (key >> ((level - 1) * RADIX_BITS)) & (RADIX_SLOTS - 1);
}

/* Whether a tree of this height can hold the key. */
static bool radix_fits(unsigned height, uint64_t key)
{
    return height * RADIX_BITS >= 64 || !(key >> (height * RADIX_BITS));
}

void *radix_get(const struct radix *r, uint64_t key)
{
    if (!radix_fits(r->height, key))
        return NULL;
    void *p = r->root;
    for (unsigned level = r->height; level && p; level--)
        p = ((struct radix_node *)p)->slots[radix_slot(key, level)];
    return p;
}

/* Puts a level above the root. */
static void radix_grow(struct radix *r, struct radix_node *node)
{
    *node = (struct radix_node){0};
    if (r->root) {
        node->slots[0] = r->root;
        node->used = 1;
        if (r->height)
            ((struct radix_node *)r->root)->parent = node;
    }
    r->root = node;
    r->height++;
}

static int radix_put(void **slot, struct radix_node *node, void *item)
{
    if (*slot)
        return -EEXIST;
    *slot = item;
    if (node)
        node->used++;
    return 0;
}

int radix_insert(struct radix *r, uint64_t key, void *item, struct radix_node **spare)
{
    while (!radix_fits(r->height, key)) {
        if (r->root || r->height) {
            if (!*spare)
                return -EAGAIN;
            radix_grow(r, *spare);
            *spare = NULL;
        } else {
            /* An empty tree becomes high enough without nodes below the new root. */
            if (!*spare)
                return -EAGAIN;
            while (!radix_fits(r->height, key))
                r->height++;
            **spare = (struct radix_node){0};
            r->root = *spare;
            *spare = NULL;
        }
    }
    void **slot = &r->root;
    struct radix_node *node = NULL;
    for (unsigned level = r->height; level; level--) {
        if (!*slot) {
            if (!*spare)
                return -EAGAIN;
            **spare = (struct radix_node){.parent = node};
            if (node) {
                (*spare)->slot = (uint16_t)(slot - node->slots);
                node->used++;
            }
            *slot = *spare;
            *spare = NULL;
        }
        node = *slot;
        slot = &node->slots[radix_slot(key, level)];
    }
    return radix_put(slot, node, item);
}

void *radix_remove(struct radix *r, uint64_t key, void (*free_node)(void *node))
{
    if (!radix_fits(r->height, key))
        return NULL;
    struct radix_node *node = NULL;
    void **slot = &r->root;
    for (unsigned level = r->height; level; level--) {
        node = *slot;
        if (!node)
            return NULL;
        slot = &node->slots[radix_slot(key, level)];
    }
    void *item = *slot;
    *slot = NULL;
    while (item && node && --node->used == 0) {
        struct radix_node *parent = node->parent;
        if (parent)
            parent->slots[node->slot] = NULL;
        else
            *r = (struct radix){NULL, 0};
        free_node(node);
        node = parent;
    }
    return item;
}

void *radix_next(const struct radix *r, uint64_t *key)
{
    uint64_t k = *key;
    while (radix_fits(r->height, k)) {
        void *p = r->root;
        unsigned level = r->height;
        for (; level && p; level--)
            p = ((struct radix_node *)p)->slots[radix_slot(k, level)];
        if (p) {
            *key = k;
            return p;
        }
        /* Nothing below this slot of level + 1: on to the slot behind it. */
        if (level >= r->height)
            return NULL;
        uint64_t next = ((k >> (level * RADIX_BITS)) + 1) << (level * RADIX_BITS);
        if (next <= k)
            return NULL;
        k = next;
    }
    return NULL;
}

void radix_fini(struct radix *r, void (*free_node)(void *node))
{
    /* Without items every node has at most nodes below it: walk down, free upwards. */
    struct radix_node *node = r->height ? r->root : NULL;
    unsigned level = r->height, slot = 0;
    while (node) {
        while (slot < RADIX_SLOTS && (level == 1 || !node->slots[slot]))
            slot++;
        if (slot < RADIX_SLOTS) {
            node = node->slots[slot];
            level--;
            slot = 0;
            continue;
        }
        struct radix_node *parent = node->parent;
        slot = node->slot + 1u;
        free_node(node);
        node = parent;
        level++;
    }
    *r = (struct radix){NULL, 0};
}
