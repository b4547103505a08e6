/* SPDX-License-Identifier: Apache-2.0 */
/* The controller's side of NVMe: see the header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "fake_nvme.h"

#include "arch/x86_64/layout.h"
#include "fake_pci.h"

extern uint64_t fake_clock;

struct fake_nvme fake_nvme;
struct fake_nvme_ring fake_nvme_ring[FAKE_NVME_RINGS];
char fake_nvme_regs[0x1000 + 2 * FAKE_NVME_RINGS * 4];
uint8_t fake_nvme_disk[FAKE_NVME_BYTES];

uint32_t *fake_nvme_reg(unsigned offset)
{
    return (uint32_t *)(fake_nvme_regs + offset);
}

static uint64_t reg64(unsigned offset)
{
    return *fake_nvme_reg(offset) | (uint64_t)*fake_nvme_reg(offset + 4) << 32;
}

void fake_nvme_complete(unsigned n, uint16_t id, uint16_t status, uint32_t result)
{
    struct fake_nvme_ring *r = &fake_nvme_ring[n];
    struct nvme_completion *c = &r->cq[r->tail];
    *c = (struct nvme_completion){.result = result, .sq_id = (uint16_t)n, .id = id};
    c->status = (uint16_t)(status << 1 | r->phase);
    if (++r->tail == r->cq_entries) {
        r->tail = 0;
        r->phase ^= 1;
    }
}

/* Copies between the disk and the pages of a command. */
static void transfer(const struct nvme_command *c, uint64_t at, uint32_t bytes)
{
    uint64_t page = c->prp1, *list = NULL;
    unsigned pages = 0;
    assert_true(at + bytes <= FAKE_NVME_BYTES);
    while (bytes) {
        uint32_t n = 4096 - (page & 4095);
        n = n < bytes ? n : bytes;
        assert_true(!pages || !(page & 4095));
        if (c->opcode == 1)
            memcpy(fake_nvme_disk + at, phys_to_virt(page), n);
        else
            memcpy(phys_to_virt(page), fake_nvme_disk + at, n);
        at += n;
        bytes -= n;
        pages++;
        if (pages == 1 && bytes > 4096)
            list = phys_to_virt(c->prp2);
        page = list ? *list++ : c->prp2;
    }
    fake_nvme.most_pages = pages > fake_nvme.most_pages ? pages : fake_nvme.most_pages;
}

static void range(const struct nvme_command *c)
{
    uint64_t first = c->dw10 | (uint64_t)c->dw11 << 32, blocks = (c->dw12 & 0xffff) + 1;
    if (c->opcode == 9) {
        const uint32_t *r = phys_to_virt(c->prp1);
        assert_int_equal(c->dw10, 0); /* one range */
        assert_int_equal(c->dw11, 4);
        blocks = r[1];
        memcpy(&first, r + 2, 8);
    }
    assert_true((first + blocks) << fake_nvme.lbads <= FAKE_NVME_BYTES);
    memset(fake_nvme_disk + (first << fake_nvme.lbads), c->opcode == 9 ? 0xdd : 0,
           blocks << fake_nvme.lbads);
}

static void serve_io(unsigned n, const struct nvme_command *c)
{
    fake_nvme.commands++;
    fake_nvme.served[n]++;
    if (fake_nvme.silent)
        return;
    if (fake_nvme.forget) {
        fake_nvme.forget--;
        return;
    }
    if (!fake_nvme.answer && (c->opcode == 1 || c->opcode == 2)) {
        uint64_t first = c->dw10 | (uint64_t)c->dw11 << 32;
        transfer(c, first << fake_nvme.lbads, ((c->dw12 & 0xffff) + 1) << fake_nvme.lbads);
    } else if (!fake_nvme.answer && c->opcode >= 8) {
        range(c);
    }
    fake_nvme.flushes += c->opcode == 0;
    fake_nvme.durable += c->opcode == 1 && c->dw12 >> 30 & 1;
    fake_nvme_complete(n, c->id, fake_nvme.answer, 0);
}

static void identify(const struct nvme_command *c)
{
    uint8_t *page = phys_to_virt(c->prp1);
    if (c->dw10 == 2) {
        memcpy(page, fake_nvme.ids, sizeof fake_nvme.ids);
    } else if (c->dw10 == 1) {
        uint32_t count = 3;
        page[77] = fake_nvme.mdts;
        page[93] = fake_nvme.tells;
        memcpy(page + 516, &count, 4);
        page[520] = fake_nvme.onocs;
        page[525] = fake_nvme.vwc;
    } else if (c->nsid != 2 || !fake_nvme.no_list) {
        memcpy(page, &fake_nvme.blocks, 8);
        page[26] = fake_nvme.flbas;
        page[99] = fake_nvme.attributes;
        uint32_t format = (uint32_t)fake_nvme.lbads << 16 | fake_nvme.metadata;
        memcpy(page + 128 + 4 * (fake_nvme.flbas & 15), &format, 4);
    }
}

