/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intel's gigabit cards under a struct netdev: one queue each way, checksum offload and
 * segmentation of TCP over IPv4, frames of at most 1500 bytes. Main struct: e1000. No lock:
 * netdev.h says who serialises; the interrupt handler masks the card and wakes the stack, which
 * unmasks it by listen(). References are to the manuals named in e1000_regs.h.
 */
#include "dev/e1000.h"

#include <linux/errno.h>
#include <linux/if_ether.h>

#include "arch/x86_64/io.h"
#include "arch/x86_64/layout.h"
#include "core/log.h"
#include "dev/e1000_regs.h"
#include "dev/netdev.h"
#include "dev/pci.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "mem/page.h"

#define VENDOR_INTEL   0x8086
#define DEVICE_82540EM 0x100e
#define DEVICE_82545EM 0x100f
#define DEVICE_82574L  0x10d3

#define RING         256 /* descriptors of a ring: one page */
#define RX_BYTES     2048
#define HEADER_MAX   128    /* bytes of headers that a segmented frame can have */
#define MEMORY_SHARE 64     /* at most this part of all memory waits in the receive ring */
#define RESET_POLLS  100000 /* it takes some microseconds */

/* A frame in flight, kept at the index of its first descriptor. */
struct tx_frame {
    void *token;
    uint16_t last;              /* its last descriptor */
    uint8_t header[HEADER_MAX]; /* with the lengths taken out, where the card segments */
};

struct e1000 {
    struct netdev dev;
    struct pci_device pci;
    volatile char *registers;
    volatile struct e1000_rx *rx;
    struct net_buffer *buffer[RING]; /* of the descriptors from rx_first on */
    unsigned rx_first, rx_count, rx_target;
    volatile struct e1000_tx *tx;
    struct tx_frame *frame;
    unsigned tx_first, tx_next;   /* in flight: from the first up to the next */
    struct e1000_context context; /* the card's, for checksums; start 0: none */
    uint32_t causes;              /* that the card shall interrupt for */
    bool starved;                 /* a frame waits for room */
};

static uint32_t reg_read(const struct e1000 *e, unsigned offset)
{
    return mmio_read32(e->registers + offset);
}

static void reg_write(struct e1000 *e, unsigned offset, uint32_t v)
{
    mmio_write32(e->registers + offset, v);
}

static struct e1000 *e1000_of(struct netdev *d)
{
    return CONTAINER_OF(d, struct e1000, dev);
}

/* All is masked before the causes are read: then reading clears them on every card. */
static void e1000_irq(void *arg)
{
    struct e1000 *e = arg;
    reg_write(e, E1000_IMC, ~0u);
    uint32_t why = reg_read(e, E1000_ICR);
    if (!why) { /* another device's, on a shared line */
        reg_write(e, E1000_IMS, e->causes);
        return;
    }
    if (why & CAUSE_LSC)
        e->dev.link = reg_read(e, E1000_STATUS) & STATUS_LU;
    e->dev.wake(&e->dev);
}

static void *buffer_start(struct net_buffer *b)
{
    return (void *)ALIGN_DOWN((uintptr_t)b, PAGE_SIZE);
}

static void e1000_release(struct netdev *d, struct net_buffer *b)
{
    (void)d;
    page_put(page_of_address(buffer_start(b)));
}

/* The tail is the first descriptor that the card must leave alone. */
static void refill(struct e1000 *e)
{
    unsigned before = e->rx_count;
    for (; e->rx_count < e->rx_target; e->rx_count++) {
        unsigned at = (e->rx_first + e->rx_count) % RING;
        struct page *p = page_alloc(0);
        if (!p)
            break;
        char *start = page_address(p);
        struct net_buffer *b = (struct net_buffer *)(start + PAGE_SIZE - sizeof *b);
        b->dev = &e->dev;
        e->buffer[at] = b;
        e->rx[at].address = virt_to_phys(start);
        e->rx[at].status = 0;
    }
    if (e->rx_count != before)
        reg_write(e, E1000_RDT, (e->rx_first + e->rx_count) % RING);
}

static bool frame_arrived(const struct e1000 *e)
{
    return e->rx_count && e->rx[e->rx_first].status & RX_DD;
}

