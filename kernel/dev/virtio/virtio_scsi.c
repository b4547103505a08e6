/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio SCSI controller (virtio 1.2 §5.6): carries commands, looks for units at
 * boot, and hears of those that come, go or change. Main struct: scsi_host. Locks:
 * `scan`, a mutex, for the list of disks; `lock` (interrupts off) for the event
 * queue and what it told. A thread acts on events.
 */
#include <errno.h>
#include <linux/virtio_scsi.h>

#include "arch/x86_64/layout.h"
#include "core/log.h"
#include "dev/virtio/scsi_host.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "sched/mutex.h"
#include "sched/thread.h"

#define QUEUE_CONTROL   0 /* nothing is asked of it */
#define QUEUE_EVENTS    1
#define QUEUE_REQUESTS  2 /* and the following */
#define QUEUE_SIZE      128
#define EVENT_BUFFERS   8
#define EVENTS_KEPT     16 /* events not acted on yet; if there are more, all is scanned */
#define WAVE            32 /* targets that are asked at the same time */
#define LUNS_ROOM       4096
#define LUN_LIMIT       16384
#define STATUS_CHECK    0x02 /* SAM: sense data tell more */
#define STATUS_BUSY     0x08
#define STATUS_FULL     0x28
#define CAPACITY_CHANGE (0x2a | 0x09 << 8) /* of an event of VIRTIO_SCSI_T_PARAM_CHANGE */

struct scsi_event {
    uint32_t what, reason;
    struct scsi_unit unit;
};

struct scsi_host {
    struct virtio_device *vdev;
    struct diskqs *queues;
    uint32_t transfer_max;
    unsigned targets;
    struct mutex scan;
    struct list disks; /* scsi_disk */

    struct spinlock lock;
    struct virtq *events;
    struct virtio_scsi_event buffer[EVENT_BUFFERS]; /* the device writes them */
    struct scsi_event kept[EVENTS_KEPT];
    unsigned kept_first, kept_count;
    bool missed;
    struct waitq event_wait; /* the thread's */
};

struct scsi_head {
    struct virtio_scsi_cmd_req req;
    uint8_t parameters[SCSI_UNMAP_BYTES];
} __attribute__((packed));

/* Single level LUN structure (§5.6.6.1). */
static void lun_write(uint8_t lun[8], const struct scsi_unit *u)
{
    memset(lun, 0, 8);
    lun[0] = 1;
    lun[1] = u->target;
    lun[2] = (uint8_t)(u->lun >> 8 | 0x40);
    lun[3] = (uint8_t)u->lun;
}

static bool lun_read(const uint8_t lun[8], struct scsi_unit *u)
{
    *u = (struct scsi_unit){lun[1], (uint16_t)((lun[2] << 8 | lun[3]) & (LUN_LIMIT - 1))};
    return lun[0] == 1;
}

static unsigned host_prepare(struct diskq_request *r)
{
    struct scsi_head *h = (void *)r->head;
    memset(&h->req, 0, sizeof h->req);
    h->req.tag = (uint64_t)(uintptr_t)r;
    if (r->part.bio->op == BIO_COMMAND) {
        const struct scsi_command *cmd = CONTAINER_OF(r->part.bio, struct scsi_command, bio);
        lun_write(h->req.lun, &cmd->unit);
        memcpy(h->req.cdb, cmd->cdb, SCSI_CDB);
        return sizeof h->req;
    }
    const struct scsi_disk *disk = r->part.bio->dev->priv;
    lun_write(h->req.lun, &disk->unit);
    unsigned n = scsi_disk_command(disk, r, h->req.cdb, h->parameters);
    if (n) /* a piece of its own: QEMU takes what follows in the first one for padding */
        r->extra = (struct virtq_seg){virt_to_phys(h->parameters), n};
    return sizeof h->req;
}

static void event_keep_locked(struct scsi_host *host, const struct scsi_event *e)
{
    if (host->kept_count < EVENTS_KEPT)
        host->kept[(host->kept_first + host->kept_count++) % EVENTS_KEPT] = *e;
    else
        host->missed = true;
}

