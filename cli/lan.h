/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Networks by name (`ops network`): a bridge of this host each. What is known of one
 * is NAME.json in $XDG_DATA_HOME/ops/networks (else ~/.local/share/ops/networks);
 * beside it, in the directory NAME, stands who is on it (lease.h). A file says whether
 * its bridge was finished: one that a killed `create` or `delete` left is swept by the next
 * who has lan_lock().
 */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "cidr.h"
#include "err.h"
#include "strlist.h"

#define LAN_NAME_MAX 11 /* the bridge is called ops-NAME, and an interface has 15 bytes */

enum lan_firewall { LAN_NO_FIREWALL, LAN_NFTABLES, LAN_IPTABLES };

struct lan {
    char name[LAN_NAME_MAX + 1];
    char bridge[16];
    struct cidr gateway;  /* the host's address on it, with the prefix */
    struct cidr gateway6; /* likewise; family 0: no IPv6 */
    enum lan_firewall firewall;
    bool nat;
    bool ready;
};

/* Fills in name and bridge. Errors: OPS_EXIT_USAGE. */
bool lan_init(struct lan *l, const char *name, struct err *err);

/* The names there are, sorted. */
bool lan_names(struct strlist *names, struct err *err);

/* Errors: unknown, with the nearest name. */
bool lan_load(struct lan *l, const char *name, struct err *err);

/* The directory with the files, made and locked until it is closed: nobody else creates, deletes
 * or sweeps. -1: see err. */
int lan_lock(struct err *err);

/* With the lock, on the disk when it returns. */
bool lan_save(int dir, const struct lan *l, struct err *err);
void lan_forget(int dir, const struct lan *l);

/* Where the leases are; freed with free(). NULL: see err. */
char *lan_dir(const struct lan *l, struct err *err);

/* "up", "down" (the host has started anew) or "incomplete". */
const char *lan_state(const struct lan *l);

const char *lan_firewall_text(enum lan_firewall f);

/* Adds what is known of it. */
void lan_describe(const struct lan *l, cJSON *object);
