/* SPDX-License-Identifier: Apache-2.0 */
/* Drawing operations: see plan.h. */
#include "plan.h"

#include <stdio.h>
#include <string.h>

struct unit_head {
    char magic[4];
    uint32_t worker, file, unit, index;
};

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static unsigned draw(struct plan *p, unsigned n)
{
    p->random += 0x9e3779b97f4a7c15u;
    return (unsigned)(mix(p->random) >> 33) % n;
}

void plan_init(struct plan *p, uint64_t seed, unsigned worker)
{
    memset(p, 0, sizeof *p);
    p->random = mix(seed * WORKERS + worker + 1);
    p->worker = worker;
    for (unsigned i = 0; i < NAMES; i++)
        p->file[i] = -1;
}

void plan_path(const struct plan *p, unsigned name, char text[TEXT_MAX])
{
    snprintf(text, TEXT_MAX, "w%u/d%u/%c", p->worker, name / SLOTS, 'a' + name % SLOTS);
}

void plan_unit(unsigned worker, uint32_t file, uint32_t unit, uint32_t index, uint8_t *out)
{
    struct unit_head head = {"unit", worker, file, unit, index};
    uint64_t x = mix((uint64_t)file << 32 | index) ^ mix((uint64_t)unit << 8 | worker);
    memcpy(out, &head, sizeof head);
    for (size_t i = sizeof head; i < UNIT; i += sizeof(uint32_t)) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        uint32_t word = (uint32_t)(x >> 32);
        memcpy(out + i, &word, sizeof word);
    }
}

void plan_describe(const uint8_t *unit, char *text, size_t n)
{
    struct unit_head head;
    memcpy(&head, unit, sizeof head);
    if (!memcmp(head.magic, "unit", 4))
        snprintf(text, n, "worker %u, file %u, unit %u, written by operation %u", head.worker,
                 head.file, head.unit, head.index);
    else
        snprintf(text, n, "no unit of ours: %02x %02x %02x %02x", unit[0], unit[1], unit[2],
                 unit[3]);
}

/* A name that is taken, or free; NAMES: there is none. */
static unsigned name_pick(struct plan *p, bool taken)
{
    unsigned start = draw(p, NAMES);
    for (unsigned i = 0; i < NAMES; i++)
        if ((p->file[(start + i) % NAMES] >= 0) == taken)
            return (start + i) % NAMES;
    return NAMES;
}

static void size_set(struct plan *p, struct op *op, uint64_t size)
{
    p->size[op->file] = (uint32_t)size;
}

static void pick_range(struct plan *p, struct op *op, bool grow)
{
    uint32_t units = (p->size[op->file] + UNIT - 1) / UNIT;
    uint32_t limit = grow ? UNITS_MAX : units;
    uint32_t from = grow && draw(p, 3) ? units : draw(p, (grow ? units + 24 : units) + 1);
    from = from >= limit ? draw(p, limit) : from;
    uint32_t most = draw(p, 4) ? 20 : 90;
    uint32_t count = 1 + draw(p, most);
    if (draw(p, 3) == 0) { /* whole pages */
        from &= ~7u;
        count = (count + 7) & ~7u;
    }
    count = count > limit - from ? limit - from : count;
    op->off = (uint64_t)from * UNIT;
    op->len = (uint64_t)count * UNIT;
}

static void draw_write(struct plan *p, struct op *op)
{
    static const enum op_kind kinds[] = {OP_WRITE,      OP_WRITE,       OP_WRITE,
                                         OP_SYNC_WRITE, OP_DSYNC_WRITE, OP_WRITE};
    op->kind = kinds[draw(p, 6)];
    pick_range(p, op, true);
    if (op->off + op->len > p->size[op->file])
        size_set(p, op, op->off + op->len);
}

static void draw_map_write(struct plan *p, struct op *op)
{
    if (p->size[op->file] < UNIT || p->size[op->file] % UNIT) {
        draw_write(p, op);
        return;
    }
    op->kind = draw(p, 2) ? OP_MAP_WRITE : OP_MSYNC_WRITE;
    pick_range(p, op, false);
}

