/* SPDX-License-Identifier: Apache-2.0 */
/* A network card of a configuration as words of --net: see config.h. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "config.h"
#include "ops/exit.h"

/* "10.1.2.3" and "255.255.255.0": /24, which is also what holds without a mask. */
static bool mask_bits(const char *mask, unsigned *bits, struct err *err)
{
    struct in_addr in;
    *bits = 24;
    if (!mask)
        return true;
    uint32_t m = inet_pton(AF_INET, mask, &in) == 1 ? ntohl(in.s_addr) : 1;
    for (*bits = 0; *bits < 32 && m & UINT32_C(0x80000000) >> *bits; ++*bits)
        ;
    return (*bits < 32 ? m << *bits : 0) == 0 ||
           err_set(err, OPS_EXIT_USAGE, "write it as 255.255.255.0", "NetMask %s is no mask", mask);
}

bool config_card(const struct config *c, struct strlist *nets, struct strlist *options,
                 struct err *err)
{
    unsigned bits;
    struct strlist own = {0};
    char *word = NULL;
    if (!mask_bits(c->net_mask, &bits, err))
        return false;
    if (c->network)
        word = alloc_string(c->network);
    else if (c->bridged || c->bridge_name)
        word = alloc_printf("bridge:%s%s%s", c->bridge_name ? c->bridge_name : "br0",
                            c->tap_name ? ",ifname=" : "", c->tap_name ? c->tap_name : "");
    else if (c->tap_name)
        word = alloc_printf("tap:%s", c->tap_name);
    if (c->ip_address && strchr(c->ip_address, '/'))
        strlist_addf(&own, "ip=%s", c->ip_address);
    else if (c->ip_address)
        strlist_addf(&own, "ip=%s/%u", c->ip_address, bits);
    if (c->ipv6_address)
        strlist_addf(&own, "ip=%s%s", c->ipv6_address, strchr(c->ipv6_address, '/') ? "" : "/64");
    if (c->gateway)
        strlist_addf(&own, "gateway=%s", c->gateway);
    if (!word && !options)
        word = alloc_string("user");
    for (size_t i = 0; !options && i < own.count; i++) {
        char *longer = alloc_printf("%s,%s", word, own.items[i]);
        free(word);
        word = longer;
    }
    if (word)
        strlist_add(nets, word);
    if (options)
        strlist_add_all(options, &own);
    strlist_free(&own);
    free(word);
    return true;
}
