/* SPDX-License-Identifier: Apache-2.0 */
/* See model.h. */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *p)
{
    if (p)
        return p;
    perror("memory");
    abort();
}

static struct unit_model *unit_of(struct file_model *f, uint32_t unit)
{
    if (!f->unit)
        f->unit = must(calloc(UNITS_MAX, sizeof *f->unit));
    return &f->unit[unit];
}

static void unit_change(struct unit_model *u, struct content c)
{
    if (u->now.index == c.index && u->now.bytes == c.bytes)
        return;
    if (u->count == u->room) {
        u->room = u->room ? u->room * 2 : 4;
        u->old = must(realloc(u->old, u->room * sizeof *u->old));
    }
    u->old[u->count++] = u->now;
    u->now = c;
}

static void size_change(struct file_model *f, uint64_t size)
{
    f->size = (uint32_t)size;
    f->size_least = f->size < f->size_least ? f->size : f->size_least;
    f->size_most = f->size > f->size_most ? f->size : f->size_most;
}

static void on_write(struct file_model *f, const struct op *op)
{
    for (uint64_t at = op->off; at < op->off + op->len; at += UNIT)
        unit_change(unit_of(f, (uint32_t)(at / UNIT)), (struct content){op->index, UNIT});
    if (op->off + op->len > f->size)
        size_change(f, op->off + op->len);
}

/* Units of from..to-1 become zero; that of `from` keeps its first bytes. */
static void on_clear(struct file_model *f, uint64_t from, uint64_t to)
{
    if (!f->unit)
        return;
    for (uint64_t unit = from / UNIT; unit < (to + UNIT - 1) / UNIT; unit++) {
        struct content c = f->unit[unit].now;
        uint32_t keep = unit == from / UNIT ? from % UNIT : 0;
        if (c.index && c.bytes > keep)
            unit_change(&f->unit[unit],
                        keep ? (struct content){c.index, keep} : (struct content){0, 0});
    }
}

/* What the range holds now is promised. */
static void on_promise(struct file_model *f, uint64_t from, uint64_t to)
{
    if (f->unit)
        for (uint64_t unit = from / UNIT; unit < (to + UNIT - 1) / UNIT && unit < UNITS_MAX; unit++)
            f->unit[unit].count = 0;
    f->size_least = f->size_most = f->size;
}

static void all_promised(struct model *m)
{
    for (uint32_t i = 0; i < m->plan.files; i++)
        on_promise(&m->files[i], 0, UNITS_MAX * UNIT);
    m->names_from = m->plan.index;
}

static void names_promised(struct model *m, uint32_t index)
{
    m->names_from = index > m->names_from ? index : m->names_from;
}

static void keep_promise(struct model *m, const struct op *op)
{
    struct file_model *f = &m->files[op->file];
    switch (op->kind) {
    case OP_SYNC_WRITE:
    case OP_DSYNC_WRITE:
    case OP_MSYNC_WRITE:
        on_promise(f, op->off, op->off + op->len);
        names_promised(m, f->created);
        break;
    case OP_FSYNC:
        on_promise(f, 0, UNITS_MAX * UNIT);
        names_promised(m, f->named);
        break;
    case OP_FDATASYNC:
        on_promise(f, 0, UNITS_MAX * UNIT);
        names_promised(m, f->created);
        break;
    case OP_SYNC_DIRECTORY:
        names_promised(m, m->changed[op->name / SLOTS]); /* those before it are not newer */
        break;
    case OP_SYNC:
        all_promised(m);
        break;
    default:
        break;
    }
}

static void apply(struct model *m, const struct op *op, const int32_t before[NAMES])
{
    struct file_model *f = &m->files[op->file];
    switch (op->kind) {
    case OP_CREATE:
        f->created = f->named = op->index;
        break;
    case OP_TRUNCATE:
        on_clear(f, op->len, UNITS_MAX * UNIT);
        size_change(f, op->len);
        break;
    case OP_PUNCH:
        on_clear(f, op->off, op->off + op->len);
        break;
    case OP_EXCHANGE:
        m->files[before[op->to]].named = op->index;
        f->named = op->index;
        break;
    case OP_RENAME:
    case OP_LINK:
    case OP_UNLINK:
        f->named = op->index;
        break;
    default:
        if (op->len)
            on_write(f, op);
    }
}

void model_build(struct model *m, uint64_t seed, unsigned worker, uint32_t done, uint32_t steps)
{
    struct op op;
    memset(m, 0, sizeof *m);
    m->files = must(calloc(STEPS_MAX, sizeof *m->files));
    m->states = must(calloc(steps + 1, sizeof *m->states));
    m->steps = steps;
    plan_init(&m->plan, seed, worker);
    memcpy(m->states[0], m->plan.file, sizeof m->plan.file);
    for (uint32_t i = 1; i <= steps; i++) {
        plan_next(&m->plan, &op);
        apply(m, &op, m->states[i - 1]);
        for (unsigned k = 0; k < NAMES; k++)
            if (m->states[i - 1][k] != m->plan.file[k])
                m->changed[k / SLOTS] = i;
        if (i <= done)
            keep_promise(m, &op);
        memcpy(m->states[i], m->plan.file, sizeof m->plan.file);
    }
}

void model_free(struct model *m)
{
    for (uint32_t i = 0; i < STEPS_MAX; i++) {
        for (unsigned k = 0; m->files[i].unit && k < UNITS_MAX; k++)
            free(m->files[i].unit[k].old);
        free(m->files[i].unit);
    }
    free(m->files);
    free(m->states);
}

static bool content_is(const struct model *m, uint32_t file, uint32_t unit, struct content c,
                       const uint8_t *got, size_t n)
{
    uint8_t want[UNIT] = {0};
    if (c.index)
        plan_unit(m->plan.worker, file, unit, c.index, want);
    memset(want + c.bytes, 0, UNIT - c.bytes);
    return !memcmp(want, got, n);
}

bool model_allows(const struct model *m, uint32_t file, uint32_t unit, const uint8_t *got, size_t n)
{
    const struct file_model *f = &m->files[file];
    if (!f->unit)
        return content_is(m, file, unit, (struct content){0, 0}, got, n);
    const struct unit_model *u = &f->unit[unit];
    bool found = content_is(m, file, unit, u->now, got, n);
    for (unsigned i = 0; i < u->count && !found; i++)
        found = content_is(m, file, unit, u->old[i], got, n);
    return found;
}

int64_t model_state(const struct model *m, const int32_t names[NAMES], uint32_t from)
{
    for (uint32_t i = from; i <= m->steps; i++) {
        unsigned same = 0;
        while (same < NAMES &&
               (m->states[i][same] < 0 ? names[same] < 0 : names[same] == m->states[i][same] % 512))
            same++;
        if (same == NAMES)
            return i;
    }
    return -1;
}
