/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of an NVMe controller: reset, what it is, its queues and interrupts, and
 * the reset of one that does not answer. See nvme.h for the main struct and the locks.
 * Admin commands are few and polled; the queues of bios have interrupts.
 */
#include "dev/nvme/nvme.h"

#include <errno.h>

#include "arch/x86_64/io.h"
#include "arch/x86_64/layout.h"
#include "core/log.h"
#include "dev/nvme/nvme_disk.h"
#include "dev/topology.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "mem/page.h"
#include "sched/thread.h"

/* Registers (§3.1). */
#define REG_CAP    0x00
#define REG_CC     0x14
#define REG_CSTS   0x1c
#define REG_AQA    0x24
#define REG_ASQ    0x28
#define REG_ACQ    0x30
#define REGS_BYTES 0x1000 /* the doorbells follow */

#define CC_ENABLE     1u
#define CC_SIZES      (6u << 16 | 4u << 20) /* of entries: 2^6 and 2^4 bytes */
#define CSTS_READY    1u
#define CSTS_FATAL    2u
#define REGS_GONE     UINT32_MAX /* what is read where no device answers */
#define RESET_UNIT    500        /* ms, of CAP.TO */
#define ADMIN_MS      10000
#define FEAT_QUEUES   7
#define FEAT_EVENTS   11
#define EVENT_CHANGED (1u << 8)  /* of namespaces: in OAES, and of that feature */
#define EVENT_ID      UINT16_MAX /* no other command has it */
#define LOG_CHANGED   4
#define QUEUE_PLAIN   1u /* contiguous */
#define QUEUE_IRQ     2u
#define ADMIN_ENTRIES 16

#define IDENTIFY_CONTROLLER 1
/* Of the controller's data (§5.15.2.2, figure 247). */
#define CTRL_MDTS 77
#define CTRL_OAES 92
#define CTRL_NN   516
#define CTRL_ONCS 520 /* bit 2: Dataset Management, 3: Write Zeroes */
#define CTRL_VWC  525

static unsigned controllers;

static uint32_t status_read(const struct nvme *nvme)
{
    return mmio_read32(nvme->regs + REG_CSTS);
}

static bool is_disabled(void *arg)
{
    uint32_t status = status_read(arg);
    return status == REGS_GONE || !(status & CSTS_READY);
}

static bool is_ready(void *arg)
{
    return status_read(arg) & (CSTS_READY | CSTS_FATAL);
}

static bool controller_fatal(struct ioq_host *h)
{
    return status_read(CONTAINER_OF(h, struct nvme, host)) & CSTS_FATAL;
}

/* The controller forgets everything; -EIO, -ETIMEDOUT, or -ENODEV: it is not there any more. */
static int controller_disable(struct nvme *nvme)
{
    uint32_t cc = mmio_read32(nvme->regs + REG_CC);
    if (cc == REGS_GONE)
        return -ENODEV;
    mmio_write32(nvme->regs + REG_CC, cc & ~CC_ENABLE);
    int err = ioq_wait_for(is_disabled, nvme, nvme->reset_ms);
    return !err && status_read(nvme) == REGS_GONE ? -ENODEV : err;
}

static void address_write(volatile char *reg, const void *p)
{
    paddr_t pa = virt_to_phys(p);
    mmio_write32(reg, (uint32_t)pa);
    mmio_write32(reg + 4, (uint32_t)(pa >> 32));
}

/* From any state to one that takes admin commands (§7.6.1). */
static int controller_reset(struct nvme *nvme)
{
    int err = controller_disable(nvme);
    if (err)
        return err;
    nvme_ring_reset(nvme, &nvme->admin, 0);
    mmio_write32(nvme->regs + REG_AQA, (ADMIN_ENTRIES - 1) << 16 | (ADMIN_ENTRIES - 1));
    address_write(nvme->regs + REG_ASQ, nvme->admin.sq);
    address_write(nvme->regs + REG_ACQ, nvme->admin.cq);
    mmio_write32(nvme->regs + REG_CC, CC_SIZES | CC_ENABLE);
    err = ioq_wait_for(is_ready, nvme, nvme->reset_ms);
    uint32_t status = status_read(nvme);
    if (status == REGS_GONE)
        return -ENODEV;
    return !err && status & CSTS_FATAL ? -EIO : err;
}

struct admin_wait {
    struct nvme *nvme;
    struct nvme_completion c;
};

