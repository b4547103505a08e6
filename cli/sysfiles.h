/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that C libraries and programs expect in any system: mount points,
 * name lookup, accounts, time zone, certificates. Accounts, hosts and name lookup
 * are made here and do not show anything of the machine that builds.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "deps.h"
#include "err.h"
#include "strlist.h"
#include "tree.h"

struct sysfiles {
    const char *hostname;
    const struct strlist *name_servers; /* empty: those of the network it runs in */
    uint64_t uid, gid;                  /* other than 0: get an account called `app` */
    bool modest; /* what the tree has already stays, but for names of hosts */
};

/* The directories the kernel mounts on or programs write to; always there. */
bool sysfiles_add_dirs(struct tree *t, struct err *err);

/* The rest, with the name service modules of glibc if the program uses it. */
bool sysfiles_add(struct tree *t, struct deps *d, const struct sysfiles *s, struct err *err);