/* The status of a command that the controller carried to the unit. */
static int unit_status(struct diskq_request *r, const struct virtio_scsi_cmd_resp *a, uint32_t room)
{
    if (a->status == STATUS_BUSY || a->status == STATUS_FULL)
        return -EAGAIN;
    if (a->status != STATUS_CHECK)
        return a->status ? -EIO : 0;
    struct scsi_sense s = scsi_sense_read(a->sense, MIN(MIN(a->sense_len, room), sizeof a->sense));
    if (scsi_sense_resized(&s) && r->part.bio->dev) {
        const struct scsi_disk *disk = r->part.bio->dev->priv;
        struct scsi_event e = {VIRTIO_SCSI_T_PARAM_CHANGE, CAPACITY_CHANGE, disk->unit};
        irqflags_t flags = spin_lock_irq(&disk->host->lock);
        event_keep_locked(disk->host, &e);
        spin_unlock_irq(&disk->host->lock, flags);
        waitq_wake(&disk->host->event_wait, 0);
    }
    return scsi_sense_error(&s);
}

static int host_result(struct diskq_request *r, uint32_t written)
{
    const struct virtio_scsi_cmd_resp *a = (void *)r->answer;
    bool command = r->part.bio->op == BIO_COMMAND;
    if (written < offsetof(struct virtio_scsi_cmd_resp, sense))
        return -EIO;
    switch (a->response) {
    case VIRTIO_SCSI_S_OK:
        break;
    case VIRTIO_SCSI_S_BAD_TARGET:
        return command ? -ENODEV : -EIO;
    case VIRTIO_SCSI_S_BUSY:
    case VIRTIO_SCSI_S_RESET:
        return -EAGAIN;
    default:
        return -EIO;
    }
    int err = unit_status(r, a, written - (uint32_t)offsetof(struct virtio_scsi_cmd_resp, sense));
    if (err)
        return err;
    if (command && a->resid <= r->part.bytes)
        CONTAINER_OF(r->part.bio, struct scsi_command, bio)->got = r->part.bytes - a->resid;
    return a->resid && (!command || a->resid > r->part.bytes) ? -EIO : 0;
}

static const struct diskq_type host_type = {
    .head_size = sizeof(struct scsi_head),
    .answer_size = sizeof(struct virtio_scsi_cmd_resp),
    .answer_first = true,
    .prepare = host_prepare,
    .result = host_result,
};

static void command_submit(struct blkdev *none, struct bio *bio)
{
    (void)none;
    diskqs_submit(CONTAINER_OF(bio, struct scsi_command, bio)->host->queues, bio);
}

static void command_fill(struct scsi_command *cmd, struct scsi_host *host,
                         const struct scsi_unit *unit, void *data, uint32_t len)
{
    cmd->bio = (struct bio){.op = BIO_COMMAND, .count = 1};
    cmd->bio.vec[0] = (struct bio_vec){data, len};
    cmd->host = host;
    cmd->unit = *unit;
    cmd->got = 0;
}

int scsi_run(struct scsi_host *host, const struct scsi_unit *unit, struct scsi_command *cmd,
             void *data, uint32_t len)
{
    command_fill(cmd, host, unit, data, len);
    return bio_wait(&cmd->bio, command_submit, NULL);
}

uint32_t scsi_host_transfer_max(const struct scsi_host *host)
{
    return host->transfer_max;
}

static void disk_submit(struct blkdev *dev, struct bio *bio)
{
    struct scsi_disk *disk = dev->priv;
    if (bio->op == BIO_FLUSH && !disk->cache) {
        bio->status = 0;
        bio_complete(bio);
        return;
    }
    diskqs_submit(disk->host->queues, bio);
}

static int disk_emergency(struct blkdev *dev, struct bio *bio)
{
    struct scsi_disk *disk = dev->priv;
    return bio->op == BIO_FLUSH && !disk->cache ? 0 : diskqs_emergency(disk->host->queues, bio);
}

