/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVMe controllers on PCI (NVMe base specification 1.4). nvme.c starts, resets and asks a
 * controller; nvme_queue.c is a pair of rings and the commands of bios; nvme_disk.c makes block
 * devices of namespaces. Main struct: nvme.
 *
 * Locks: ioq.lock of a queue for its rings; nvme.admin_lock, a mutex, for the admin
 * rings, resets and the list of disks. The mutex comes first.
 */
#pragma once

#include "dev/ioq.h"
#include "dev/pci.h"
#include "sched/mutex.h"

#define NVME_QUEUES_MAX   16
#define NVME_ENTRIES      64           /* of a ring: commands are 64 bytes, so one page */
#define NVME_TRANSFER     (512u << 10) /* bytes a command carries at most */
#define NVME_LIST         128          /* pages behind a command's first one */
#define NVME_NSID_ALL     UINT32_MAX
#define NVME_RANGE_BLOCKS (1u << 24) /* a deallocation has at most */
#define NVME_ZERO_BLOCKS  (1u << 16) /* the length of Write Zeroes has 16 bits */

enum nvme_admin_op {
    NVME_ADMIN_CREATE_SQ = 1,
    NVME_ADMIN_LOG_PAGE = 2,
    NVME_ADMIN_CREATE_CQ = 5,
    NVME_ADMIN_IDENTIFY = 6,
    NVME_ADMIN_SET_FEATURES = 9,
    NVME_ADMIN_ASYNC_EVENT = 12,
};

/* A submission queue entry (§4.2). */
struct nvme_command {
    uint8_t opcode, flags;
    uint16_t id;
    uint32_t nsid, dw2, dw3;
    uint64_t metadata, prp1, prp2;
    uint32_t dw10, dw11, dw12, dw13, dw14, dw15;
};

/* A completion queue entry (§4.6). */
struct nvme_completion {
    uint32_t result, reserved;
    uint16_t sq_head, sq_id;
    uint16_t id, status; /* with the phase in bit 0 */
};

/* A submission queue and its completion queue, a page each. */
struct nvme_ring {
    struct nvme_command *sq;
    struct nvme_completion *cq;
    volatile char *sq_bell, *cq_bell;
    unsigned entries; /* of both */
    unsigned tail, head;
    unsigned rung;  /* the tail as the controller knows it */
    uint16_t phase; /* of completions that are new */
};

struct nvme_queue {
    struct ioq q;
    struct nvme *nvme;
    struct nvme_ring ring;
    uint64_t *lists; /* NVME_LIST entries for each command */
    uint16_t id;     /* from 1 */
    uint16_t vector; /* of MSI-X; 0: the one that all share */
    bool complained; /* about a completion of nothing */
};

struct nvme {
    struct ioq_host host;
    struct pci_device pci;
    char name[16]; /* nvme0 */
    volatile char *regs;
    uint32_t reset_ms; /* that a reset may take */
    uint32_t bell_stride;
    unsigned entries; /* of the queues, as the controller allows */
    struct mutex admin_lock;
    struct nvme_ring admin;
    uint16_t admin_id; /* of the latest admin command */
    unsigned queue_count;
    struct nvme_queue *queue[NVME_QUEUES_MAX];
    uint32_t transfer_max;
    bool cache; /* volatile: has to be flushed */
    bool deallocates, zeroes;
    bool tells_changes; /* of namespaces, by events */
    bool event;         /* one came */
    bool dead;
    unsigned disk_count;
    uint32_t ns_count; /* ids it may have */
    struct list disks;
};

/* A controller that the scan of PCI found. Sleeps. */
void nvme_probe(const struct pci_device *pci);
/*
 * Runs one command of the admin queue and waits; *result (may be NULL) is its first
 * double word. 0, or nvme_status_error()'s, -ETIMEDOUT. Under admin_lock.
 */
int nvme_admin(struct nvme *nvme, struct nvme_command *c, uint32_t *result);
/* What a completion's status means: 0, -EAGAIN (to be tried again) or another -errno. */
int nvme_status_error(uint16_t status);

/* Pages for both rings. -ENOMEM; nvme_ring_free() in any case. */
int nvme_ring_alloc(struct nvme_ring *r, unsigned entries);
void nvme_ring_free(struct nvme_ring *r);
/* Empty, as after a reset; its doorbells are those of queue `id`. */
void nvme_ring_reset(struct nvme *nvme, struct nvme_ring *r, unsigned id);
void nvme_ring_post(struct nvme_ring *r, const struct nvme_command *c);
/* Tells the controller of what was posted. */
void nvme_ring_kick(struct nvme_ring *r);
/* The next completion, if there is one; nvme_ring_taken() tells the controller of it. */
bool nvme_ring_next(struct nvme_ring *r, struct nvme_completion *out);
void nvme_ring_taken(struct nvme_ring *r);
/* Whether there is one; a hint only without the ring's lock. */
bool nvme_ring_any(const struct nvme_ring *r);

/* Queue `id` (from 1) in memory; not known to the controller yet. -ENOMEM. */
int nvme_queue_alloc(struct nvme *nvme, unsigned id);
void nvme_queue_free(struct nvme_queue *nq);
/* Takes what the controller has done. Any context. */
void nvme_queue_reap(struct nvme_queue *nq);

/* Looks which namespaces are active and how large they are. Under admin_lock. Sleeps. */
int nvme_disks_find(struct nvme *nvme);
/*
 * Registers the block devices of those that came and unregisters the others. Without
 * the lock, and not by the host's thread: it reads, so a reset may have to help. Sleeps.
 */
void nvme_disks_settle(struct nvme *nvme);
