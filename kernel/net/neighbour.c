/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds on the queues of lwIP's neighbour cache: see neighbour.h. */
#include "net/neighbour.h"

#include "lwip/memp.h"
#include "lwip/nd6.h"
#include "lwip/priv/nd6_priv.h"

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

void neighbour_tick(void)
{
    for (unsigned i = 0; i < LWIP_ND6_NUM_NEIGHBORS; i++) {
        struct nd6_neighbor_cache_entry *n = &neighbor_cache[i];
        if (n->state != ND6_INCOMPLETE || !n->isrouter ||
            n->counter.probes_sent <= LWIP_ND6_MAX_MULTICAST_SOLICIT)
            continue;
        struct nd6_q_entry *q = n->q;
        n->q = NULL;
        while (q) {
            struct nd6_q_entry *next = q->next;
            pbuf_free(q->p);
            memp_free(MEMP_ND6_QUEUE, q);
            q = next;
        }
    }
}