/* The oldest frame in flight is out. */
static bool frame_sent(const struct e1000 *e)
{
    return e->tx_first != e->tx_next && e->tx[e->frame[e->tx_first].last].status & TX_DD;
}

static bool e1000_listen(struct netdev *d)
{
    struct e1000 *e = e1000_of(d);
    refill(e);
    reg_write(e, E1000_IMS, e->causes);
    return frame_arrived(e) || (e->starved && frame_sent(e));
}

static struct net_buffer *e1000_receive(struct netdev *d)
{
    struct e1000 *e = e1000_of(d);
    while (frame_arrived(e)) {
        volatile struct e1000_rx *r = &e->rx[e->rx_first];
        struct net_buffer *b = e->buffer[e->rx_first];
        uint8_t status = r->status, errors = r->errors;
        b->len = r->length;
        b->data = buffer_start(b);
        b->next = NULL;
        b->checked = !(status & RX_IXSM) && status & (RX_TCPCS | RX_UDPCS) && !(errors & RX_TCPE);
        e->rx_first = (e->rx_first + 1) % RING;
        e->rx_count--;
        if (status & RX_EOP && !(errors & RX_SPOIL) && b->len >= ETH_HLEN && b->len <= RX_BYTES) {
            d->received++;
            d->received_bytes += b->len;
            return b;
        }
        e1000_release(d, b);
        d->dropped++;
    }
    return NULL;
}

static void descriptor_add(struct e1000 *e, uint64_t address, uint32_t command, uint32_t status)
{
    volatile struct e1000_tx *t = &e->tx[e->tx_next];
    t->address = address;
    t->command = command | TX_DEXT;
    t->status = status;
    e->tx_next = (e->tx_next + 1) % RING;
}

/* What the card has to know before the frame, unless it knows. Returns the frame's options. */
static uint32_t context_add(struct e1000 *e, const struct net_offload *o, uint32_t payload)
{
    struct e1000_context c = {
        .start = (uint8_t)o->checksum_start,
        .field = (uint8_t)(o->checksum_start + o->checksum_offset),
    };
    uint64_t words;
    if (!o->checksum_start)
        return 0;
    if (o->segmentation == NET_WHOLE) { /* the IP header has its sum already */
        if (memcmp(&c, &e->context, sizeof c) != 0) {
            memcpy(&words, &c, sizeof words);
            descriptor_add(e, words, TX_TCP, 0);
        }
        e->context = c;
        return TX_TXSM;
    }
    c.ip_start = ETH_HLEN;
    c.ip_field = ETH_HLEN + 10;
    c.ip_last = (uint16_t)(o->checksum_start - 1);
    memcpy(&words, &c, sizeof words);
    descriptor_add(e, words, TX_TCP | TX_IP4 | TX_TSE | payload,
                   (uint32_t)o->header << 8 | (uint32_t)o->segment << 16);
    e->context.start = 0;
    return TX_TXSM | TX_IXSM;
}

/*
 * The headers of a frame that the card cuts, as it wants them (8254x manual §3.5.7): no length and
 * no sum in the IP header, and TCP's pseudo header summed without a length. Takes them off the
 * pieces. False: they are too long, or there are fewer bytes.
 */
static bool header_take(uint8_t *header, struct net_piece *piece, unsigned count,
                        const struct net_offload *o, uint32_t bytes)
{
    unsigned have = 0;
    if (o->header > HEADER_MAX)
        return false;
    for (unsigned i = 0; i < count && have < o->header; i++) {
        uint32_t n = MIN(piece[i].len, (uint32_t)o->header - have);
        memcpy(header + have, piece[i].data, n);
        have += n;
        piece[i].data = (const char *)piece[i].data + n;
        piece[i].len -= n;
    }
    if (have < o->header)
        return false;
    uint8_t *field = header + o->checksum_start + o->checksum_offset;
    uint32_t sum = (uint32_t)field[0] << 8 | field[1];
    uint32_t length = bytes - o->checksum_start;
    while (length >> 16)
        length = (length & 0xffff) + (length >> 16);
    sum += ~length & 0xffff;
    sum = (sum & 0xffff) + (sum >> 16);
    field[0] = (uint8_t)(sum >> 8);
    field[1] = (uint8_t)sum;
    memset(header + ETH_HLEN + 2, 0, 2);
    memset(header + ETH_HLEN + 10, 0, 2);
    return true;
}

