/* SPDX-License-Identifier: Apache-2.0 */
/* One network card: see nic.h. */
#include "nic.h"

#include <ctype.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "lan_make.h"
#include "ops/exit.h"
#include "tap.h"

#define MTU_LEAST 576
#define MTU_MOST  65000

static bool interface_ok(const char *name)
{
    return name[0] && strlen(name) < IFNAMSIZ && !strpbrk(name, "/, ") && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

static bool kind_take(struct nic *n, const char *word, struct err *err)
{
    const char *colon = strchr(word, ':');
    if (strcmp(word, "user") == 0 || strcmp(word, "tap") == 0) {
        n->kind = *word == 'u' ? NIC_USER : NIC_TAP_MADE;
        return true;
    }
    if (strcmp(word, "bridge") == 0 ||
        (colon && strncmp(word, "tap:", 4) != 0 && strncmp(word, "bridge:", 7) != 0))
        return err_set(err, OPS_EXIT_USAGE, NULL,
                       "--net must be user, none, tap, tap:IF, bridge:IF or a network's name, "
                       "not %s",
                       word);
    n->kind = !colon ? NIC_LAN : *word == 't' ? NIC_TAP : NIC_BRIDGE;
    n->target = alloc_string(colon ? colon + 1 : word);
    if (colon && !interface_ok(n->target))
        return err_set(err, OPS_EXIT_USAGE, NULL, "'%s' cannot be the name of an interface",
                       n->target);
    return colon || lan_load(&n->lan, n->target, err);
}

bool nic_parse(struct nic *n, const char *text, struct err *err)
{
    struct strlist words = {0};
    *n = (struct nic){.lease = {.fd = -1}};
    strlist_split(&words, text, ",");
    bool ok = words.count && kind_take(n, words.items[0], err);
    if (!words.count)
        err_set(err, OPS_EXIT_USAGE, NULL, "--net needs a word");
    for (size_t i = 1; ok && i < words.count; i++)
        ok = nic_option(n, words.items[i], err);
    strlist_free(&words);
    return ok;
}

static bool mac_ok(const char *text)
{
    unsigned first = 0;
    for (size_t i = 0; i < 17; i++)
        if (i % 3 == 2 ? text[i] != ':' : !isxdigit((unsigned char)text[i]))
            return false;
    return !text[17] && sscanf(text, "%2x", &first) == 1 && !(first & 1);
}

static bool mac_take(struct nic *n, const char *text, struct err *err)
{
    if (!mac_ok(text))
        return err_set(err, OPS_EXIT_USAGE, "write six bytes, 52:54:00:12:34:56; the first is even",
                       "%s is no MAC address of a card", text);
    free(n->mac);
    n->mac = alloc_string(text);
    return true;
}

static bool mtu_take(struct nic *n, const char *text, struct err *err)
{
    char *end;
    unsigned long mtu = strtoul(text, &end, 10);
    if (!isdigit((unsigned char)*text) || *end || mtu < MTU_LEAST || mtu > MTU_MOST)
        return err_set(err, OPS_EXIT_USAGE, NULL, "--mtu must be a number from %d to %d, not %s",
                       MTU_LEAST, MTU_MOST, text);
    n->mtu = (unsigned)mtu;
    return true;
}

static bool ip_take(struct nic *n, const char *text, struct err *err)
{
    struct cidr c;
    bool bare = n->kind == NIC_LAN && cidr_parse_address(&c, text); /* the network has the bits */
    if (!bare && !cidr_parse(&c, text))
        return err_set(err, OPS_EXIT_USAGE, "write 192.168.7.2/24 or fd00:7::2/64",
                       "%s is no address with the bits of its network", text);
    if (c.family == AF_INET6 && c.bits != 64 && !bare)
        return err_set(err, OPS_EXIT_USAGE, "write /64",
                       "an IPv6 network has 64 bits here, not those of %s", text);
    *(c.family == AF_INET ? &n->ip : &n->ip6) = c;
    return true;
}

static bool address_take(struct nic *n, const char *key, const char *text, struct err *err)
{
    struct cidr c;
    if (!cidr_parse_address(&c, text))
        return err_set(err, OPS_EXIT_USAGE, NULL, "%s is no address for --%s", text, key);
    if (strcmp(key, "gateway") == 0)
        *(c.family == AF_INET ? &n->gateway : &n->gateway6) = c;
    else if (n->dns_count < NIC_SERVERS)
        n->dns[n->dns_count++] = c;
    else
        return err_set(err, OPS_EXIT_USAGE, NULL, "more than %d name servers", NIC_SERVERS);
    return true;
}

bool nic_option(struct nic *n, const char *option, struct err *err)
{
    const char *value = strchr(option, '=');
    size_t length = value ? (size_t)(value - option) : 0;
    char key[16] = "";
    if (value && length < sizeof key)
        memcpy(key, option, length);
    value = value ? value + 1 : "";
    if (strcmp(key, "ip") == 0)
        return ip_take(n, value, err);
    if (strcmp(key, "gateway") == 0 || strcmp(key, "dns") == 0)
        return address_take(n, key, value, err);
    if (strcmp(key, "mac") == 0)
        return mac_take(n, value, err);
    if (strcmp(key, "mtu") == 0)
        return mtu_take(n, value, err);
    if (strcmp(key, "ifname") != 0)
        return err_set(err, OPS_EXIT_USAGE,
                       "the options are ip=, gateway=, dns=, mac=, mtu= and ifname=",
                       "--net does not know %s", option);
    if (!interface_ok(value) || (n->kind != NIC_TAP_MADE && n->kind != NIC_BRIDGE))
        return err_set(err, OPS_EXIT_USAGE, "it names the device that tap and bridge:IF make",
                       "ifname=%s cannot be used here", value);
    free(n->ifname);
    n->ifname = alloc_string(value);
    return true;
}

static bool reached(const struct cidr *net, const struct cidr *gateway, struct err *err)
{
    char text[CIDR_TEXT], at[CIDR_TEXT];
    bool local = gateway->family == AF_INET6 && gateway->bytes[0] == 0xfe &&
                 (gateway->bytes[1] & 0xc0) == 0x80;
    if (!gateway->family || !net->family || local || cidr_has(net, gateway))
        return true;
    cidr_address_text(gateway, text);
    cidr_text(net, at);
    return err_set(err, OPS_EXIT_USAGE, NULL, "the gateway %s is not in the network of %s", text,
                   at);
}

bool nic_check(const struct nic *n, struct err *err)
{
    bool given = n->ip.family || n->ip6.family;
    if (!given && (n->gateway.family || n->gateway6.family) && n->kind != NIC_LAN)
        return err_set(err, OPS_EXIT_USAGE, "give it one with --ip ADDRESS/BITS",
                       "a gateway needs an address of the machine");
    if (n->kind == NIC_LAN && n->ip6.family)
        return err_set(err, OPS_EXIT_USAGE, "give it an IPv4 address; the other has its number",
                       "the IPv6 address in the network %s follows from the IPv4 address",
                       n->target);
    if (n->kind == NIC_USER && n->ip6.family)
        return err_set(err, OPS_EXIT_USAGE, NULL,
                       "in the user network the machine chooses its IPv6 address");
    return reached(&n->ip, &n->gateway, err) && reached(&n->ip6, &n->gateway6, err);
}

/* Locally administered. On a network by the address; on a tap device by its name; else by the
 * machine's name, so that a DHCP server knows it again; else by chance. */
static char *mac_make(const struct nic *n, size_t index, const struct strlist *names)
{
    const uint8_t *ip = n->lease.address.bytes;
    if (n->kind == NIC_LAN)
        return alloc_printf("52:54:%02x:%02x:%02x:%02x", ip[0], ip[1], ip[2], ip[3]);
    uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a */
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    const char *own = n->kind == NIC_TAP ? n->target : names->count ? names->items[0] : NULL;
    char *seed = alloc_printf("%s/%s/%zu", host, own ? own : "", index);
    for (const char *c = seed; *c; c++)
        h = (h ^ (unsigned char)*c) * UINT64_C(1099511628211);
    free(seed);
    if (!own && getrandom(&h, sizeof h, 0) != (ssize_t)sizeof h)
        h ^= (uint64_t)getpid();
    h ^= h >> 32;
    return alloc_printf("52:54:%02x:%02x:%02x:%02x", (unsigned)(h >> 24) & 255,
                        (unsigned)(h >> 16) & 255, (unsigned)(h >> 8) & 255, (unsigned)h & 255);
}

static bool lan_open(struct nic *n, const struct strlist *names, bool taps, struct err *err)
{
    if (taps && !lan_ready(&n->lan, err))
        return false;
    if (!lease_take(&n->lease, &n->lan, &n->ip, names, err))
        return false;
    n->ip = n->lease.address;
    n->ip6 = n->lease.address6;
    if (n->lan.nat && !n->gateway.family)
        n->gateway = n->lan.gateway;
    if (n->lan.nat && !n->gateway6.family)
        n->gateway6 = n->lan.gateway6;
    if (!n->dns_count)
        n->dns[n->dns_count++] = n->lan.gateway;
    return reached(&n->ip, &n->gateway, err);
}

/* 1: the tap device has one queue, and QEMU must not ask for more; it also must ask for several of
 * one that was made for them. */
static unsigned tap_queues(const char *tap, unsigned cpus)
{
    unsigned flags = 0;
    char *path = alloc_printf("/sys/class/net/%s/tun_flags", tap);
    FILE *f = fopen(path, "re");
    free(path);
    if (f && fscanf(f, "%x", &flags) != 1)
        flags = 0;
    if (f)
        fclose(f);
    if (!(flags & IFF_MULTI_QUEUE))
        return 1;
    return cpus < 2 ? 2 : cpus < NIC_QUEUES ? cpus : NIC_QUEUES;
}

static bool tap_take(struct nic *n, unsigned cpus, struct err *err)
{
    unsigned queues = tap_queues(n->target, cpus);
    while (n->tap_count < queues) {
        int fd = tap_open(n->target, queues > 1, err);
        if (fd < 0)
            return false;
        n->taps[n->tap_count++] = fd;
    }
    return true;
}

bool nic_open(struct nic *n, size_t index, const struct strlist *names, bool taps, unsigned cpus,
              struct err *err)
{
    if (n->kind == NIC_LAN && !lan_open(n, names, taps, err))
        return false;
    if (!n->mac && n->kind != NIC_USER)
        n->mac = mac_make(n, index, names);
    if (!taps || n->kind == NIC_USER)
        return true;
    if (n->kind == NIC_TAP)
        return !cpus || tap_take(n, cpus, err);
    const char *bridge = n->kind == NIC_LAN      ? n->lan.bridge
                         : n->kind == NIC_BRIDGE ? n->target
                                                 : NULL;
    n->taps[0] = tap_make(n->ifname, bridge, n->mtu, err);
    n->tap_count = n->taps[0] >= 0;
    return n->tap_count;
}

/* The user network: 10.0.2.0/24 for the first card, 10.0.3.0/24 for the next. */
static struct cidr user_net(const struct nic *n, size_t index)
{
    struct cidr usual = {.family = AF_INET, .bits = 24, .bytes = {10, 0, (uint8_t)(2 + index), 0}};
    return n->ip.family ? cidr_network(&n->ip) : usual;
}

static struct cidr user_address(const struct nic *n, size_t index)
{
    struct cidr net = user_net(n, index);
    return n->ip.family ? n->ip : cidr_host(&net, 15);
}

static void word_add(struct buf *b, const char *key, const struct cidr *c)
{
    char text[CIDR_TEXT];
    if (!c->family)
        return;
    if (*key)
        cidr_address_text(c, text);
    else
        cidr_text(c, text);
    buf_addf(b, "%s%s%s%s", b->size ? " " : "", key, *key ? "=" : "", text);
}

char *nic_line(const struct nic *n, size_t index)
{
    struct buf b = {0};
    struct cidr net = user_net(n, index), ip = n->ip, gateway = n->gateway, dns = {0};
    if (n->kind == NIC_USER) {
        ip = user_address(n, index);
        gateway = gateway.family ? gateway : cidr_host(&net, 2);
        dns = n->dns_count ? dns : cidr_host(&net, 3);
    }
    if (!ip.family)
        buf_addf(&b, "dhcp");
    word_add(&b, "", &ip);
    word_add(&b, "", &n->ip6);
    word_add(&b, "gateway", &gateway);
    word_add(&b, "gateway", &n->gateway6);
    for (unsigned i = 0; i < n->dns_count; i++)
        word_add(&b, "dns", &n->dns[i]);
    word_add(&b, "dns", &dns);
    return b.data;
}

static char *user_argument(const struct nic *n, size_t index, const struct forwards *forwards)
{
    char net_text[CIDR_TEXT], host_text[CIDR_TEXT], ip_text[CIDR_TEXT] = "", own[160] = "";
    struct cidr net = user_net(n, index), host = cidr_host(&net, 2), ip = user_address(n, index);
    if (index || n->ip.family) {
        cidr_text(&net, net_text);
        cidr_address_text(n->gateway.family ? &n->gateway : &host, host_text);
        cidr_address_text(&ip, ip_text);
        snprintf(own, sizeof own, ",net=%s,host=%s,ipv6-prefix=fec0:0:0:%zx::", net_text, host_text,
                 index);
    }
    char *ports = forwards ? forwards_arguments(forwards, ip_text) : alloc_string("");
    char *line = alloc_printf("user,id=net%zu%s%s", index, own, ports);
    free(ports);
    return line;
}

/* Without open files QEMU opens the interface by its name. */
static char *tap_argument(const struct nic *n, size_t index, const char *several)
{
    struct buf b = {0};
    buf_addf(&b, "tap,id=net%zu,", index);
    if (n->tap_count > 1)
        buf_addf(&b, "fds=");
    else if (n->tap_count)
        buf_addf(&b, "fd=");
    else if (n->kind == NIC_TAP)
        buf_addf(&b, "ifname=%s,script=no,downscript=no%s", n->target, several);
    else
        buf_addf(&b, "fd=-1");
    for (unsigned i = 0; i < n->tap_count; i++)
        buf_addf(&b, "%s%d", i ? ":" : "", n->taps[i]);
    return b.data;
}

void nic_arguments(const struct nic *n, size_t index, const char *bus, unsigned cpus,
                   const struct forwards *forwards, struct strlist *argv)
{
    char mtu[24] = "", several[32] = "", vectors[24] = "";
    bool pci = strcmp(bus, "pci") == 0;
    unsigned queues = n->kind == NIC_TAP ? tap_queues(n->target, cpus) : 1;
    if (queues > 1)
        snprintf(several, sizeof several, ",queues=%u", queues);
    if (queues > 1 && pci) /* one for each queue, for the control queue and for changes */
        snprintf(vectors, sizeof vectors, ",vectors=%u", 2 * queues + 2);
    char *line =
        n->kind == NIC_USER ? user_argument(n, index, forwards) : tap_argument(n, index, several);
    if (n->mtu)
        snprintf(mtu, sizeof mtu, ",host_mtu=%u", n->mtu);
    strlist_add(argv, "-netdev");
    strlist_add(argv, line);
    strlist_add(argv, "-device");
    /* No option ROM: nothing boots from the network. */
    strlist_addf(argv, "virtio-net-%s,netdev=net%zu%s%s%s%s%s%s", bus, index, n->mac ? ",mac=" : "",
                 n->mac ? n->mac : "", mtu, pci ? ",romfile=" : "", queues > 1 ? ",mq=on" : "",
                 vectors);
    free(line);
}

void nic_free(struct nic *n)
{
    lease_free(&n->lease);
    for (unsigned i = 0; i < n->tap_count; i++)
        close(n->taps[i]);
    free(n->target);
    free(n->ifname);
    free(n->mac);
    *n = (struct nic){.lease = {.fd = -1}};
}
