/* SPDX-License-Identifier: Apache-2.0 */
/* Walking a bio's pieces: see bio_part.h. No state. */
#include "dev/bio_part.h"

#include "arch/x86_64/layout.h"

void bio_part_begin(struct bio_part *p, struct bio *bio)
{
    *p = (struct bio_part){.bio = bio, .sector = bio->sector};
}

/* Two segments that are not neighbours may follow each other. */
static bool may_join(const struct bio_seg *last, paddr_t pa, uint32_t join)
{
    return !join || !((last->addr + last->len) & (join - 1) || pa & (join - 1));
}

unsigned bio_part_fill(struct bio_part *p, struct bio_seg *seg, unsigned max, uint32_t join)
{
    const struct bio *bio = p->bio;
    uint32_t most = bio->dev && bio->dev->transfer_max ? bio->dev->transfer_max : UINT32_MAX;
    uint32_t skip = p->skip;
    unsigned n = 0;
    p->bytes = 0;
    for (unsigned i = p->first; i < bio->count && p->bytes < most; i++) {
        const struct bio_vec *v = &bio->vec[i];
        uint32_t len = MIN(v->len - skip, most - p->bytes);
        paddr_t pa = virt_to_phys((char *)v->data + skip);
        if (n && seg[n - 1].addr + seg[n - 1].len == pa && seg[n - 1].len + len > len)
            seg[n - 1].len += len;
        else if (n < max && (!n || may_join(&seg[n - 1], pa, join)))
            seg[n++] = (struct bio_seg){pa, len};
        else
            break;
        p->bytes += len;
        skip = 0;
    }
    return n;
}

bool bio_part_advance(struct bio_part *p)
{
    const struct bio *bio = p->bio;
    if (!p->bytes)
        return false;
    p->sector += p->bytes / 512;
    for (p->skip += p->bytes; p->first < bio->count && p->skip >= bio->vec[p->first].len;
         p->first++)
        p->skip -= bio->vec[p->first].len;
    p->tries = 0;
    return p->first < bio->count;
}
