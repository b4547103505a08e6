/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole network stack, kernel/net/ over lwIP, on a network card whose cable the test holds: it
 * sends TCP segments as anybody, sees what comes back, and moves the clock. A gateway answers ARP.
 * What was not asked for by rig_sent() is forgotten.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lwip/prot/tcp.h"

#define RIG_OWN     0x0a00020fu /* 10.0.2.15, the machine */
#define RIG_GATEWAY 0x0a000202u
#define RIG_STEP_MS 20u

struct rig_segment {
    uint32_t ip; /* the other end's address */
    uint16_t port, own_port;
    uint8_t flags; /* TCP_* */
    uint32_t seq, ack;
    const void *data;
    unsigned len;
    unsigned mss; /* to send: with SYN, 0: not said */
    unsigned cut; /* sent: the length of the segments that the card makes of it; 0: one */
    uint64_t at;  /* the clock when the machine sent it */
};

/* Starts the stack; the second time only forgets what was sent. */
void rig_start(void);
/* A packet on the cable, for all machines there; `type` is the frame's. */
void rig_packet(unsigned type, const void *packet, size_t len);
/* Sees what the machine sends, whatever it is; NULL: nobody does. */
extern void (*rig_on_packet)(unsigned type, const uint8_t *packet, size_t len);
/* A segment from s->ip to the machine, which does at once what it does. */
void rig_send(const struct rig_segment *s);
/* A router says that the segment, from the machine, is too long for what follows. */
void rig_too_long(const struct rig_segment *s, unsigned mtu);
/* The oldest segment from the machine that was not asked for yet; its data is not kept. */
bool rig_sent(struct rig_segment *s);
void rig_forget(void);
/* The cable is in, or out. */
void rig_cable(bool in);
/* The card cuts segments from now on, or not. */
void rig_cuts(bool on);
/* Time passes, in steps of RIG_STEP_MS. */
void rig_pass(uint64_t ms);

struct tcp_socket;
/* A socket that listens on the port. */
struct tcp_socket *rig_listen(uint16_t port, int backlog);
/* Opens a connection: fills in seq and ack, to go on with. False: no SYN|ACK came. */
bool rig_open(struct rig_segment *s);
/* The socket that accept(2) takes next; NULL: none. */
struct tcp_socket *rig_accept(struct tcp_socket *listener);
/* close(2) */
void rig_close(struct tcp_socket *t);