static const struct blkdev_ops disk_ops = {
    .submit = disk_submit, .emergency = disk_emergency, .release = scsi_disk_free};

static struct scsi_disk *disk_find(struct scsi_host *host, const struct scsi_unit *u)
{
    LIST_FOR_EACH(l, &host->disks)
    {
        struct scsi_disk *d = LIST_ENTRY(l, struct scsi_disk, link);
        if (d->unit.target == u->target && d->unit.lun == u->lun)
            return d;
    }
    return NULL;
}

static void disk_remove(struct scsi_disk *disk)
{
    log_info("%s: removed", disk->dev.name);
    list_remove(&disk->link);
    blkdev_unregister(&disk->dev);
}

/* Something may stand there that was not there before, or be gone. */
static void unit_scan(struct scsi_host *host, const struct scsi_unit *u)
{
    struct scsi_disk *known = disk_find(host, u), *disk;
    int err = scsi_disk_identify(host, u, &disk_ops, &disk);
    if (known && (err == -ENODEV || err == -EINVAL))
        disk_remove(known);
    if (!err && known) {
        blkdev_resize(&known->dev, disk->dev.sectors);
        scsi_disk_free(&disk->dev);
    } else if (!err) {
        list_add_tail(&host->disks, &disk->link);
        err = blkdev_register(&disk->dev);
        if (err) /* only its partition table: the disk itself is there */
            log_warn("%s: partitions not read: error %d", disk->dev.name, -err);
        else
            log_info("%s: scsi %u:%u, %llu sectors", disk->dev.name, u->target, u->lun,
                     (unsigned long long)disk->dev.sectors);
    } else if (err != -ENODEV && err != -EINVAL) {
        log_warn("scsi %u:%u: not used: error %d", u->target, u->lun, -err);
    }
}

/* A unit number of REPORT LUNS; false for a kind that virtio cannot carry (§5.6.6.1). */
static bool lun_listed(const uint8_t *p, uint16_t *lun)
{
    *lun = (uint16_t)((p[0] & 0x3f) << 8 | p[1]);
    return p[0] >> 6 <= 1;
}

/* All units of a target that is there. */
static void target_scan(struct scsi_host *host, uint8_t target)
{
    struct scsi_command *cmd = kzalloc(sizeof *cmd);
    uint8_t *luns = kzalloc(LUNS_ROOM);
    struct scsi_unit u = {.target = target};
    if (cmd && luns) {
        scsi_cdb_report_luns(cmd->cdb, LUNS_ROOM);
        uint32_t got = scsi_run(host, &u, cmd, luns, LUNS_ROOM) ? 0 : cmd->got;
        uint32_t end = got >= 8 ? MIN(scsi_get32(luns), got - 8) + 8 : 0;
        for (uint32_t at = 8; at + 8 <= end; at += 8)
            if (lun_listed(luns + at, &u.lun))
                unit_scan(host, &u);
    }
    kfree(luns);
    kfree(cmd);
}

/* Targets that are asked at the same time whether they are there. */
struct wave {
    unsigned left; /* atomic; who makes it 0 does not touch the wave any more */
    struct wave_item {
        struct scsi_command cmd;
        uint8_t answer[16];
    } item[WAVE];
};

static struct waitq wave_waiters = WAITQ_INIT(wave_waiters);

static void wave_done(struct bio *bio)
{
    struct wave *w = bio->priv;
    if (__atomic_sub_fetch(&w->left, 1, __ATOMIC_ACQ_REL) == 0)
        waitq_wake(&wave_waiters, 0);
}

static void wave_run(struct scsi_host *host, struct wave *wave, unsigned first, unsigned count)
{
    struct waiter w;
    wave->left = count;
    for (unsigned i = 0; i < count; i++) {
        struct wave_item *item = &wave->item[i];
        struct scsi_unit u = {.target = (uint8_t)(first + i)};
        scsi_cdb_report_luns(item->cmd.cdb, sizeof item->answer);
        command_fill(&item->cmd, host, &u, item->answer, sizeof item->answer);
        item->cmd.bio.done = wave_done;
        item->cmd.bio.priv = wave;
        command_submit(NULL, &item->cmd.bio);
    }
    waiter_init(&w);
    for (;;) {
        waitq_add(&wave_waiters, &w);
        if (!__atomic_load_n(&wave->left, __ATOMIC_ACQUIRE))
            break;
        thread_block(CLOCK_NEVER, false);
    }
    waitq_remove(&w);
}

