/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Path MTUs: see path_mtu.h. A small table where the youngest wins: what is forgotten is said
 * again by the router. Only errors about connections that are there come here, so nobody can
 * fill it.
 */
#include "net/path_mtu.h"

#include "lib/types.h"
#include "net/stack.h"

#define ENTRIES_LOG 8
#define LIFETIME_MS (600u * 1000) /* net.ipv4.route.mtu_expires */

static struct entry {
    u32_t to; /* 0: free */
    unsigned mtu;
    uint32_t since; /* stack_now_ms() */
} entries[1u << ENTRIES_LOG];

static struct entry *entry_of(const ip4_addr_t *to)
{
    return &entries[ip4_addr_get_u32(to) * 0x9e3779b1u >> (32 - ENTRIES_LOG)];
}

static bool is_known(const struct entry *e, const ip4_addr_t *to)
{
    return e->to == ip4_addr_get_u32(to) && stack_now_ms() - e->since < LIFETIME_MS;
}

void path_mtu_learn(const ip4_addr_t *to, unsigned mtu)
{
    struct entry *e = entry_of(to);
    if (!is_known(e, to) || mtu <= e->mtu)
        *e = (struct entry){ip4_addr_get_u32(to), mtu, stack_now_ms()};
}

unsigned path_mtu_of(const ip4_addr_t *to, unsigned otherwise)
{
    const struct entry *e = entry_of(to);
    return is_known(e, to) && e->mtu < otherwise ? e->mtu : otherwise;
}
