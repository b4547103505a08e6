/* SPDX-License-Identifier: Apache-2.0 */
/* The device's side of virtio for tests; see the header. */
#include "fake_virtio.h"

#include <string.h>

#include "arch/x86_64/layout.h"
#include "dev/topology.h"

unsigned fake_cpus = 1;

unsigned cpu_present(void)
{
    return fake_cpus;
}

static struct fake_virtio *fake(struct virtio_device *vdev)
{
    return CONTAINER_OF(vdev, struct fake_virtio, vdev);
}

static uint8_t fake_status(struct virtio_device *vdev)
{
    return fake(vdev)->status;
}

static void fake_set_status(struct virtio_device *vdev, uint8_t status)
{
    struct fake_virtio *f = fake(vdev);
    f->status = f->refuse ? status & ~VIRTIO_CONFIG_S_FEATURES_OK : status;
}

static uint64_t fake_features(struct virtio_device *vdev)
{
    return fake(vdev)->offered;
}

static void fake_set_features(struct virtio_device *vdev, uint64_t features)
{
    fake(vdev)->accepted = features;
}

static uint32_t fake_config(struct virtio_device *vdev, unsigned offset, unsigned size)
{
    uint32_t v = 0;
    memcpy(&v, fake(vdev)->config + offset, size);
    return v;
}

static uint32_t fake_generation(struct virtio_device *vdev)
{
    return fake(vdev)->generation;
}

static unsigned fake_queue_size(struct virtio_device *vdev, unsigned index)
{
    const struct fake_virtio *f = fake(vdev);
    return f->queue_count && index >= f->queue_count ? 0 : f->queue_max;
}

static int fake_queue_enable(struct virtio_device *vdev, struct virtq *vq)
{
    fake_queue_attach(&fake(vdev)->queue[vq->index], vq);
    return 0;
}

static void fake_notify(struct virtio_device *vdev, struct virtq *vq)
{
    fake(vdev)->queue[vq->index].kicks++;
}

static const struct virtio_transport fake_transport = {
    .status = fake_status,
    .set_status = fake_set_status,
    .features = fake_features,
    .set_features = fake_set_features,
    .config = fake_config,
    .generation = fake_generation,
    .queue_size = fake_queue_size,
    .queue_enable = fake_queue_enable,
    .notify = fake_notify,
};

void fake_virtio_init(struct fake_virtio *f, uint32_t id, uint64_t features, unsigned queue_max)
{
    *f = (struct fake_virtio){.offered = features, .queue_max = queue_max};
    f->vdev.transport = &fake_transport;
    f->vdev.id = id;
    strcpy(f->vdev.name, "fake");
}

void fake_queue_attach(struct fake_queue *q, struct virtq *vq)
{
    *q = (struct fake_queue){.vq = vq};
}

static void chain_add(struct fake_chain *c, const struct vring_desc *d)
{
    unsigned i = c->out + c->in;
    c->seg[i].data = phys_to_virt(d->addr);
    c->seg[i].len = d->len;
    if (d->flags & VRING_DESC_F_WRITE)
        c->in++;
    else
        c->out++;
}

bool fake_queue_next(struct fake_queue *q, struct fake_chain *c)
{
    struct vring *r = &q->vq->ring;
    if (q->avail_seen == r->avail->idx)
        return false;
    memset(c, 0, sizeof *c);
    c->head = r->avail->ring[q->avail_seen++ % r->num];
    const struct vring_desc *table = r->desc, *d = &table[c->head];
    if (d->flags & VRING_DESC_F_INDIRECT) {
        c->indirect = true;
        table = d = phys_to_virt(d->addr);
    }
    for (; d->flags & VRING_DESC_F_NEXT; d = &table[d->next])
        chain_add(c, d);
    chain_add(c, d);
    return true;
}

void fake_queue_use(struct fake_queue *q, uint32_t id, uint32_t len)
{
    struct vring *r = &q->vq->ring;
    r->used->ring[q->used_idx % r->num] = (struct vring_used_elem){.id = id, .len = len};
    r->used->idx = ++q->used_idx;
}

bool fake_queue_interrupt(struct fake_queue *q)
{
    struct vring *r = &q->vq->ring;
    bool wanted = q->vq->event_idx
                      ? vring_need_event(vring_used_event(r), q->used_idx, q->used_signalled)
                      : !(r->avail->flags & VRING_AVAIL_F_NO_INTERRUPT);
    if (q->used_signalled == q->used_idx)
        wanted = false;
    q->used_signalled = q->used_idx;
    if (wanted && q->vq->done)
        q->vq->done(q->vq);
    return wanted;
}

void fake_queue_want_kick(struct fake_queue *q)
{
    struct vring *r = &q->vq->ring;
    vring_avail_event(r) = r->avail->idx;
    r->used->flags = 0;
}
