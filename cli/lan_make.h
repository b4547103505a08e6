/* SPDX-License-Identifier: Apache-2.0 */
/* Networks of `ops network` come and go: addresses that are free, the store, the bridge. */
#pragma once

#include <stdbool.h>

#include "err.h"
#include "lan.h"

struct lan_wish {
    const char *name;
    const char *subnet; /* CIDR; NULL: the first free 10.77.N.0/24 */
    const char *ipv6;   /* CIDR of 64 bits; NULL: none */
    bool nat;
};

/* Settles what it would be. Errors: the name is taken, the addresses overlap with others. */
bool lan_plan(struct lan *l, const struct lan_wish *w, struct err *err);

/* Makes it, whole or not at all. `command`: what to run as root, for the hint. */
bool lan_create(struct lan *l, const struct lan_wish *w, struct err *err);

/* Errors: somebody is on it. */
bool lan_delete(const char *name, struct err *err);

/* The bridge of a network that is `down` is made again. */
bool lan_ready(const struct lan *l, struct err *err);

/* Without rights: a sentence that begins with `what`, and false. */
bool lan_permitted(const char *what, const struct lan *l, struct err *err);