static bool admin_done(void *arg)
{
    struct admin_wait *w = arg;
    bool mine = false;
    unsigned n = 0;
    while (n < ADMIN_ENTRIES && !mine && nvme_ring_next(&w->nvme->admin, &w->c)) {
        mine = w->c.id == w->nvme->admin_id; /* else of a command that nobody waits for any more */
        w->nvme->event |= w->c.id == EVENT_ID;
        n++;
    }
    if (n)
        nvme_ring_taken(&w->nvme->admin);
    return mine;
}

int nvme_admin(struct nvme *nvme, struct nvme_command *c, uint32_t *result)
{
    struct admin_wait w = {.nvme = nvme};
    nvme->admin_id = (uint16_t)(nvme->admin_id + 1) % EVENT_ID;
    c->id = nvme->admin_id;
    nvme_ring_post(&nvme->admin, c);
    nvme_ring_kick(&nvme->admin);
    int err = ioq_wait_for(admin_done, &w, ADMIN_MS);
    if (!err)
        err = nvme_status_error(w.c.status);
    if (result)
        *result = w.c.result;
    return err == -EAGAIN ? -EIO : err;
}

/* What the controller can do. */
static int controller_identify(struct nvme *nvme)
{
    struct page *p = page_alloc_zero(0);
    if (!p)
        return -ENOMEM;
    const uint8_t *data = page_address(p);
    struct nvme_command c = {
        .opcode = NVME_ADMIN_IDENTIFY, .prp1 = virt_to_phys(data), .dw10 = IDENTIFY_CONTROLLER};
    int err = nvme_admin(nvme, &c, NULL);
    if (!err) {
        unsigned mdts = data[CTRL_MDTS]; /* pages, as a power of two; 0: no limit */
        nvme->transfer_max = mdts && mdts < 7 ? (uint32_t)PAGE_SIZE << mdts : NVME_TRANSFER;
        memcpy(&nvme->ns_count, data + CTRL_NN, sizeof nvme->ns_count);
        nvme->deallocates = data[CTRL_ONCS] & 4;
        nvme->zeroes = data[CTRL_ONCS] & 8;
        nvme->cache = data[CTRL_VWC] & 1;
        nvme->tells_changes = data[CTRL_OAES + 1] & EVENT_CHANGED >> 8;
    }
    page_put(p);
    return err;
}

/* How many pairs of queues the controller gives, at most `wanted`; or -errno. */
static int queues_ask(struct nvme *nvme, unsigned wanted)
{
    uint32_t given;
    struct nvme_command c = {.opcode = NVME_ADMIN_SET_FEATURES,
                             .dw10 = FEAT_QUEUES,
                             .dw11 = (wanted - 1) << 16 | (wanted - 1)};
    int err = nvme_admin(nvme, &c, &given);
    if (err)
        return err;
    unsigned least = MIN(given & 0xffff, given >> 16);
    return (int)MIN(wanted, least + 1);
}

/* Tells the controller of a pair of queues. */
static int queue_create(struct nvme *nvme, struct nvme_queue *nq)
{
    nvme_ring_reset(nvme, &nq->ring, nq->id);
    uint32_t size = (nq->ring.entries - 1) << 16 | nq->id;
    struct nvme_command cq = {.opcode = NVME_ADMIN_CREATE_CQ,
                              .prp1 = virt_to_phys(nq->ring.cq),
                              .dw10 = size,
                              .dw11 = (uint32_t)nq->vector << 16 | QUEUE_IRQ | QUEUE_PLAIN};
    struct nvme_command sq = {.opcode = NVME_ADMIN_CREATE_SQ,
                              .prp1 = virt_to_phys(nq->ring.sq),
                              .dw10 = size,
                              .dw11 = (uint32_t)nq->id << 16 | QUEUE_PLAIN};
    int err = nvme_admin(nvme, &cq, NULL);
    return err ? err : nvme_admin(nvme, &sq, NULL);
}

static void queue_irq(void *arg)
{
    nvme_queue_reap(arg);
}

static void shared_irq(void *arg)
{
    struct nvme *nvme = arg;
    if (nvme->tells_changes && nvme_ring_any(&nvme->admin))
        ioq_host_wake(&nvme->host); /* an event; or of a command, for whose sender it is */
    for (unsigned i = 0; i < nvme->queue_count; i++)
        nvme_queue_reap(nvme->queue[i]);
}

