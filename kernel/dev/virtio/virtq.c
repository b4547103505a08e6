/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Split virtqueue. The free descriptors form a list through `slot[].next`; a
 * chain's descriptors keep that order while in flight. Chains of more than a
 * few pieces go into an indirect table where the device knows those.
 */
#include "dev/virtio/virtq.h"

#include <errno.h>
#include <linux/virtio_config.h>

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/layout.h"
#include "lib/string.h"
#include "mem/kmalloc.h"

#define DIRECT_MAX 4 /* pieces; more go into an indirect table */

/* Virtio 1.2 §2.7: descriptors aligned to 16, available ring to 2, used ring to 4. */
static size_t ring_used_offset(unsigned n, size_t align)
{
    return ALIGN_UP(n * sizeof(struct vring_desc) + sizeof(uint16_t) * (3 + n), align);
}

static size_t ring_align(uint64_t features)
{
    return features >> VIRTIO_F_VERSION_1 & 1 ? 64 : VIRTQ_LEGACY_ALIGN;
}

static size_t ring_size(unsigned n, size_t align)
{
    return ring_used_offset(n, align) + sizeof(uint16_t) * 3 + sizeof(struct vring_used_elem) * n;
}

/* All descriptors are on the free list. */
static void slots_free(struct virtq *vq)
{
    vq->free_head = 0;
    vq->free_count = (uint16_t)vq->ring.num;
    for (unsigned i = 0; i < vq->ring.num; i++)
        vq->slot[i].next = (uint16_t)(i + 1);
}

struct virtq *virtq_create(unsigned size, uint64_t features)
{
    unsigned n = 1;
    while (n * 2 <= MIN(size, VIRTQ_SIZE_MAX))
        n *= 2;
    struct virtq *vq = kzalloc(sizeof *vq + n * sizeof(struct virtq_slot));
    size_t align = ring_align(features);
    char *base = kzalloc(ring_size(n, align)); /* an old one has more than a page: it begins one */
    if (!vq || !base) {
        kfree(base);
        kfree(vq);
        return NULL;
    }
    vq->ring.num = n;
    vq->ring.desc = (void *)base;
    vq->ring.avail = (void *)(vq->ring.desc + n);
    vq->ring.used = (void *)(base + ring_used_offset(n, align));
    vq->slot = (struct virtq_slot *)(vq + 1);
    slots_free(vq);
    vq->event_idx = features >> VIRTIO_RING_F_EVENT_IDX & 1;
    vq->indirect = features >> VIRTIO_RING_F_INDIRECT_DESC & 1;
    return vq;
}

void virtq_destroy(struct virtq *vq)
{
    if (!vq)
        return;
    while (virtq_take(vq))
        ;
    kfree(vq->ring.desc);
    kfree(vq);
}

void virtq_restart(struct virtq *vq)
{
    memset(vq->ring.desc, 0,
           (size_t)((char *)(vq->ring.used->ring + vq->ring.num) - (char *)vq->ring.desc));
    slots_free(vq);
    vq->avail_idx = vq->kicked_idx = vq->used_idx = 0;
    vq->broken = false;
}

static void desc_set(struct vring_desc *d, const struct virtq_seg *seg, bool in, bool more,
                     uint16_t next)
{
    d->addr = seg->addr;
    d->len = seg->len;
    d->flags = (uint16_t)((in ? VRING_DESC_F_WRITE : 0) | (more ? VRING_DESC_F_NEXT : 0));
    d->next = next;
}

/* Writes the pieces to ring descriptors from the free list; returns where that then begins. */
static uint16_t chain_direct(struct virtq *vq, const struct virtq_seg *seg, unsigned out,
                             unsigned n)
{
    uint16_t d = vq->free_head;
    for (unsigned i = 0; i < n; i++) {
        uint16_t next = vq->slot[d].next;
        desc_set(&vq->ring.desc[d], &seg[i], i >= out, i + 1 < n, next);
        d = next;
    }
    return d;
}

/* Writes the pieces to `table` and one ring descriptor that points to it (§2.7.5.3). */
static uint16_t chain_indirect(struct virtq *vq, struct vring_desc *table,
                               const struct virtq_seg *seg, unsigned out, unsigned n)
{
    uint16_t d = vq->free_head;
    for (unsigned i = 0; i < n; i++)
        desc_set(&table[i], &seg[i], i >= out, i + 1 < n, (uint16_t)(i + 1));
    vq->ring.desc[d] = (struct vring_desc){.addr = virt_to_phys(table),
                                           .len = n * (uint32_t)sizeof *table,
                                           .flags = VRING_DESC_F_INDIRECT};
    return vq->slot[d].next;
}