/* Free descriptors; one always stays, as a full ring would look like an empty one. */
static unsigned tx_room(const struct e1000 *e)
{
    return (e->tx_first + RING - e->tx_next - 1) % RING;
}

static int room_await(struct e1000 *e)
{
    e->starved = true;
    e->causes |= e->pci.msix_count ? CAUSE_TXQ0 : CAUSE_TXDW;
    if (frame_sent(e))
        e->dev.wake(&e->dev);
    else
        reg_write(e, E1000_IMS, e->causes);
    return -EAGAIN;
}

static int e1000_send(struct netdev *d, const struct net_piece *given, unsigned count,
                      const struct net_offload *o, void *token)
{
    struct e1000 *e = e1000_of(d);
    struct net_piece piece[NET_PIECES];
    struct tx_frame *f = &e->frame[e->tx_next];
    bool cut = o->segmentation != NET_WHOLE;
    uint32_t bytes = 0, command = TX_TYPE_DATA | TX_IFCS | (cut ? TX_TSE : 0);
    if (count > NET_PIECES)
        return -EMSGSIZE;
    if (tx_room(e) < count + 2) /* a context and the copied headers */
        return room_await(e);
    for (unsigned i = 0; i < count; i++) {
        piece[i] = given[i];
        bytes += piece[i].len;
    }
    if (cut && !header_take(f->header, piece, count, o, bytes))
        return -EMSGSIZE;
    uint32_t options = context_add(e, o, bytes - o->header);
    if (cut)
        descriptor_add(e, virt_to_phys(f->header), command | o->header, options);
    for (unsigned i = 0; i < count; i++)
        if (piece[i].len)
            descriptor_add(e, virt_to_phys(piece[i].data), command | piece[i].len, options);
    f->last = (uint16_t)((e->tx_next + RING - 1) % RING);
    e->tx[f->last].command |= TX_EOP | TX_RS;
    f->token = token;
    d->sent++;
    d->sent_bytes += bytes;
    return 0;
}

static void e1000_flush(struct netdev *d)
{
    struct e1000 *e = e1000_of(d);
    reg_write(e, E1000_TDT, e->tx_next);
}

static void *e1000_sent(struct netdev *d)
{
    struct e1000 *e = e1000_of(d);
    if (!frame_sent(e))
        return NULL;
    struct tx_frame *f = &e->frame[e->tx_first];
    e->tx_first = (f->last + 1u) % RING;
    if (e->starved) {
        e->starved = false;
        e->causes &= ~(CAUSE_TXQ0 | CAUSE_TXDW);
    }
    return f->token;
}

static void e1000_announced(struct netdev *d)
{
    d->announce = false;
}

static const struct netdev_ops e1000_ops = {
    .send = e1000_send,
    .flush = e1000_flush,
    .sent = e1000_sent,
    .receive = e1000_receive,
    .release = e1000_release,
    .listen = e1000_listen,
    .announced = e1000_announced,
};

static int card_reset(struct e1000 *e)
{
    unsigned polls = 0;
    reg_write(e, E1000_IMC, ~0u);
    reg_write(e, E1000_CTRL, reg_read(e, E1000_CTRL) | CTRL_RST);
    while (reg_read(e, E1000_CTRL) & CTRL_RST)
        if (++polls > RESET_POLLS)
            return -EIO;
    reg_write(e, E1000_IMC, ~0u);
    (void)reg_read(e, E1000_ICR);
    return 0;
}

/* The station's address, as the card has read it from its EEPROM. */
static int mac_read(struct e1000 *e)
{
    uint32_t low = reg_read(e, E1000_RAL), high = reg_read(e, E1000_RAH);
    if (!(high & RAH_AV) || low & 1 || !(low | (high & 0xffff)))
        return -EIO;
    memcpy(e->dev.mac, &low, 4);
    memcpy(e->dev.mac + 4, &high, 2);
    return 0;
}

