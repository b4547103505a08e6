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

/* The first card without what else is said of it; NULL: nothing is. */
static char *first_word(const struct config *c)
{
    if (c->network)
        return alloc_string(c->network);
    if (c->bridged || c->bridge_name)
        return alloc_printf("bridge:%s%s%s", c->bridge_name ? c->bridge_name : "br0",
                            c->tap_name ? ",ifname=" : "", c->tap_name ? c->tap_name : "");
    return c->tap_name ? alloc_printf("tap:%s", c->tap_name) : NULL;
}

static void word_extend(char **word, const struct strlist *options)
{
    for (size_t i = 0; i < options->count; i++) {
        char *longer = alloc_printf("%s,%s", *word, options->items[i]);
        free(*word);
        *word = longer;
    }
}

bool config_card(const struct config *c, struct strlist *nets, struct strlist *options,
                 struct err *err)
{
    unsigned bits;
    struct strlist own = {0};
    if (!mask_bits(c->net_mask, &bits, err))
        return false;
    char *word = first_word(c);
    if (c->ip_address && strchr(c->ip_address, '/'))
        strlist_addf(&own, "ip=%s", c->ip_address);
    else if (c->ip_address)
        strlist_addf(&own, "ip=%s/%u", c->ip_address, bits);
    if (c->ipv6_address)
        strlist_addf(&own, "ip=%s%s", c->ipv6_address, strchr(c->ipv6_address, '/') ? "" : "/64");
    if (c->gateway)
        strlist_addf(&own, "gateway=%s", c->gateway);
    strlist_add_all(&own, &c->card);
    if (!word && !options)
        word = alloc_string("user");
    if (!options)
        word_extend(&word, &own);
    else
        strlist_add_all(options, &own);
    if (word)
        strlist_add(nets, word);
    strlist_free(&own);
    free(word);
    return true;
}

static void text_forget(struct config *c, char **field, const char *entry)
{
    free(*field);
    *field = NULL;
    config_drop_origin(c, entry);
}

void config_card_flags(struct config *c, const struct strlist *nets)
{
    if (!nets->count)
        return;
    text_forget(c, &c->network, "RunConfig.Network");
    text_forget(c, &c->bridge_name, "RunConfig.BridgeName");
    text_forget(c, &c->tap_name, "RunConfig.TapName");
    c->bridged = false;
    config_drop_origin(c, "RunConfig.Bridged");
    strlist_free(&c->nets);
    config_drop_origin(c, "RunConfig.Nics");
    c->network = alloc_string(nets->items[0]);
    config_note_origin(c, "RunConfig.Network", "--net");
    for (size_t i = 1; i < nets->count; i++) {
        char *entry = alloc_printf("RunConfig.Nics[%zu]", i - 1);
        strlist_add(&c->nets, nets->items[i]);
        config_note_origin(c, entry, "--net");
        free(entry);
    }
}

void config_card_flag(struct config *c, const char *key, const char *value)
{
    bool six = strchr(value, ':') != NULL;
    strlist_addf(&c->card, "%s=%s", key, value);
    if (strcmp(key, "ip") == 0 && six)
        text_forget(c, &c->ipv6_address, "RunConfig.IPv6Address");
    else if (strcmp(key, "ip") == 0) {
        text_forget(c, &c->ip_address, "RunConfig.IPAddress");
        text_forget(c, &c->net_mask, "RunConfig.NetMask");
    } else if (strcmp(key, "gateway") == 0 && c->gateway && six == !!strchr(c->gateway, ':'))
        text_forget(c, &c->gateway, "RunConfig.Gateway");
}

char *config_card_word(const struct config *c, bool *further)
{
    char *word = c->card.count ? first_word(c) : NULL;
    *further = c->card.count && !word && c->nets.count;
    if (c->card.count && !word)
        word = alloc_string(*further ? c->nets.items[0] : "user");
    if (word)
        word_extend(&word, &c->card);
    return word;
}
