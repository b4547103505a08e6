/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The distribution's binary packages, by the machine's own apt: its mirrors, proxies and keys as
 * they are configured, its check of the signed index, and nothing of the machine's state. Index
 * and files are kept in $XDG_CACHE_HOME/ops/apt (else ~/.cache/ops/apt). No root rights are
 * needed, nothing is installed, no maintainer's script is run.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "hold.h"
#include "strlist.h"

struct apt_package {
    char *name, *version, *section;
    char *file;   /* what apt calls it */
    char *digest; /* SHA-256, hexadecimal */
    uint64_t size;
    struct strlist depends; /* names, alternatives among them */
};

struct apt_list {
    struct apt_package *items;
    size_t count;
};

struct apt {
    char *dir;
    int lock;
    struct hold *hold; /* progress, and signals that end it */
};

/* Takes the cache, alone. Errors: this is not a Debian or Ubuntu. Ended by apt_close(), also after
 * a failure. */
bool apt_open(struct apt *a, struct hold *h, struct err *err);
void apt_close(struct apt *a);

/* Gets the index if there is none, or (`fresh`) if it is not of today. Where it cannot be had and
 * there is an older one, *note is a sentence about that (NULL: none), freed with free(). */
bool apt_refresh(const struct apt *a, bool fresh, char **note, struct err *err);

/* These packages and all they depend on, without what is only recommended. */
bool apt_closure(const struct apt *a, const struct strlist *names, struct apt_list *l,
                 struct err *err);

/* Gets the files, where they are not there yet; their paths are added to `files`. */
bool apt_fetch(const struct apt *a, const struct apt_list *l, struct strlist *files,
               struct err *err);

/* NULL: it is not in the list of apt_closure(). */
struct apt_package *apt_find(const struct apt_list *l, const char *name);

/* Takes one away from the list. */
void apt_list_remove(struct apt_list *l, size_t i);
void apt_list_free(struct apt_list *l);
