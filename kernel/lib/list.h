/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intrusive doubly linked list. A head is a `struct list` that points to itself
 * when empty; so does a node that is on no list. No locking.
 */
#pragma once

#include "lib/types.h"

struct list {
    struct list *next, *prev;
};

#define LIST_INIT(name)                                                                            \
    {                                                                                              \
        &(name), &(name)                                                                           \
    }
#define LIST_ENTRY(ptr, type, member) CONTAINER_OF(ptr, type, member)
#define LIST_FOR_EACH(pos, head)                                                                   \
    for (struct list *pos = (head)->next; pos != (head); pos = pos->next)
/* The body may remove (and free) `pos`. */
#define LIST_FOR_EACH_SAFE(pos, head)                                                              \
    for (struct list *pos = (head)->next, *pos##_next = pos->next; pos != (head);                  \
         pos = pos##_next, pos##_next = pos->next)

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_add_between(struct list *n, struct list *prev, struct list *next)
{
    n->next = next;
    n->prev = prev;
    prev->next = n;
    next->prev = n;
}

static inline void list_add_head(struct list *head, struct list *n)
{
    list_add_between(n, head, head->next);
}

static inline void list_add_tail(struct list *head, struct list *n)
{
    list_add_between(n, head->prev, head);
}

/* Removes `n` and leaves it empty, so that a second removal is harmless. */
static inline void list_remove(struct list *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    list_init(n);
}

/* The first node, removed; NULL when the list is empty. */
static inline struct list *list_pop_head(struct list *head)
{
    if (list_empty(head))
        return NULL;
    struct list *n = head->next;
    list_remove(n);
    return n;
}

/* Moves all of `from` behind what is in `to`. */
static inline void list_splice_tail(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}
