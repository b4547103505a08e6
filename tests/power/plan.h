/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the load does, as a pure function of a seed: the program under load and the
 * judge draw the same operations, so only numbers have to be told between them. A
 * worker has SLOTS names in each of two directories, w<worker>/d0 and d1; a file is
 * known by its number, which is also its mode (modulo 512). Everything is written in
 * units of 512 bytes that name file, place and operation, so a unit that stands where
 * it should not is known for what it is.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORKERS    2
#define SLOTS      9
#define NAMES      (2 * SLOTS)
#define UNIT       512u
#define UNITS_MAX  256u /* of a file */
#define STEPS_MAX  6000u
#define TEXT_MAX   64
#define MARKS_NAME "marks"
#define MARK_MAGIC "power cut mark 1"
#define MARK_SPACE 4096u /* bytes a worker has in the file of marks */

enum op_kind {
    OP_CREATE,
    OP_WRITE,
    OP_SYNC_WRITE,  /* O_SYNC */
    OP_DSYNC_WRITE, /* O_DSYNC */
    OP_MAP_WRITE,   /* by mmap */
    OP_MSYNC_WRITE, /* and msync(MS_SYNC) */
    OP_TRUNCATE,
    OP_PUNCH,
    OP_RENAME,
    OP_EXCHANGE,
    OP_LINK,
    OP_UNLINK, /* the program keeps it open for a while */
    OP_FSYNC,
    OP_FDATASYNC,
    OP_SYNC_DIRECTORY,
    OP_SYNC, /* sync(2) */
};

struct op {
    enum op_kind kind;
    uint32_t index; /* of the operation, from 1 */
    uint32_t file;
    unsigned name, to; /* names: 0 .. NAMES-1 */
    uint64_t off, len; /* bytes; truncate: the new size in `len` */
};

struct plan {
    uint64_t random;
    unsigned worker;
    uint32_t index;
    int32_t file[NAMES];      /* number of the file of that name, -1: none */
    uint32_t files;           /* numbers given so far */
    uint32_t size[STEPS_MAX]; /* bytes, by number */
    unsigned saving, save_to; /* a file is being saved: steps left, and its name in the end */
    unsigned save_name;
};

struct mark {
    char magic[16];
    uint64_t seed;
    uint32_t worker, index;
};

void plan_init(struct plan *p, uint64_t seed, unsigned worker);
/* Draws the next operation; the plan is then in the state behind it. */
void plan_next(struct plan *p, struct op *op);
/* The name as a path relative to the volume. */
void plan_path(const struct plan *p, unsigned name, char text[TEXT_MAX]);
/* Content of a unit that operation `index` wrote: UNIT bytes. */
void plan_unit(unsigned worker, uint32_t file, uint32_t unit, uint32_t index, uint8_t *out);
/* What a unit seems to be, for messages. */
void plan_describe(const uint8_t *unit, char *text, size_t n);
