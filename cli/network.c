/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's network: see network.h. */
#include "network.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "dns_server.h"
#include "helper.h"
#include "ops/exit.h"
#include "port_relay.h"

static bool nic_add(struct network *n, const char *text, struct err *err)
{
    if (n->nic_count == NETWORK_CARDS)
        return err_set(err, OPS_EXIT_USAGE, NULL, "more than %d network cards", NETWORK_CARDS);
    n->nics = alloc_array(n->nics, n->nic_count + 1, sizeof *n->nics);
    return nic_parse(&n->nics[n->nic_count++], text, err);
}

/* The card that ports are forwarded by; NULL: none. */
static const struct nic *user_card(const struct network *n)
{
    for (size_t i = 0; i < n->nic_count; i++)
        if (n->nics[i].kind == NIC_USER)
            return &n->nics[i];
    return NULL;
}

static bool nics_parse(struct network *n, const struct network_wish *w, struct err *err)
{
    const struct strlist *nets = w->nets;
    bool ok = true;
    if (nets->count == 1 && strcmp(nets->items[0], "none") == 0)
        return !w->options->count ||
               err_set(err, OPS_EXIT_USAGE, NULL, "without a network there is nothing to set up");
    if (!nets->count)
        ok = nic_add(n, "user", err);
    for (size_t i = 0; ok && i < nets->count; i++)
        ok = strcmp(nets->items[i], "none") == 0
                 ? err_set(err, OPS_EXIT_USAGE, NULL, "--net none excludes other networks")
                 : nic_add(n, nets->items[i], err);
    for (size_t i = 0; ok && i < w->options->count; i++)
        ok = nic_option(&n->nics[0], w->options->items[i], err);
    for (size_t i = 0; ok && i < n->nic_count; i++)
        ok = nic_check(&n->nics[i], err);
    return ok;
}

bool network_parse(struct network *n, const struct network_wish *w, struct err *err)
{
    *n = (struct network){0};
    if (!nics_parse(n, w, err))
        return false;
    if (!user_card(n) && w->ports->count + w->udp_ports->count)
        return err_set(err, OPS_EXIT_USAGE, "leave out the ports, or add --net user",
                       "ports are forwarded in the user network, not with --net %s",
                       w->nets->items[0]);
    return forwards_parse(&n->forwards, w->ports, false, err) &&
           forwards_parse(&n->forwards, w->udp_ports, true, err);
}

bool network_check(struct network *n, struct err *err)
{
    return forwards_check(&n->forwards, err);
}

bool network_open(struct network *n, const struct strlist *names, bool started, unsigned cpus,
                  struct err *err)
{
    bool ok = true;
    for (size_t i = 0; ok && i < n->nic_count; i++)
        ok = nic_open(&n->nics[i], i, names, started, cpus, err);
    return ok;
}

bool network_start(struct network *n, struct err *err)
{
    return port_relay_start(&n->forwards, &n->relay, err) &&
           dns_server_start(n->nics, n->nic_count, &n->names, err);
}

void network_arguments(const struct network *n, const char *bus, unsigned cpus,
                       struct strlist *argv)
{
    const struct nic *user = user_card(n);
    for (size_t i = 0; i < n->nic_count; i++)
        nic_arguments(&n->nics[i], i, bus, cpus, &n->nics[i] == user ? &n->forwards : NULL, argv);
}

size_t network_keep(const struct network *n, int *fds)
{
    size_t count = 0;
    for (size_t i = 0; i < n->nic_count; i++) {
        for (unsigned t = 0; t < n->nics[i].tap_count; t++)
            fds[count++] = n->nics[i].taps[t];
        if (n->nics[i].lease.fd >= 0)
            fds[count++] = n->nics[i].lease.fd;
    }
    return count;
}

void network_interfaces(const struct network *n, struct strlist *lines)
{
    for (size_t i = 0; i < n->nic_count; i++) {
        char *line = nic_line(&n->nics[i], i);
        strlist_add(lines, line);
        free(line);
    }
}

void network_free(struct network *n)
{
    helper_stop(&n->relay);
    helper_stop(&n->names);
    for (size_t i = 0; i < n->nic_count; i++)
        nic_free(&n->nics[i]);
    free(n->nics);
    forwards_free(&n->forwards);
    *n = (struct network){0};
}
