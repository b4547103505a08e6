/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel heap: size classes carved from pages, larger blocks straight from the
 * page allocator. Any size class is naturally aligned up to 64 bytes. All
 * return NULL when memory is out; none sleeps.
 */
#pragma once

#include "lib/types.h"

void *kmalloc(size_t n);
void *kzalloc(size_t n);
/* The same, up to 2048 bytes, for bringing pages in and out: may take the last frames. */
void *kzalloc_io(size_t n);
/* As realloc(3): the old block stays on failure. */
void *krealloc(void *p, size_t n);
void kfree(void *p); /* NULL is fine */
/* A kmalloc'ed copy. */
char *kstrdup(const char *s);
void *kmemdup(const void *p, size_t n);
size_t kmalloc_used(void); /* bytes handed out, rounded to size classes */

/* How much of one size there is. */
struct kmalloc_count {
    size_t size;
    size_t used, there; /* blocks handed out; with those that are free */
    size_t pages;
};
/* Sizes in ascending order, index 0 and on; false behind the last. */
bool kmalloc_count(unsigned index, struct kmalloc_count *out);
