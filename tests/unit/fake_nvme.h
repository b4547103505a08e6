/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An NVMe controller with namespaces in memory, for driver tests. Registers are plain
 * memory, so it looks at them when it runs: fake_nvme_run().
 */
#pragma once

#include "dev/nvme/nvme.h"

#define FAKE_NVME_BYTES (4u << 20)
#define FAKE_NVME_RINGS 8

/* What the controller says of itself, and does. */
struct fake_nvme {
    uint32_t cap_low, cap_high;
    uint8_t mdts, flbas, lbads, onocs, vwc, attributes;
    uint16_t metadata;
    uint64_t blocks;
    uint32_t ids[4];
    bool no_list;    /* an old controller: no list of active namespaces */
    unsigned queues; /* pairs it gives */
    bool dumb;       /* it does not answer at all */
    bool never_ready;
    bool silent;     /* takes commands of bios and does not complete them */
    unsigned forget; /* that many of them are lost */
    uint16_t answer; /* status of commands of bios */
    bool fail_admin;
    bool tells;     /* of changed namespaces */
    unsigned asked; /* times the driver asked for an event, after the latest one */
    unsigned commands, flushes, durable, resets, most_pages; /* so far */
    unsigned served[FAKE_NVME_RINGS];
};

struct fake_nvme_ring {
    struct nvme_command *sq;
    struct nvme_completion *cq;
    unsigned entries, head, tail, phase, vector, cq_entries;
};

extern struct fake_nvme fake_nvme;
extern struct fake_nvme_ring fake_nvme_ring[FAKE_NVME_RINGS];
extern char fake_nvme_regs[0x1000 + 2 * FAKE_NVME_RINGS * 4];
extern uint8_t fake_nvme_disk[FAKE_NVME_BYTES];

uint32_t *fake_nvme_reg(unsigned offset);
/* Puts a completion on ring `n`; its interrupt is the caller's. */
void fake_nvme_complete(unsigned n, uint16_t id, uint16_t status, uint32_t result);
/* Serves ring `n` up to its doorbell; true if it did something. */
bool fake_nvme_serve(unsigned n);
/* The controller runs for a while, as far as the driver has told it to. */
void fake_nvme_run(void);