/* A vector for each queue while they last, else the one that all share; without MSI-X one. */
static int interrupts_setup(struct nvme *nvme)
{
    if (!nvme->pci.msix_count)
        return pci_irq_route(&nvme->pci, shared_irq, nvme, nvme->name);
    int err = pci_msix_route(&nvme->pci, 0, shared_irq, nvme, nvme->name);
    for (unsigned i = 0; i < nvme->queue_count && !err; i++)
        if (!pci_msix_route(&nvme->pci, i + 1, queue_irq, nvme->queue[i], nvme->name))
            nvme->queue[i]->vector = (uint16_t)(i + 1);
    return err;
}

/* Asks for the next event. */
static void event_post(struct nvme *nvme)
{
    struct nvme_command c = {.opcode = NVME_ADMIN_ASYNC_EVENT, .id = EVENT_ID};
    nvme->event = false;
    nvme_ring_post(&nvme->admin, &c);
    nvme_ring_kick(&nvme->admin);
}

/* After each reset. A controller that does not want to tell is left alone. */
static void events_begin(struct nvme *nvme)
{
    struct nvme_command c = {
        .opcode = NVME_ADMIN_SET_FEATURES, .dw10 = FEAT_EVENTS, .dw11 = EVENT_CHANGED};
    if (nvme->tells_changes && nvme_admin(nvme, &c, NULL))
        nvme->tells_changes = false;
    if (nvme->tells_changes)
        event_post(nvme);
}

static int queues_create(struct nvme *nvme)
{
    int err = 0;
    for (unsigned i = 0; i < nvme->queue_count && !err; i++)
        err = queue_create(nvme, nvme->queue[i]);
    if (!err)
        events_begin(nvme);
    return err;
}

/* Registers and limits; -ENOTSUP: a controller that we cannot use. */
static int controller_map(struct nvme *nvme, unsigned *queues)
{
    int err = pci_map(&nvme->pci, 0, 0, REGS_BYTES, &nvme->regs);
    if (err)
        return err;
    uint32_t low = mmio_read32(nvme->regs + REG_CAP), high = mmio_read32(nvme->regs + REG_CAP + 4);
    nvme->entries = MIN((low & 0xffff) + 1, (uint32_t)NVME_ENTRIES);
    nvme->reset_ms = MAX(low >> 24, 1u) * RESET_UNIT;
    nvme->bell_stride = 4u << (high & 15);
    if (low == REGS_GONE || high >> 16 & 15 || !(high >> 5 & 1) || nvme->entries < 2) {
        log_error("%s: not used: its capabilities are %#x %#x", nvme->name, high, low);
        return -ENOTSUP; /* pages of 4 KiB and the NVM command set are what we know */
    }
    *queues = MIN(cpu_present(), NVME_QUEUES_MAX);
    volatile char *bells;
    for (;; *queues = 1) {
        err = pci_map(&nvme->pci, 0, 0, REGS_BYTES + 2 * (*queues + 1) * nvme->bell_stride, &bells);
        if (!err)
            nvme->regs = bells;
        if (!err || *queues == 1)
            return err;
    }
}

static int queues_alloc(struct nvme *nvme, unsigned wanted)
{
    int count = queues_ask(nvme, wanted);
    if (count < 0)
        return count;
    if (pci_msix_enable(&nvme->pci) || nvme->pci.msix_count < 2)
        count = 1;
    count = MIN(count, MAX((int)nvme->pci.msix_count - 1, 1));
    for (int i = 0; i < count; i++) {
        int err = nvme_queue_alloc(nvme, (unsigned)i + 1);
        if (err)
            return err;
        nvme->queue_count++;
    }
    return 0;
}

static void controller_attend(struct ioq_host *h);

/* Everything up to the disks. What it leaves when it fails is for controller_discard(). */
static int controller_start(struct nvme *nvme)
{
    unsigned queues;
    int err = controller_map(nvme, &queues);
    if (!err)
        err = nvme_ring_alloc(&nvme->admin, ADMIN_ENTRIES);
    if (!err)
        err = controller_reset(nvme);
    if (!err)
        err = controller_identify(nvme);
    if (!err)
        err = queues_alloc(nvme, queues);
    return err;
}

static void controller_discard(struct nvme *nvme)
{
    if (nvme->regs)
        controller_disable(nvme);
    pci_stop(&nvme->pci);
    for (unsigned i = 0; i < nvme->queue_count; i++)
        nvme_queue_free(nvme->queue[i]);
    nvme_ring_free(&nvme->admin);
    kfree(nvme);
}