static int rings_create(struct e1000 *e)
{
    struct page *rx = page_alloc_zero(0), *tx = page_alloc_zero(0);
    e->frame = kzalloc(RING * sizeof *e->frame);
    if (!rx || !tx || !e->frame) {
        if (rx)
            page_put(rx);
        if (tx)
            page_put(tx);
        kfree(e->frame);
        return -ENOMEM;
    }
    e->rx = page_address(rx);
    e->tx = page_address(tx);
    e->rx_target =
        (unsigned)MAX(MIN((size_t)RING - 1, page_count_total() / MEMORY_SHARE), (size_t)16);
    return 0;
}

static void ring_tell(struct e1000 *e, unsigned base, volatile void *ring)
{
    uint64_t address = virt_to_phys((const void *)ring);
    reg_write(e, base, (uint32_t)address);
    reg_write(e, base + (E1000_RDBAH - E1000_RDBAL), (uint32_t)(address >> 32));
    reg_write(e, base + (E1000_RDLEN - E1000_RDBAL), PAGE_SIZE);
    reg_write(e, base + (E1000_RDH - E1000_RDBAL), 0);
    reg_write(e, base + (E1000_RDT - E1000_RDBAL), 0);
}

static void card_begin(struct e1000 *e)
{
    for (unsigned i = 0; i < 128; i++)
        reg_write(e, E1000_MTA + 4 * i, 0);
    ring_tell(e, E1000_RDBAL, e->rx);
    ring_tell(e, E1000_TDBAL, e->tx);
    reg_write(e, E1000_RXCSUM, RXCSUM_TUOFL);
    reg_write(e, E1000_TIPG, TIPG_USUAL);
    reg_write(e, E1000_CTRL, reg_read(e, E1000_CTRL) | CTRL_FD | CTRL_ASDE | CTRL_SLU);
    reg_write(e, E1000_TCTL, TCTL_EN | TCTL_PSP | TCTL_CT | TCTL_COLD);
    reg_write(e, E1000_RCTL, RCTL_EN | RCTL_MPE | RCTL_BAM | RCTL_SECRC);
    e->dev.link = reg_read(e, E1000_STATUS) & STATUS_LU;
}

/* One interrupt for everything. */
static int interrupt_route(struct e1000 *e)
{
    e->causes = CAUSE_LSC | CAUSE_RXT0 | CAUSE_RXO;
    if (pci_msix_enable(&e->pci))
        return pci_irq_route(&e->pci, e1000_irq, e, e->dev.name);
    e->causes = CAUSE_LSC | CAUSE_RXQ0 | CAUSE_RXO | CAUSE_OTHER;
    reg_write(e, E1000_IVAR, IVAR_ALL_TO_0);
    return pci_msix_route(&e->pci, 0, e1000_irq, e, e->dev.name);
}

static int card_add(const struct pci_device *pci)
{
    struct e1000 *e = kzalloc(sizeof *e);
    if (!e)
        return -ENOMEM;
    e->pci = *pci;
    pci_enable(pci);
    int err = pci_map(&e->pci, 0, 0, E1000_MAPPED, &e->registers);
    if (!err)
        err = card_reset(e);
    if (!err)
        err = mac_read(e);
    if (!err)
        err = rings_create(e);
    if (err) {
        kfree(e);
        return err;
    }
    struct netdev *d = &e->dev;
    d->ops = &e1000_ops;
    d->mtu = ETH_DATA_LEN;
    d->checksum = true;
    d->segment4 = true; /* IPv6 too by the manual of 82574, but not as QEMU has it */
    d->queues = 1;
    card_begin(e);
    err = interrupt_route(e);
    if (err) {
        reg_write(e, E1000_RCTL, 0); /* it may know of the rings: they stay */
        return err;
    }
    netdev_register(d);
    return 0;
}

bool e1000_probe(const struct pci_device *pci)
{
    if (pci->vendor != VENDOR_INTEL ||
        (pci->device != DEVICE_82540EM && pci->device != DEVICE_82545EM &&
         pci->device != DEVICE_82574L))
        return false;
    int err = card_add(pci);
    if (err)
        log_error("pci@%02x:%02x.%x: the network card cannot be used: error %d", pci->bus,
                  pci->slot, pci->function, -err);
    return true;
}
