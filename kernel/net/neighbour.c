/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds on the queues of lwIP's neighbour cache: see neighbour.h. */
#include "net/neighbour.h"

#include "lwip/memp.h"
#include "lwip/nd6.h"
#include "lwip/priv/nd6_priv.h"
#include "netif/ethernet.h"

#define WAITING_MAX 512u /* packets of all neighbours together */

static unsigned waiting(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < LWIP_ND6_NUM_NEIGHBORS; i++)
        for (const struct nd6_q_entry *q = neighbor_cache[i].q; q; q = q->next)
            n++;
    return n;
}

/* What nd6.c calls in place of memp_malloc(); without an entry it drops the neighbour's oldest. */
void *neighbour_entry_malloc(memp_t type);

void *neighbour_entry_malloc(memp_t type)
{
    return waiting() < WAITING_MAX ? memp_malloc(type) : NULL;
}

/* Takes the queue off: sends it, or drops it. */
static void queue_end(struct nd6_neighbor_cache_entry *n, bool send)
{
    struct nd6_q_entry *q = n->q;
    n->q = NULL;
    while (q) {
        struct nd6_q_entry *next = q->next;
        if (send)
            ethernet_output(n->netif, q->p, (const struct eth_addr *)n->netif->hwaddr,
                            (const struct eth_addr *)n->lladdr, ETHTYPE_IPV6);
        pbuf_free(q->p);
        memp_free(MEMP_ND6_QUEUE, q);
        q = next;
    }
}

/*
 * lwIP sends the queue when an advertisement answers it. An address that it learned otherwise
 * (from a solicitation, or of a router) does as well.
 */
void neighbour_tick(void)
{
    for (unsigned i = 0; i < LWIP_ND6_NUM_NEIGHBORS; i++) {
        struct nd6_neighbor_cache_entry *n = &neighbor_cache[i];
        if (!n->q || n->state == ND6_NO_ENTRY)
            continue;
        if (n->state != ND6_INCOMPLETE)
            queue_end(n, true);
        else if (n->isrouter && n->counter.probes_sent > LWIP_ND6_MAX_MULTICAST_SOLICIT)
            queue_end(n, false);
    }
}
