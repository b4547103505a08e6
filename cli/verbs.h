/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands with a second word: `ops volume ls`, `ops image ls`. A verb has its own
 * operands; the options of all verbs of a command stand in one table each. What both
 * commands can do with a filesystem is here once.
 */
#pragma once

#include <cjson/cJSON.h>

#include "command.h"
#include "ext4file.h"
#include "strlist.h"

struct verb_request {
    bool json, details, recursive, repair;
    bool follow, timestamps, force, watch, origin, count, syscalls;
    bool dry_run, no_nat, yes;
    const char *lru;
    const char *size, *dir, *lines, *time, *calls, *file;
    const char *subnet, *ipv6;
    const char *name, *version; /* of a package */
    const char *key, *days;     /* of a repository; key: of an image */
    const char *sbom, *treemap; /* files about an image */
    const char *owner;          /* of a volume */
    struct strlist unset;
    const struct verb_family *family;
};

struct verb {
    const char *name;
    const char *usage;   /* the words after `ops COMMAND` */
    const char *summary; /* one line */
    const struct option *options;
    size_t option_count;
    size_t least, most; /* operands */
    bool (*run)(const struct verb_request *r, char **operands, size_t count, int *status,
                struct err *err);
};

struct verb_family {
    const struct verb *verbs;
    size_t count;
    enum { NAMES_FILES, NAMES_INSTANCES, NAMES_VOLUMES } names; /* what a NAME is */
    /* The file an operand means, freed with free(); NULL: see err. */
    char *(*place)(const char *name, struct err *err);
    const struct option_table *program; /* options of its verbs without `run`, which take PROGRAM */
};

bool verbs_run(const struct command *self, const struct verb_family *family, char **words,
               int *status, struct err *err);

/* Splits NAME:/path; the path is "/" where there is none. Both freed with free(). True: it has
 * one. */
bool verb_spec(const char *word, char **name, char **path);

/* Opens what the operand NAME names, its root partition where it is a disk. */
bool verb_open(const struct verb_request *r, const char *name, enum ext4file_mode mode,
               struct ext4file *f, struct err *err);

/* Prints an object for people, a line a member, or as JSON. */
void verb_print(const struct verb_request *r, const cJSON *object);

/* Adds label, UUID, sizes and state of an open filesystem. */
void verb_describe(const struct ext4file *f, cJSON *object);

/* "1.5 GiB"; freed with free(). */
char *verb_size(double bytes);

/* Verbs of both. */
typedef bool verb_fn(const struct verb_request *r, char **operands, size_t count, int *status,
                     struct err *err);
verb_fn verb_ls, verb_tree, verb_cat, verb_cp, verb_check;

/* Rows for their option tables. */
extern const struct option verb_json_row, verb_ls_row, verb_cp_row, verb_check_row;
