/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The libraries of a program, found as its loader would find them, by reading
 * ELF files only: nothing is executed. What is found goes into the tree under
 * its own path, symlinks included.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "elfinfo.h"
#include "err.h"
#include "rootdir.h"
#include "strlist.h"
#include "tree.h"

struct deps_object;

struct deps {
    struct tree *tree;
    struct rootdir *root; /* where all paths are, its files are taken; NULL: this host's, added to
                             the tree. `why` and `tree` are not used then */
    bool partial;         /* what the program lacks is noted in `missing`, too */
    struct deps_object *objects; /* [0] is the program */
    size_t count;
    const char *loader;     /* PT_INTERP of the program; NULL: static, nothing is ever looked up */
    struct strlist first;   /* directories of the guest's LD_LIBRARY_PATH */
    struct strlist dirs;    /* the loader's own */
    struct strlist names;   /* needed names that are settled */
    struct strlist away;    /* NAME, PATH pairs found where the guest's loader would not look */
    char *libc_dir;         /* where libc.so.6 was found; NULL: not glibc */
    struct strlist missing; /* sentences about libraries that optional objects lack */
};

/* Adds the program, its loader and all its libraries. `library_path` (may be NULL) is the guest's
 * LD_LIBRARY_PATH. Errors: a library or the loader is missing. Once for each `d`, which is all zero
 * but for `tree`, `root` and `partial`. */
bool deps_program(struct deps *d, const char *path, const char *library_path, struct err *err);

/* Adds the libraries of an object that the program may load later (a plugin, a module). What it
 * lacks is noted in `missing` and is no error; files that are no libraries are ignored. */
bool deps_plugin(struct deps *d, const char *path, struct err *err);

/* Adds a library by name if the loader would find it. */
bool deps_optional(struct deps *d, const char *name, const char *why, struct err *err);

/* Is a library whose name starts with `prefix` among those found? */
bool deps_has(const struct deps *d, const char *prefix);

/* Bytes of memory that the program and its libraries load into. */
uint64_t deps_memory(const struct deps *d);

/* Adds links for libraries that stand where the guest's loader would not look: it has no
 * ld.so.cache. Call it last. */
bool deps_finish(struct deps *d, struct err *err);

void deps_free(struct deps *d);
