/* SPDX-License-Identifier: Apache-2.0 */
/* The host's side of a network: see lan_setup.h. */
#include "lan_setup.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "child.h"
#include "hold.h"
#include "ops/exit.h"
#include "qemu.h"
#include "script.h"

#define SYSCTL    "sysctl" /* done here, not by the tool */
#define STEPS_MAX 24

struct steps {
    struct strlist items[STEPS_MAX]; /* the words of a command each */
    size_t count;
};

static void steps_free(struct steps *s)
{
    for (size_t i = 0; i < s->count; i++)
        strlist_free(&s->items[i]);
    s->count = 0;
}

/* Adds a step: words with spaces between, and one more that is `last` (NULL: none). */
static void step_add(struct steps *s, const char *words, const char *last)
{
    struct strlist *l = &s->items[s->count++];
    strlist_split(l, words, " ");
    if (last)
        strlist_add(l, last);
}

static void step_addf(struct steps *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void step_addf(struct steps *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *words = alloc_vprintf(fmt, ap);
    va_end(ap);
    step_add(s, words, NULL);
    free(words);
}

/* A tool of the system, also for users whose PATH lacks the sbin directories. */
static char *tool_find(const char *name)
{
    static const char *const dirs[] = {"/usr/sbin", "/sbin"};
    char *found = script_find(NULL, name);
    for (size_t i = 0; !found && i < sizeof dirs / sizeof dirs[0]; i++) {
        found = alloc_printf("%s/%s", dirs[i], name);
        if (access(found, X_OK) < 0) {
            free(found);
            found = NULL;
        }
    }
    return found;
}

static bool tool_there(const char *name)
{
    char *found = tool_find(name);
    free(found);
    return found != NULL;
}

bool lan_choose_firewall(struct lan *l, struct err *err)
{
    l->firewall = !l->nat                  ? LAN_NO_FIREWALL
                  : tool_there("nft")      ? LAN_NFTABLES
                  : tool_there("iptables") ? LAN_IPTABLES
                                           : LAN_NO_FIREWALL;
    return !l->nat || l->firewall != LAN_NO_FIREWALL ||
           err_set(err, OPS_EXIT_FAILED,
                   "install nftables, or write --no-nat for a network that leads nowhere",
                   "NAT needs nft or iptables, and neither is installed");
}

/* One text is one transaction: all of the table or nothing. */
static void nftables_add(struct steps *s, const struct lan *l)
{
    struct buf b = {0};
    char net[CIDR_TEXT];
    struct cidr network = cidr_network(&l->gateway);
    cidr_text(&network, net);
    buf_addf(&b, "table inet %s { ", l->bridge);
    buf_addf(&b,
             "chain nat { type nat hook postrouting priority srcnat; "
             "ip saddr %s oifname != \"%s\" masquerade; ",
             net, l->bridge);
    if (l->gateway6.family) {
        network = cidr_network(&l->gateway6);
        cidr_text(&network, net);
        buf_addf(&b, "ip6 saddr %s oifname != \"%s\" masquerade; ", net, l->bridge);
    }
    buf_addf(&b,
             "}; chain forward { type filter hook forward priority filter; "
             "oifname \"%s\" iifname != \"%s\" ct state established,related accept; "
             "oifname \"%s\" iifname != \"%s\" drop; }; }",
             l->bridge, l->bridge, l->bridge, l->bridge);
    step_add(s, "nft", b.data);
    buf_free(&b);
}

/* `tool`: iptables or ip6tables. */
static void iptables_add(struct steps *s, const struct lan *l, const char *tool,
                         const struct cidr *gateway)
{
    char net[CIDR_TEXT];
    struct cidr network = cidr_network(gateway);
    cidr_text(&network, net);
    const char *c = l->bridge;
    step_addf(s, "%s -w -t nat -N %s", tool, c);
    step_addf(s, "%s -w -t nat -A %s -s %s ! -o %s -j MASQUERADE", tool, c, net, c);
    step_addf(s, "%s -w -t nat -A POSTROUTING -j %s", tool, c);
    step_addf(s, "%s -w -N %s", tool, c);
    step_addf(s, "%s -w -A %s -i %s -j ACCEPT", tool, c, c);
    step_addf(s, "%s -w -A %s -o %s -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", tool, c,
              c);
    step_addf(s, "%s -w -A %s -o %s -j DROP", tool, c, c);
    step_addf(s, "%s -w -I FORWARD -j %s", tool, c);
}

static void raise_steps(const struct lan *l, struct steps *s)
{
    char text[CIDR_TEXT];
    cidr_text(&l->gateway, text);
    step_addf(s, "ip link add name %s type bridge", l->bridge);
    step_addf(s, "ip address add %s dev %s", text, l->bridge);
    cidr_text(&l->gateway6, text);
    if (l->gateway6.family)
        step_addf(s, "ip -6 address add %s dev %s nodad", text, l->bridge);
    if (l->firewall == LAN_NFTABLES)
        nftables_add(s, l);
    if (l->firewall == LAN_IPTABLES)
        iptables_add(s, l, "iptables", &l->gateway);
    if (l->firewall == LAN_IPTABLES && l->gateway6.family)
        iptables_add(s, l, "ip6tables", &l->gateway6);
    if (l->nat)
        step_add(s, SYSCTL " -w net.ipv4.ip_forward=1", NULL);
    if (l->nat && l->gateway6.family)
        step_add(s, SYSCTL " -w net.ipv6.conf.all.forwarding=1", NULL);
    step_addf(s, "ip link set dev %s up", l->bridge);
}

static void iptables_remove(struct steps *s, const struct lan *l, const char *tool)
{
    const char *c = l->bridge;
    step_addf(s, "%s -w -D FORWARD -j %s", tool, c);
    step_addf(s, "%s -w -F %s", tool, c);
    step_addf(s, "%s -w -X %s", tool, c);
    step_addf(s, "%s -w -t nat -D POSTROUTING -j %s", tool, c);
    step_addf(s, "%s -w -t nat -F %s", tool, c);
    step_addf(s, "%s -w -t nat -X %s", tool, c);
}

/* The steps of iptables fail where nothing is to be removed; the others do not. Forwarding stays:
 * others may have come to need it. */
static void lower_steps(const struct lan *l, struct steps *s)
{
    if (if_nametoindex(l->bridge))
        step_addf(s, "ip link delete dev %s", l->bridge);
    char *text = alloc_printf("add table inet %s; delete table inet %s", l->bridge, l->bridge);
    if (l->firewall == LAN_NFTABLES)
        step_add(s, "nft", text);
    if (l->firewall == LAN_IPTABLES)
        iptables_remove(s, l, "iptables");
    if (l->firewall == LAN_IPTABLES && l->gateway6.family)
        iptables_remove(s, l, "ip6tables");
    free(text);
}

/* sysctl -w NAME=VALUE */
static bool sysctl_write(const char *setting, struct err *err)
{
    char *path = alloc_printf("/proc/sys/%s", setting), *equals = strchr(path, '=');
    *equals = 0;
    for (char *c = path + strlen("/proc/sys/"); *c; c++)
        if (*c == '.')
            *c = '/';
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok =
        (fd >= 0 && write(fd, equals + 1, strlen(equals + 1)) > 0) || err_errno(err, "write", path);
    if (fd >= 0)
        close(fd);
    free(path);
    return ok;
}

static bool step_run(const struct strlist *words, struct err *err)
{
    struct strlist argv = {0};
    struct buf said = {0};
    if (strcmp(words->items[0], SYSCTL) == 0)
        return sysctl_write(words->items[words->count - 1], err);
    char *tool = tool_find(words->items[0]);
    if (!tool) {
        err_set(err, OPS_EXIT_FAILED, NULL, "cannot find %s", words->items[0]);
        err_hint(err, "install %s",
                 strcmp(words->items[0], "ip") == 0    ? "iproute2"
                 : strcmp(words->items[0], "nft") == 0 ? "nftables"
                                                       : "iptables");
        return false;
    }
    strlist_add_all(&argv, words);
    free(argv.items[0]);
    argv.items[0] = tool;
    int status = 0;
    bool ok = child_status(&argv, NULL, 0, &said, &status, err);
    if (ok && status) {
        char *line = qemu_shell_line(words);
        size_t n = said.size;
        while (n && said.data[n - 1] == '\n')
            said.data[--n] = 0;
        ok = err_set(err, OPS_EXIT_FAILED, NULL, "%s: %s", line, said.data);
        free(line);
    }
    buf_free(&said);
    strlist_free(&argv);
    return ok;
}

static bool lower(const struct lan *l, struct err *err)
{
    struct steps s = {0};
    bool ok = true;
    lower_steps(l, &s);
    for (size_t i = 0; i < s.count; i++) {
        struct err ignored = {0};
        bool optional = strstr(s.items[i].items[0], "tables") != NULL;
        ok &= step_run(&s.items[i], ok && !optional ? err : &ignored) || optional;
        err_free(&ignored);
    }
    steps_free(&s);
    return ok;
}

bool lan_lower(const struct lan *l, struct err *err)
{
    struct hold hold;
    hold_begin(&hold);
    bool ok = lower(l, err);
    hold_end(&hold);
    return ok;
}

bool lan_raise(const struct lan *l, struct err *err)
{
    struct steps s = {0};
    struct err ignored = {0};
    bool ok = true;
    raise_steps(l, &s);
    for (size_t i = 0; ok && i < s.count; i++)
        ok = step_run(&s.items[i], err);
    if (!ok)
        lower(l, &ignored);
    err_free(&ignored);
    steps_free(&s);
    return ok;
}

void lan_commands(const struct lan *l, struct strlist *lines)
{
    struct steps s = {0};
    raise_steps(l, &s);
    for (size_t i = 0; i < s.count; i++) {
        char *line = qemu_shell_line(&s.items[i]);
        strlist_add(lines, line);
        free(line);
    }
    steps_free(&s);
}

/* A tool that is started has of our rights only those that are ambient. */
bool lan_privileged(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};
    if (syscall(SYS_capget, &header, data) < 0)
        return false;
    unsigned need = 1u << CAP_NET_ADMIN;
    if (!(data[0].effective & need))
        return false;
    data[0].inheritable |= data[0].permitted & (need | 1u << CAP_NET_RAW);
    if (getuid() != 0 && syscall(SYS_capset, &header, data) == 0)
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_ADMIN, 0, 0);
    return true;
}