/* It is not used any more: what is under way and what comes fails. */
static void controller_die(struct nvme *nvme, int err)
{
    log_error("%s: does not work any more: error %d", nvme->name, -err);
    nvme->dead = true;
    pci_stop(&nvme->pci); /* it shall not write to memory that is somebody else's then */
    for (unsigned i = 0; i < nvme->queue_count; i++)
        ioq_kill(&nvme->queue[i]->q);
    LIST_FOR_EACH(l, &nvme->disks)
    {
        struct nvme_disk *disk = LIST_ENTRY(l, struct nvme_disk, link);
        if (disk->registered)
            blkdev_unregister(&disk->dev);
    }
}

static int controller_restart(struct nvme *nvme)
{
    int err = controller_reset(nvme);
    if (err)
        return err;
    for (unsigned i = 0; i < nvme->queue_count; i++)
        ioq_retry(&nvme->queue[i]->q);
    int count = queues_ask(nvme, nvme->queue_count);
    if (count != (int)nvme->queue_count)
        return count < 0 ? count : -EIO;
    return queues_create(nvme);
}

static void settle_thread(void *arg)
{
    nvme_disks_settle(arg);
    thread_exit();
}

/* Namespaces came, went or have another size. What is to be read of them is another thread's. */
static void namespaces_changed(struct nvme *nvme)
{
    struct page *p = page_alloc(0);
    struct thread *t;
    int err = p ? 0 : -ENOMEM;
    if (p) { /* reading the list of what has changed is what arms the event again (§5.2) */
        struct nvme_command c = {.opcode = NVME_ADMIN_LOG_PAGE,
                                 .nsid = NVME_NSID_ALL,
                                 .prp1 = page_paddr(p),
                                 .dw10 = (PAGE_SIZE / 4 - 1) << 16 | LOG_CHANGED};
        nvme_admin(nvme, &c, NULL);
        page_put(p);
    }
    event_post(nvme);
    if (!err)
        err = nvme_disks_find(nvme);
    if (!err)
        err = thread_create(&t, "nvme-scan", settle_thread, nvme);
    if (!err)
        thread_start(t);
    else
        log_error("%s: namespaces have changed: error %d", nvme->name, -err);
}

/* What was told since the last look. */
static void events_take(struct nvme *nvme)
{
    struct admin_wait w = {.nvme = nvme};
    if (!nvme->tells_changes)
        return;
    admin_done(&w);
    if (nvme->event)
        namespaces_changed(nvme);
}

/* By the host's thread: a command takes too long, or the controller says that it has given up. */
static void controller_attend(struct ioq_host *h)
{
    struct nvme *nvme = CONTAINER_OF(h, struct nvme, host);
    bool stuck = false;
    mutex_lock(&nvme->admin_lock);
    for (unsigned i = 0; i < nvme->queue_count && !nvme->dead; i++) {
        nvme_queue_reap(nvme->queue[i]); /* an interrupt may be lost */
        stuck |= ioq_stuck(&nvme->queue[i]->q);
    }
    if (stuck) {
        log_warn("%s: a command does not end; status %#x; reset", nvme->name, status_read(nvme));
        for (unsigned i = 0; i < nvme->queue_count; i++)
            ioq_stop(&nvme->queue[i]->q);
        int err = controller_restart(nvme);
        if (err)
            controller_die(nvme, err);
        for (unsigned i = 0; i < nvme->queue_count && !err; i++)
            ioq_resume(&nvme->queue[i]->q);
    }
    if (!nvme->dead)
        events_take(nvme);
    mutex_unlock(&nvme->admin_lock);
}

void nvme_probe(const struct pci_device *pci)
{
    struct nvme *nvme = kzalloc(sizeof *nvme);
    if (!nvme)
        return;
    nvme->pci = *pci;
    nvme->host.attend = controller_attend;
    nvme->host.fatal = controller_fatal;
    mutex_init(&nvme->admin_lock);
    list_init(&nvme->disks);
    snprintf(nvme->name, sizeof nvme->name, "nvme%u", controllers++);
    ioq_host_init(&nvme->host);
    pci_enable(pci);
    int err = controller_start(nvme);
    if (err) {
        log_error("%s: does not start: error %d", nvme->name, -err);
        controller_discard(nvme);
        return;
    }
    mutex_lock(&nvme->admin_lock);
    err = interrupts_setup(nvme); /* which keep `nvme` for good */
    if (!err)
        err = ioq_host_start(&nvme->host, "nvme");
    if (!err)
        err = queues_create(nvme);
    if (!err)
        err = nvme_disks_find(nvme);
    if (err)
        controller_die(nvme, err);
    mutex_unlock(&nvme->admin_lock);
    if (!err)
        nvme_disks_settle(nvme);
}