static int host_scan(struct scsi_host *host)
{
    struct wave *wave = kzalloc(sizeof *wave);
    if (!wave)
        return -ENOMEM;
    LIST_FOR_EACH_SAFE(l, &host->disks)
    unit_scan(host, &LIST_ENTRY(l, struct scsi_disk, link)->unit);
    for (unsigned first = 0; first < host->targets; first += WAVE) {
        unsigned count = MIN(host->targets - first, (unsigned)WAVE);
        wave_run(host, wave, first, count);
        for (unsigned i = 0; i < count; i++)
            if (wave->item[i].cmd.bio.status != -ENODEV)
                target_scan(host, (uint8_t)(first + i));
    }
    kfree(wave);
    return 0;
}

static void event_post(struct scsi_host *host, struct virtio_scsi_event *e)
{
    struct virtq_seg seg = {virt_to_phys(e), sizeof *e};
    virtq_add(host->events, &seg, 0, 1, e); /* there is a descriptor for each */
}

static void event_take(struct scsi_host *host, const struct virtio_scsi_event *e, uint32_t written)
{
    struct scsi_event mine = {.what = e->event & ~VIRTIO_SCSI_T_EVENTS_MISSED, .reason = e->reason};
    bool mine_ok = written >= sizeof *e && lun_read(e->lun, &mine.unit);
    if (written >= sizeof e->event && e->event & VIRTIO_SCSI_T_EVENTS_MISSED)
        host->missed = true;
    if (!mine_ok || mine.what == VIRTIO_SCSI_T_NO_EVENT)
        return;
    event_keep_locked(host, &mine);
}

static void events_done(struct virtq *vq)
{
    struct scsi_host *host = vq->owner;
    irqflags_t flags = spin_lock_irq(&host->lock);
    do {
        struct virtio_scsi_event *e;
        uint32_t written;
        while ((e = virtq_pop(vq, &written)) != NULL) {
            event_take(host, e, written);
            event_post(host, e);
        }
        virtio_kick(vq);
    } while (virtq_irq_enable(vq));
    bool broken = vq->broken;
    spin_unlock_irq(&host->lock, flags);
    waitq_wake(&host->event_wait, 0);
    if (broken)
        virtio_break(vq->vdev);
}

static void event_act(struct scsi_host *host, const struct scsi_event *e)
{
    struct scsi_disk *disk = disk_find(host, &e->unit);
    if (e->what == VIRTIO_SCSI_T_TRANSPORT_RESET && e->reason == VIRTIO_SCSI_EVT_RESET_RESCAN)
        unit_scan(host, &e->unit);
    else if (e->what == VIRTIO_SCSI_T_TRANSPORT_RESET &&
             e->reason == VIRTIO_SCSI_EVT_RESET_REMOVED && disk)
        disk_remove(disk);
    else if (e->what == VIRTIO_SCSI_T_PARAM_CHANGE && e->reason == CAPACITY_CHANGE && disk)
        scsi_disk_measure(disk);
}

/* What is there to do: an event, or (*missed) a scan of everything; false: nothing. */
static bool event_next(struct scsi_host *host, struct scsi_event *e, bool *missed)
{
    irqflags_t flags = spin_lock_irq(&host->lock);
    bool any = host->kept_count;
    *missed = host->missed;
    host->missed = false;
    if (any) {
        *e = host->kept[host->kept_first];
        host->kept_first = (host->kept_first + 1) % EVENTS_KEPT;
        host->kept_count--;
    }
    spin_unlock_irq(&host->lock, flags);
    return any;
}

