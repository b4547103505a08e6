/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rings of NVMe commands and completions, and the commands of bios. Main structs:
 * nvme_ring, nvme_queue; lock: the queue's ioq.lock (the admin ring's user has its
 * own). The controller is not trusted: a completion of nothing is left alone.
 */
#include <errno.h>

#include "arch/x86_64/io.h"
#include "arch/x86_64/layout.h"
#include "core/log.h"
#include "dev/nvme/nvme.h"
#include "dev/nvme/nvme_disk.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "mem/page.h"

#define DOORBELLS   0x1000
#define LISTS_ORDER 4 /* pages: NVME_ENTRIES lists of 1 KiB */

enum { FLUSH = 0, WRITE = 1, READ = 2, WRITE_ZEROES = 8, DATASET = 9 };
#define FLAG_DURABLE    (1u << 30) /* force unit access, of double word 12 */
#define FLAG_DEALLOCATE (1u << 2)  /* of double word 11 */

#define PHASE       1
#define STATUS_TYPE 7 /* after the code's 8 bits */
#define STATUS_DNR  (1u << 15)

int nvme_ring_alloc(struct nvme_ring *r, unsigned entries)
{
    struct page *sq = page_alloc_zero(0), *cq = page_alloc_zero(0);
    r->sq = sq ? page_address(sq) : NULL;
    r->cq = cq ? page_address(cq) : NULL;
    r->entries = entries;
    return sq && cq ? 0 : -ENOMEM;
}

void nvme_ring_free(struct nvme_ring *r)
{
    if (r->sq)
        page_put(page_of_address(r->sq));
    if (r->cq)
        page_put(page_of_address(r->cq));
    r->sq = NULL;
    r->cq = NULL;
}

void nvme_ring_reset(struct nvme *nvme, struct nvme_ring *r, unsigned id)
{
    memset(r->sq, 0, PAGE_SIZE);
    memset(r->cq, 0, PAGE_SIZE);
    r->tail = r->head = r->rung = 0;
    r->phase = PHASE;
    r->sq_bell = nvme->regs + DOORBELLS + 2 * id * nvme->bell_stride;
    r->cq_bell = r->sq_bell + nvme->bell_stride;
}

void nvme_ring_post(struct nvme_ring *r, const struct nvme_command *c)
{
    r->sq[r->tail] = *c;
    r->tail = (r->tail + 1) % r->entries;
}

void nvme_ring_kick(struct nvme_ring *r)
{
    if (r->rung == r->tail)
        return;
    r->rung = r->tail;
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* the commands before the bell */
    mmio_write32(r->sq_bell, r->tail);
}

bool nvme_ring_next(struct nvme_ring *r, struct nvme_completion *out)
{
    struct nvme_completion *c = &r->cq[r->head];
    uint16_t status = __atomic_load_n(&c->status, __ATOMIC_ACQUIRE);
    if ((status & PHASE) != r->phase)
        return false;
    *out = *c;
    out->status = status;
    if (++r->head == r->entries) {
        r->head = 0;
        r->phase ^= PHASE;
    }
    return true;
}

bool nvme_ring_any(const struct nvme_ring *r)
{
    return (__atomic_load_n(&r->cq[r->head].status, __ATOMIC_ACQUIRE) & PHASE) == r->phase;
}

void nvme_ring_taken(struct nvme_ring *r)
{
    mmio_write32(r->cq_bell, r->head);
}

/* Status code types (§4.6.1): generic, of the command, of the medium, of the path. */
enum { TYPE_GENERIC, TYPE_COMMAND, TYPE_MEDIUM, TYPE_PATH };

int nvme_status_error(uint16_t status)
{
    unsigned code = status >> 1 & 0xff, type = status >> 9 & STATUS_TYPE;
    if (!code && type == TYPE_GENERIC)
        return 0;
    if (type == TYPE_GENERIC) {
        switch (code) {
        case 0x01: /* invalid opcode */
        case 0x02: /* invalid field */
            return -EOPNOTSUPP;
        case 0x20: /* write protected */
            return -EROFS;
        case 0x81: /* capacity exceeded */
            return -ENOSPC;
        case 0x0b: /* invalid namespace */
        case 0x80: /* LBA out of range */
            return -EIO;
        }
    }
    if (type == TYPE_COMMAND && code == 0x82) /* write to a read only range */
        return -EROFS;
    return status & STATUS_DNR || type == TYPE_MEDIUM || type == TYPE_COMMAND ? -EIO : -EAGAIN;
}

/* The command's data: its first page, and the rest directly or by the list (§4.3). */
static void pages_fill(struct nvme_command *c, uint64_t *list, const struct bio_seg *seg,
                       unsigned n)
{
    unsigned count = 0;
    for (unsigned i = 0; i < n; i++) {
        paddr_t end = seg[i].addr + seg[i].len;
        for (paddr_t at = seg[i].addr; at < end; at = (at & PAGE_MASK) + PAGE_SIZE) {
            if (c->prp1)
                list[count++] = at;
            else
                c->prp1 = at;
        }
    }
    if (count)
        c->prp2 = count == 1 ? list[0] : virt_to_phys(list);
}

