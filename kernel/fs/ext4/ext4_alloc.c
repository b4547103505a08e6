/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4: allocation of blocks. A search looks for a run that is long enough, from
 * the goal on, group by group; else the longest one seen is taken. Blocks freed by
 * a transaction that is not committed are marked in ext4_fs.pending and not given
 * out: after a crash they would still belong to their old file.
 */
#include <linux/errno.h>

#include "fs/ext4/ext4_journal.h"
#include "mem/kmalloc.h"

#define SLACK      32 /* blocks kept for the trees of what is set aside: these and 1/32 of it */
#define GOOD_RUN   64 /* blocks: a run of that many is not refused for a longer one elsewhere */
#define GROUPS_MAX 64 /* looked at for a long run; after that any run will do */

struct run {
    uint32_t group, first, count;
};

struct search {
    struct ext4_fs *fs;
    const uint8_t *map, *pending[2];
    uint32_t bits, wanted;
};

static uint64_t search_word(const struct search *s, uint32_t at)
{
    uint64_t w, p;
    memcpy(&w, s->map + at / 8, sizeof w);
    for (unsigned i = 0; i < 2; i++)
        if (s->pending[i]) {
            memcpy(&p, s->pending[i] + at / 8, sizeof p);
            w |= p;
        }
    return w;
}

/* The first bit from `at` on that is `used`, or the end. */
static uint32_t search_bit(const struct search *s, uint32_t at, bool used)
{
    while (at < s->bits) {
        uint64_t w = search_word(s, at & ~63u);
        w = (used ? w : ~w) >> (at & 63);
        if (w)
            return MIN(at + (uint32_t)__builtin_ctzll(w), s->bits);
        at = (at & ~63u) + 64;
    }
    return s->bits;
}

/* The first run from `at` on that is long enough, or the longest one, in *best. */
static void search_group(const struct search *s, uint32_t at, uint32_t end, struct run *best,
                         uint32_t group)
{
    while (best->count < s->wanted) {
        uint32_t first = search_bit(s, at, false);
        if (first >= end)
            break;
        uint32_t stop = MIN(search_bit(s, first, true), first + s->wanted);
        if (stop - first > best->count)
            *best = (struct run){group, first, stop - first};
        at = stop;
    }
}

static int group_search(struct ext4_fs *fs, uint32_t group, uint32_t from, uint32_t wanted,
                        struct run *best)
{
    struct ext4_group g;
    struct ext4_block map;
    int err = ext4_group_get(fs, group, &g);
    if (err)
        return err;
    uint64_t free = ext4_group_field(fs, &g, GD_FREE_BLOCKS, GD_FREE_BLOCKS_HI, 2);
    if (!free) {
        ext4_group_put(&g);
        return 0;
    }
    err = ext4_block_bitmap(fs, &g, &map);
    if (!err) {
        struct search s = {.fs = fs, .map = map.data, .wanted = wanted};
        s.bits = ext4_group_blocks(fs, group);
        for (unsigned i = 0; i < 2; i++)
            s.pending[i] = fs->pending[i].bitmap ? fs->pending[i].bitmap[group] : NULL;
        search_group(&s, from, s.bits, best, group);
        if (from && best->count < wanted)
            search_group(&s, 0, from, best, group);
        ext4_block_put(&map);
    }
    ext4_group_put(&g);
    return err;
}

/* The goal itself first: a file that grows stays in one piece even if the piece is short. */
static int goal_search(struct ext4_fs *fs, uint64_t goal, uint32_t wanted, struct run *best)
{
    uint32_t group = (uint32_t)((goal - fs->first_data_block) / fs->blocks_per_group);
    uint32_t first = (uint32_t)((goal - fs->first_data_block) % fs->blocks_per_group);
    struct run r = {0};
    int err = group_search(fs, group, first, 1, &r);
    if (err || r.count != 1 || r.first != first)
        return err;
    struct run longer = {0};
    err = group_search(fs, group, first, wanted, &longer);
    if (longer.first == first && longer.group == group)
        *best = longer;
    return err;
}