static void event_thread(void *arg)
{
    struct scsi_host *host = arg;
    struct waiter w;
    waiter_init(&w);
    for (;;) {
        struct scsi_event e;
        bool missed;
        waitq_add(&host->event_wait, &w);
        bool any = event_next(host, &e, &missed);
        if (!any && !missed) {
            thread_block(CLOCK_NEVER, false);
            continue;
        }
        waitq_remove(&w);
        mutex_lock(&host->scan);
        if (any)
            event_act(host, &e);
        if (missed)
            host_scan(host);
        mutex_unlock(&host->scan);
    }
}

static uint32_t host_config(struct scsi_host *host, unsigned offset)
{
    return virtio_config_u32(host->vdev, offset);
}

#define HOST_CONFIG(host, field) host_config(host, offsetof(struct virtio_scsi_config, field))

static int host_configure(struct scsi_host *host)
{
    uint32_t sectors = HOST_CONFIG(host, max_sectors);
    host->targets =
        virtio_config_u16(host->vdev, offsetof(struct virtio_scsi_config, max_target)) + 1u;
    host->targets = MIN(host->targets, 256u);
    host->transfer_max = sectors && sectors < UINT32_MAX / 512 ? sectors * 512 : UINT32_MAX;
    if (HOST_CONFIG(host, sense_size) == VIRTIO_SCSI_SENSE_DEFAULT_SIZE &&
        HOST_CONFIG(host, cdb_size) == VIRTIO_SCSI_CDB_DEFAULT_SIZE)
        return 0;
    log_error("%s: sizes of commands or sense data are not the default", host->vdev->name);
    return -EINVAL;
}

static int queues_create(struct scsi_host *host)
{
    struct virtq *control;
    int err = virtio_queue_create(host->vdev, QUEUE_CONTROL, 4, NULL, host, &control);
    if (!err)
        err = virtio_queue_create(host->vdev, QUEUE_EVENTS, EVENT_BUFFERS, events_done, host,
                                  &host->events);
    if (!err)
        err = diskqs_create(host->vdev, QUEUE_REQUESTS, HOST_CONFIG(host, num_queues), QUEUE_SIZE,
                            HOST_CONFIG(host, seg_max), &host_type, &host->queues);
    for (unsigned i = 0; !err && i < host->queues->count; i++)
        host->queues->q[i].vq->len_with_out = true;
    return err;
}

static void events_start(struct scsi_host *host)
{
    irqflags_t flags = spin_lock_irq(&host->lock);
    for (unsigned i = 0; i < MIN((unsigned)EVENT_BUFFERS, host->events->ring.num); i++)
        event_post(host, &host->buffer[i]);
    virtio_kick(host->events);
    spin_unlock_irq(&host->lock, flags);
}

static int scsi_probe(struct virtio_device *vdev)
{
    struct scsi_host *host = kzalloc(sizeof *host);
    struct thread *t = NULL;
    if (!host)
        return -ENOMEM;
    host->vdev = vdev;
    mutex_init(&host->scan);
    list_init(&host->disks);
    waitq_init(&host->event_wait);
    int err = host_configure(host);
    if (!err)
        err = queues_create(host);
    if (!err)
        err = thread_create(&t, "scsi", event_thread, host);
    if (err) {
        diskqs_destroy(host->queues);
        kfree(host);
        return err;
    }
    vdev->priv = host;
    virtio_ready(vdev);
    events_start(host);
    mutex_lock(&host->scan); /* what comes meanwhile waits for its turn */
    err = host_scan(host);
    mutex_unlock(&host->scan);
    if (err)
        log_warn("%s: disks are not looked for: error %d", vdev->name, -err);
    thread_start(t);
    return 0;
}

static void scsi_broken(struct virtio_device *vdev)
{
    struct scsi_host *host = vdev->priv;
    if (host)
        diskqs_broken(host->queues);
}

const struct virtio_driver virtio_scsi_driver = {
    .id = VIRTIO_ID_SCSI,
    .features = 1ull << VIRTIO_SCSI_F_HOTPLUG | 1ull << VIRTIO_SCSI_F_CHANGE,
    .probe = scsi_probe,
    .broken = scsi_broken,
};
