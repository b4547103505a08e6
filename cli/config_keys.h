/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every key of a configuration, ours and OPS': what it may hold, where it goes, and how it
 * stands to OPS' key of that name. Reading, writing, checking, environment variables and
 * docs/commands.md all come from this one table.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum key_type {
    KEY_TEXT,
    KEY_PATH,
    KEY_NUMBER,
    KEY_BOOL, /* in ManifestPassthrough also "true", "t" and the like */
    KEY_SIZE,
    KEY_CHOICE, /* one of `words` */
    KEY_ACCEL,  /* true, false or one of `words` */
    KEY_TEXTS,
    KEY_PATHS,
    KEY_ENV,
    KEY_MAP,
    KEY_MOUNTS,
    KEY_SHARES,
    KEY_TABLE,
    /* Other ways to say what another key says: never written. */
    KEY_REBOOT, /* bool: Restart always */
    KEY_CARDS,  /* a list of network cards: words of --net */
    KEY_FLAGS,  /* OPS' kernel flags: a list that may hold "trace" */
    KEY_TRACED, /* bool: Trace all */
    KEY_KLIBS,  /* plugins of OPS' kernel: those whose work is done here without one */
    KEY_NOTED,  /* read and left: `why` says why it needs no effect */
    KEY_REFUSED /* an error that says `why`, unless it says nothing (false, 0, "", [], {}) */
};

enum key_mark { MARK_YES, MARK_BETTER, MARK_NOT, MARK_OURS };

struct key {
    const char *name;
    enum key_type type;
    size_t offset;           /* in struct config */
    const struct key *table; /* KEY_TABLE: the keys below, ended by a NULL name */
    const char *const *words;
    enum key_mark mark; /* how it stands to OPS */
    const char *why;    /* one line; NULL: nothing to say */
};

extern const struct key config_keys[];

/* The key that is written for what `k` sets, and what stands before its name: "" or "RunConfig.".
 * Only for types that set something. */
const struct key *key_main(const struct key *k, const char **prefix);

/* Is it such a key itself? Those have a variable. */
bool key_is_setting(const struct key *k);

/* "a string" and so on, for errors and the documentation. */
const char *key_expected(const struct key *k);

/* The environment's name of a setting: OPS_ and its name in capitals. Freed with free(). */
char *key_variable(const struct key *k);

/* How a plugin of OPS' kernel is done without; NULL: it is not. */
const char *key_klib(const char *name);