/* Sets or clears bits of the group's bitmap, and what follows from it. */
static int group_mark(struct ext4_fs *fs, const struct run *r, bool used)
{
    struct ext4_group g;
    struct ext4_block map;
    int err = ext4_group_get(fs, r->group, &g);
    if (err)
        return err;
    err = ext4_block_bitmap(fs, &g, &map);
    if (err) {
        ext4_group_put(&g);
        return err;
    }
    uint64_t free = ext4_group_field(fs, &g, GD_FREE_BLOCKS, GD_FREE_BLOCKS_HI, 2);
    bool wrong = used && free < r->count;
    for (uint32_t i = r->first; i < r->first + r->count && !wrong; i++)
        wrong = !(map.data[i / 8] >> i % 8 & 1) != used;
    if (wrong)
        err = ext4_bad(fs, "block bitmap and its use differ, group", r->group);
    if (!err)
        err = ext4_block_change(fs, &map);
    if (!err)
        err = ext4_block_change(fs, &g.b);
    if (!err) {
        for (uint32_t i = r->first; i < r->first + r->count; i++)
            map.data[i / 8] ^= (uint8_t)(1 << i % 8);
        ext4_group_set(fs, &g, GD_FREE_BLOCKS, GD_FREE_BLOCKS_HI, 2,
                       used ? free - r->count : free + r->count);
        ext4_block_bitmap_changed(fs, &g);
        fs->free_blocks += used ? -(uint64_t)r->count : r->count;
        fs->counts_changed = true;
    }
    ext4_block_put(&map);
    ext4_group_put(&g);
    return err;
}

int ext4_alloc(struct ext4_fs *fs, uint64_t goal, uint64_t *start, uint64_t *count)
{
    uint32_t wanted = (uint32_t)MIN(*count, (uint64_t)fs->blocks_per_group), tried = 0;
    struct run best = {0};
    uint32_t group = fs->last_group;
    int err = 0;
    if (goal > fs->first_data_block && goal < fs->blocks) {
        group = (uint32_t)((goal - fs->first_data_block) / fs->blocks_per_group);
        err = goal_search(fs, goal, wanted, &best);
    }
    for (; tried < fs->groups && !err && best.count < MIN(wanted, (uint32_t)GOOD_RUN); tried++) {
        if (best.count && tried >= GROUPS_MAX)
            break;
        err = group_search(fs, (group + tried) % fs->groups, 0, wanted, &best);
    }
    if (!err && !best.count)
        err = -ENOSPC;
    if (!err)
        err = group_mark(fs, &best, true);
    if (err)
        return err;
    fs->last_group = best.group;
    *start = ext4_group_first(fs, best.group) + best.first;
    *count = best.count;
    return 0;
}

/* The map of blocks freed by the running transaction, made if need be. */
static uint8_t *pending_map(struct ext4_fs *fs, uint32_t group)
{
    struct ext4_pending *p = &fs->pending[ext4_tid(fs) & 1];
    if (!p->bitmap)
        p->bitmap = kzalloc(fs->groups * sizeof *p->bitmap);
    if (p->bitmap && !p->bitmap[group])
        p->bitmap[group] = kzalloc(fs->block_size);
    return p->bitmap ? p->bitmap[group] : NULL;
}

static int group_free(struct ext4_fs *fs, const struct run *r)
{
    uint8_t *map = pending_map(fs, r->group);
    if (!map)
        return -ENOMEM;
    int err = group_mark(fs, r, false);
    if (err)
        return err;
    for (uint32_t i = r->first; i < r->first + r->count; i++)
        map[i / 8] |= (uint8_t)(1 << i % 8);
    fs->pending[ext4_tid(fs) & 1].count += r->count;
    return 0;
}

int ext4_free(struct ext4_fs *fs, uint64_t start, uint64_t count, bool meta)
{
    int err = 0;
    if (start <= fs->first_data_block || start >= fs->blocks || count > fs->blocks - start)
        return ext4_bad(fs, "free of a block out of range", start);
    if (meta)
        err = ext4_block_revoke(fs, start, count);
    while (count && !err) {
        struct run r = {.group = (uint32_t)((start - fs->first_data_block) / fs->blocks_per_group)};
        r.first = (uint32_t)((start - fs->first_data_block) % fs->blocks_per_group);
        r.count = (uint32_t)MIN(count, (uint64_t)fs->blocks_per_group - r.first);
        err = group_free(fs, &r);
        start += r.count;
        count -= r.count;
    }
    return err;
}

uint64_t ext4_room(const struct ext4_fs *fs)
{
    uint64_t kept = __atomic_load_n(&fs->reserved, __ATOMIC_RELAXED);
    kept += SLACK + kept / SLACK;
    return fs->free_blocks > kept ? fs->free_blocks - kept : 0;
}

bool ext4_can_alloc(const struct ext4_fs *fs, uint64_t n)
{
    return fs->free_blocks >= fs->pending[0].count + fs->pending[1].count + n;
}

int ext4_reserve(struct ext4_fs *fs, uint64_t n)
{
    __atomic_add_fetch(&fs->reserved, n, __ATOMIC_RELAXED);
    if (ext4_room(fs))
        return 0;
    ext4_unreserve(fs, n);
    return -ENOSPC;
}

void ext4_unreserve(struct ext4_fs *fs, uint64_t n)
{
    __atomic_sub_fetch(&fs->reserved, n, __ATOMIC_RELAXED);
}