int virtq_add(struct virtq *vq, const struct virtq_seg *seg, unsigned out, unsigned in, void *token)
{
    unsigned n = out + in;
    if (vq->broken)
        return -EIO;
    if (n > vq->ring.num)
        return -EMSGSIZE;
    if (!vq->free_count)
        return -EAGAIN;
    struct vring_desc *table = NULL;
    if (vq->indirect && (n > DIRECT_MAX || n > vq->free_count))
        table = kmalloc(n * sizeof *table);
    if (!table && n > vq->free_count)
        return -EAGAIN;

    uint16_t head = vq->free_head;
    struct virtq_slot *s = &vq->slot[head];
    s->count = (uint16_t)(table ? 1 : n);
    vq->free_head = table ? chain_indirect(vq, table, seg, out, n) : chain_direct(vq, seg, out, n);
    vq->free_count = (uint16_t)(vq->free_count - s->count);
    s->token = token;
    s->indirect = table;
    s->in_len = 0;
    for (unsigned i = out; i < n; i++)
        s->in_len += seg[i].len;
    vq->ring.avail->ring[vq->avail_idx & (vq->ring.num - 1)] = head;
    vq->avail_idx++;
    __atomic_store_n(&vq->ring.avail->idx, vq->avail_idx, __ATOMIC_RELEASE);
    return 0;
}

bool virtq_kick_wanted(struct virtq *vq)
{
    uint16_t old = vq->kicked_idx;
    if (vq->broken || old == vq->avail_idx)
        return false;
    vq->kicked_idx = vq->avail_idx;
    cpu_barrier(); /* the index before the device's wish (§2.7.13.4.1) */
    if (!vq->event_idx)
        return !(__atomic_load_n(&vq->ring.used->flags, __ATOMIC_RELAXED) & VRING_USED_F_NO_NOTIFY);
    uint16_t event = __atomic_load_n(&vring_avail_event(&vq->ring), __ATOMIC_RELAXED);
    return vring_need_event(event, vq->avail_idx, old);
}

/* Gives the chain's descriptors back to the free list. */
static void *chain_release(struct virtq *vq, uint16_t head)
{
    struct virtq_slot *s = &vq->slot[head];
    void *token = s->token;
    uint16_t last = head;
    for (unsigned i = 1; i < s->count; i++)
        last = vq->slot[last].next;
    vq->slot[last].next = vq->free_head;
    vq->free_head = head;
    vq->free_count = (uint16_t)(vq->free_count + s->count);
    kfree(s->indirect);
    s->indirect = NULL;
    s->token = NULL;
    return token;
}

void *virtq_pop(struct virtq *vq, uint32_t *written)
{
    if (vq->broken)
        return NULL;
    uint16_t ready =
        (uint16_t)(__atomic_load_n(&vq->ring.used->idx, __ATOMIC_ACQUIRE) - vq->used_idx);
    if (!ready)
        return NULL;
    volatile struct vring_used_elem *e = &vq->ring.used->ring[vq->used_idx & (vq->ring.num - 1)];
    uint32_t id = e->id, len = e->len;
    uint16_t in_flight = (uint16_t)(vq->avail_idx - vq->used_idx);
    if (ready > in_flight || id >= vq->ring.num || !vq->slot[id].token ||
        (len > vq->slot[id].in_len && !vq->len_with_out)) {
        vq->broken = true;
        return NULL;
    }
    vq->used_idx++;
    *written = MIN(len, vq->slot[id].in_len);
    return chain_release(vq, (uint16_t)id);
}

void virtq_forget(struct virtq *vq, const void *token)
{
    for (unsigned i = 0; i < vq->ring.num; i++)
        if (vq->slot[i].token == token) {
            chain_release(vq, (uint16_t)i);
            return;
        }
}

void *virtq_take(struct virtq *vq)
{
    for (unsigned i = 0; i < vq->ring.num; i++)
        if (vq->slot[i].token)
            return chain_release(vq, (uint16_t)i);
    return NULL;
}

bool virtq_irq_enable(struct virtq *vq)
{
    if (vq->event_idx)
        __atomic_store_n(&vring_used_event(&vq->ring), vq->used_idx, __ATOMIC_RELAXED);
    else
        __atomic_store_n(&vq->ring.avail->flags, 0, __ATOMIC_RELAXED);
    cpu_barrier(); /* our wish before the look (§2.7.14) */
    return !vq->broken && __atomic_load_n(&vq->ring.used->idx, __ATOMIC_ACQUIRE) != vq->used_idx;
}

void virtq_irq_disable(struct virtq *vq)
{
    if (vq->event_idx) /* an index that was passed: 65535 chains away */
        __atomic_store_n(&vring_used_event(&vq->ring), (uint16_t)(vq->used_idx - 1),
                         __ATOMIC_RELAXED);
    else
        __atomic_store_n(&vq->ring.avail->flags, VRING_AVAIL_F_NO_INTERRUPT, __ATOMIC_RELAXED);
}
