/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packages of this user: directories NAME_VERSION in $XDG_DATA_HOME/ops/packages (else
 * ~/.local/share/ops/packages). They appear and go whole, by rename, under a lock of the store;
 * what a killed run left is swept by the next one that adds or deletes.
 */
#pragma once

#include <stdbool.h>

#include "err.h"
#include "strlist.h"

/* Something in the making. */
struct package_draft {
    char *store; /* the directory of all */
    char *dir;   /* of this one, new and empty */
    int fd;      /* keeps it from being swept */
};

/* NAME or NAME:VERSION. Errors (OPS_EXIT_USAGE): not such a word. Freed with free(). */
bool package_word(const char *word, char **name, char **version, struct err *err);

/* The directory of the package, the newest version unless one is given. *dir NULL: there is none.
 * Freed with free(). */
bool package_store_find(const char *name, const char *version, char **dir, struct err *err);

/* The same; that there is none is an error which names the nearest. */
char *package_store_need(const char *word, struct err *err);

/* The names of the directories there are, sorted. */
bool package_store_names(struct strlist *names, struct err *err);

/* "nginx" and "1.22.1" of .../nginx_1.22.1; freed with free(). */
void package_split(const char *dir, char **name, char **version);

/* Where packages are; freed with free(). */
char *package_store_dir(struct err *err);

/* A new draft in the directory `store`; ended by package_draft_drop(), which does nothing after it
 * was kept. */
bool package_draft_make(struct package_draft *d, const char *store, struct err *err);
void package_draft_drop(struct package_draft *d);

/* Puts it into the store, replacing one of that name and version; *dir is where, freed with free()
 * (NULL: not asked). */
bool package_draft_keep(struct package_draft *d, const char *name, const char *version, char **dir,
                        struct err *err);

bool package_store_delete(const char *word, struct err *err);