static void draw_truncate(struct plan *p, struct op *op)
{
    op->kind = OP_TRUNCATE;
    op->len = draw(p, 4) ? draw(p, UNITS_MAX) * UNIT : draw(p, UNITS_MAX * UNIT);
    if (draw(p, 5) == 0)
        op->len = 0;
    size_set(p, op, op->len);
}

static void draw_punch(struct plan *p, struct op *op)
{
    if (p->size[op->file] < UNIT) {
        draw_truncate(p, op);
        return;
    }
    op->kind = OP_PUNCH;
    pick_range(p, op, false);
}

static void draw_create(struct plan *p, struct op *op, unsigned name)
{
    op->kind = OP_CREATE;
    op->name = name;
    op->file = p->files++;
    p->file[name] = (int32_t)op->file;
}

static void draw_rename(struct plan *p, struct op *op, unsigned from, unsigned to)
{
    op->kind = OP_RENAME;
    op->name = from;
    op->to = to;
    op->file = (uint32_t)p->file[from];
    if (from == to || p->file[to] == p->file[from]) {
        op->kind = OP_FSYNC; /* two names of one file: nothing would happen */
        return;
    }
    p->file[to] = p->file[from];
    p->file[from] = -1;
}

/* The next step of saving: write, write, fsync, rename over what is there. */
static void draw_save(struct plan *p, struct op *op)
{
    op->name = p->save_name;
    op->file = (uint32_t)p->file[op->name];
    switch (p->saving--) {
    case 4:
    case 3:
        op->kind = OP_WRITE;
        pick_range(p, op, true);
        if (op->off + op->len > p->size[op->file])
            size_set(p, op, op->off + op->len);
        break;
    case 2:
        op->kind = OP_FSYNC;
        break;
    default:
        draw_rename(p, op, p->save_name, p->save_to);
    }
}

static void draw_names(struct plan *p, struct op *op, unsigned name)
{
    unsigned to = draw(p, NAMES);
    op->name = name;
    switch (draw(p, 5)) {
    case 0:
    case 1:
        draw_rename(p, op, name, to);
        break;
    case 2:
        op->kind = OP_UNLINK;
        p->file[name] = -1;
        break;
    case 3:
        op->kind = OP_LINK;
        op->to = to;
        if (p->file[to] >= 0)
            draw_rename(p, op, name, to);
        else
            p->file[to] = p->file[name];
        break;
    default:
        op->kind = OP_EXCHANGE;
        op->to = to;
        if (p->file[to] < 0 || p->file[to] == p->file[name]) {
            draw_rename(p, op, name, to);
            break;
        }
        p->file[name] = p->file[to];
        p->file[to] = (int32_t)op->file;
    }
}

static void draw_sync(struct plan *p, struct op *op)
{
    static const enum op_kind kinds[] = {OP_FSYNC,     OP_FSYNC,          OP_FSYNC, OP_FDATASYNC,
                                         OP_FDATASYNC, OP_SYNC_DIRECTORY, OP_SYNC};
    op->kind = kinds[draw(p, 7)];
}

void plan_next(struct plan *p, struct op *op)
{
    unsigned what = draw(p, 100), free_name = name_pick(p, false), name = name_pick(p, true);
    memset(op, 0, sizeof *op);
    op->index = ++p->index;
    if (p->saving) {
        draw_save(p, op);
        return;
    }
    if (name == NAMES || (what < 14 && free_name < NAMES)) {
        draw_create(p, op, free_name);
        if (draw(p, 2)) {
            p->saving = 4;
            p->save_name = free_name;
            p->save_to = draw(p, NAMES);
        }
        return;
    }
    op->name = name;
    op->file = (uint32_t)p->file[name];
    if (what < 50)
        draw_write(p, op);
    else if (what < 58)
        draw_map_write(p, op);
    else if (what < 63)
        draw_truncate(p, op);
    else if (what < 66)
        draw_punch(p, op);
    else if (what < 82)
        draw_names(p, op, name);
    else
        draw_sync(p, op);
}
