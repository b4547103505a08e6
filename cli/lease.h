/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of machines on the networks of `ops network`: a file each in the network's
 * directory, named by the IPv4 address, with the names of the machine in it. It is
 * locked (F_OFD_SETLK) by QEMU and by `ops run` as long as the machine lives; one that
 * nobody has locked is free.
 */
#pragma once

#include <stdbool.h>

#include "cidr.h"
#include "err.h"
#include "lan.h"
#include "strlist.h"

struct lease {
    char *path;           /* NULL: none */
    int fd;               /* -1: not ours */
    struct cidr address;  /* with the network's prefix */
    struct cidr address6; /* family 0: none */
};

/* Takes `wanted` (family 0: a free one, by preference always the same for the same name). `names`:
 * what the machine is called, maybe nothing. Errors: taken, full. */
bool lease_take(struct lease *l, const struct lan *lan, const struct cidr *wanted,
                const struct strlist *names, struct err *err);

/* Removes it if it is ours. */
void lease_free(struct lease *l);

/* Machines on the network now, by their addresses. */
struct tenant {
    struct cidr address, address6;
    struct strlist names;
};

struct tenants {
    struct tenant *items;
    size_t count;
};

void tenants_find(struct tenants *t, const struct lan *lan);
void tenants_free(struct tenants *t);

/* Removes the files of machines that are gone. */
void leases_sweep(const struct lan *lan);