static void serve_admin(const struct nvme_command *c)
{
    unsigned id = c->dw10 & 0xffff;
    uint32_t result = 0;
    uint16_t status = fake_nvme.fail_admin ? 0x4006 : 0;
    switch (c->opcode) {
    case NVME_ADMIN_IDENTIFY:
        if (c->dw10 == 2 && fake_nvme.no_list)
            status = 0x4002;
        else
            identify(c);
        break;
    case NVME_ADMIN_SET_FEATURES:
        if (c->dw10 == 11) {
            assert_int_equal(c->dw11, 256);
            break;
        }
        assert_int_equal(c->dw10, 7);
        result = (fake_nvme.queues - 1) << 16 | (fake_nvme.queues - 1);
        break;
    case NVME_ADMIN_LOG_PAGE:
        assert_int_equal(c->dw10, 1023 << 16 | 4);
        memset(phys_to_virt(c->prp1), 0, 4096);
        break;
    case NVME_ADMIN_ASYNC_EVENT:
        assert_int_equal(c->id, 0xffff);
        fake_nvme.asked++;
        return; /* it is completed when something happens */
    case NVME_ADMIN_CREATE_CQ:
        assert_true(id && id < FAKE_NVME_RINGS && id <= fake_nvme.queues);
        fake_nvme_ring[id] = (struct fake_nvme_ring){.cq = phys_to_virt(c->prp1),
                                                     .cq_entries = (c->dw10 >> 16) + 1,
                                                     .phase = 1,
                                                     .vector = c->dw11 >> 16};
        assert_true(fake_nvme_ring[id].vector < (fake_msix_count ? fake_msix_count : 1));
        break;
    case NVME_ADMIN_CREATE_SQ:
        assert_int_equal(c->dw11, id << 16 | 1);
        fake_nvme_ring[id].sq = phys_to_virt(c->prp1);
        fake_nvme_ring[id].entries = (c->dw10 >> 16) + 1;
        break;
    default:
        status = 0x4001;
    }
    fake_nvme_complete(0, c->id, status, result);
}

/* Serves ring `n` up to its doorbell; true if it did something. */
bool fake_nvme_serve(unsigned n)
{
    struct fake_nvme_ring *r = &fake_nvme_ring[n];
    unsigned bell = *fake_nvme_reg(0x1000 + 2 * n * 4);
    bool any = false;
    while (r->sq && r->head != bell) {
        assert_true(bell < r->entries);
        struct nvme_command c = r->sq[r->head];
        r->head = (r->head + 1) % r->entries;
        if (n)
            serve_io(n, &c);
        else
            serve_admin(&c);
        any = true;
    }
    return any;
}

static void controller_enable(void)
{
    fake_nvme.resets++;
    memset(fake_nvme_ring, 0, sizeof fake_nvme_ring);
    memset(fake_nvme_regs + 0x1000, 0, sizeof fake_nvme_regs - 0x1000);
    fake_nvme_ring[0] = (struct fake_nvme_ring){.sq = phys_to_virt(reg64(0x28)),
                                                .cq = phys_to_virt(reg64(0x30)),
                                                .entries = (*fake_nvme_reg(0x24) & 0xffff) + 1,
                                                .cq_entries = (*fake_nvme_reg(0x24) >> 16) + 1,
                                                .phase = 1};
    *fake_nvme_reg(0x1c) = 1;
}

/* The controller runs, while somebody waits. */
void fake_nvme_run(void)
{
    fake_clock += 10000000;
    if (fake_nvme.dumb)
        return;
    bool enabled = *fake_nvme_reg(0x14) & 1, ready = *fake_nvme_reg(0x1c) & 1;
    if (!enabled)
        *fake_nvme_reg(0x1c) = 0;
    else if (!ready && !fake_nvme.never_ready)
        controller_enable();
    if (!(*fake_nvme_reg(0x1c) & 1))
        return;
    fake_nvme_serve(0);
    for (unsigned n = 1; n < FAKE_NVME_RINGS; n++)
        while (fake_nvme_serve(n))
            fake_interrupt(fake_nvme_ring[n].vector);
}