static int transfer_fill(struct nvme_command *c, struct bio_part *p, uint64_t *list,
                         const struct nvme_disk *disk)
{
    struct bio_seg seg[BIO_VECS];
    unsigned n = bio_part_fill(p, seg, BIO_VECS, PAGE_SIZE);
    uint32_t blocks = p->bytes >> disk->shift;
    uint64_t first = p->sector >> (disk->shift - 9);
    if (!blocks || p->bytes & (disk->dev.block_size - 1) || seg[0].addr & 3)
        return -EINVAL; /* pieces of the bio that no command can have */
    pages_fill(c, list, seg, n);
    c->opcode = p->bio->op == BIO_WRITE ? WRITE : READ;
    c->dw10 = (uint32_t)first;
    c->dw11 = (uint32_t)(first >> 32);
    c->dw12 = (blocks - 1) | (p->bio->durable && p->bio->op == BIO_WRITE ? FLAG_DURABLE : 0);
    return 0;
}

/* A deallocation has its range where other commands have their list. */
static void range_fill(struct nvme_command *c, const struct bio *bio, uint64_t first,
                       uint32_t blocks, uint64_t *list)
{
    if (bio->op == BIO_DISCARD) {
        list[0] = (uint64_t)blocks << 32; /* attributes: none */
        list[1] = first;
        c->opcode = DATASET;
        c->prp1 = virt_to_phys(list);
        c->dw11 = FLAG_DEALLOCATE;
    } else {
        c->opcode = WRITE_ZEROES;
        c->dw10 = (uint32_t)first;
        c->dw11 = (uint32_t)(first >> 32);
        c->dw12 = blocks - 1;
    }
}

static int queue_start(struct ioq *q, unsigned slot)
{
    struct nvme_queue *nq = CONTAINER_OF(q, struct nvme_queue, q);
    struct bio_part *p = &q->slot[slot].part;
    const struct nvme_disk *disk = p->bio->dev->priv;
    uint64_t *list = nq->lists + slot * NVME_LIST;
    struct nvme_command c = {.id = (uint16_t)slot, .nsid = disk->nsid};
    int err = 0;
    switch (p->bio->op) {
    case BIO_FLUSH:
        c.opcode = FLUSH;
        break;
    case BIO_DISCARD:
    case BIO_ZEROES:
        range_fill(&c, p->bio, p->sector >> (disk->shift - 9),
                   (uint32_t)(p->bio->sectors >> (disk->shift - 9)), list);
        break;
    default:
        err = transfer_fill(&c, p, list, disk);
    }
    if (!err)
        nvme_ring_post(&nq->ring, &c);
    return err;
}

static void queue_kick(struct ioq *q)
{
    nvme_ring_kick(&CONTAINER_OF(q, struct nvme_queue, q)->ring);
}

static const struct ioq_ops queue_ops = {.start = queue_start, .kick = queue_kick};

void nvme_queue_reap(struct nvme_queue *nq)
{
    struct list done = LIST_INIT(done);
    struct nvme_completion c;
    unsigned n = 0;
    irqflags_t flags = spin_lock_irq(&nq->q.lock);
    /* There cannot be more of them: nothing is started meanwhile. */
    while (!nq->q.stopped && n < nq->ring.entries && nvme_ring_next(&nq->ring, &c)) {
        n++;
        if (!ioq_done(&nq->q, c.id, nvme_status_error(c.status), &done) && !nq->complained) {
            nq->complained = true;
            log_warn("%s: queue %u: completion of command %u, which is not under way",
                     nq->nvme->name, nq->id, c.id);
        }
    }
    if (n) {
        nvme_ring_taken(&nq->ring);
        ioq_dispatch(&nq->q, &done);
    }
    spin_unlock_irq(&nq->q.lock, flags);
    ioq_complete(&done);
}

int nvme_queue_alloc(struct nvme *nvme, unsigned id)
{
    struct nvme_queue *nq = kzalloc(sizeof *nq);
    struct page *lists = page_alloc(LISTS_ORDER);
    int err = nq ? nvme_ring_alloc(&nq->ring, nvme->entries) : -ENOMEM;
    if (err || !lists) {
        if (nq)
            nvme_ring_free(&nq->ring);
        if (lists)
            page_put(lists);
        kfree(nq);
        return -ENOMEM;
    }
    nq->lists = page_address(lists);
    nq->nvme = nvme;
    nq->id = (uint16_t)id;
    ioq_init(&nq->q, &nvme->host, &queue_ops, nvme->entries - 1); /* a full ring looks empty */
    nvme->queue[id - 1] = nq;
    return 0;
}

void nvme_queue_free(struct nvme_queue *nq)
{
    if (!nq)
        return;
    list_remove(&nq->q.link);
    nvme_ring_free(&nq->ring);
    page_put(page_of_address(nq->lists));
    kfree(nq);
}
