/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a volume may hold after a cut: of every unit of every file the contents it had
 * at the last promise and since, of every file the sizes, and of the names of a worker
 * the states since the last promise, one of which it must be as a whole.
 */
#pragma once

#include "plan.h"

struct content {
    uint32_t index; /* the operation that wrote it, 0: zeros */
    uint32_t bytes; /* what is left of it; the rest is zero */
};

struct unit_model {
    struct content now;
    struct content *old; /* more that may be there */
    unsigned count, room;
};

struct file_model {
    struct unit_model *unit; /* UNITS_MAX; NULL: never written */
    uint32_t size, size_least, size_most;
    uint32_t created, named; /* operations: its creation, the last change of its names */
};

struct model {
    struct plan plan;
    struct file_model *files;        /* STEPS_MAX */
    int32_t (*states)[NAMES];        /* names after each operation, 0 .. steps */
    uint32_t changed[NAMES / SLOTS]; /* the last operation that changed names of a directory */
    uint32_t steps, names_from;      /* the names are those of a state from here on */
};

/* Everything that the worker may do in `steps`, of which `done` operations are known to have ended.
 */
void model_build(struct model *m, uint64_t seed, unsigned worker, uint32_t done, uint32_t steps);
void model_free(struct model *m);
/* Whether n bytes may be what the unit holds. */
bool model_allows(const struct model *m, uint32_t file, uint32_t unit, const uint8_t *got,
                  size_t n);
/* The first state from `from` on with these names (file numbers modulo 512, -1); -1: none. */
int64_t model_state(const struct model *m, const int32_t names[NAMES], uint32_t from);
