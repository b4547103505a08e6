/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration file of `-c`: JSON whose keys match without regard to case;
 * an unknown key is an error. Relative host paths start at the file's own
 * directory. Options of the command line beat what stands here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "strlist.h"

struct config {
    char *program;           /* absolute; NULL: not given, likewise below */
    struct strlist args;     /* after argv[0] */
    struct strlist env;      /* NAME=value */
    struct strlist files;    /* pairs: host path, guest path */
    struct strlist dirs;     /* likewise */
    struct strlist map_dirs; /* pairs: absolute host path or pattern, guest directory */
    struct strlist name_servers;
    struct strlist mounts;           /* NAME:/path[:ro] */
    struct strlist shares;           /* HOST:/path[:ro] */
    struct strlist ports, udp_ports; /* as network_parse() reads them */
    struct strlist nets;             /* as nic_parse() reads them */
    struct strlist card;             /* KEY=VALUE for the first of them, likewise */
    char *hostname;
    /* of RunConfig, until they are in the two above */
    char *ip_address, *net_mask, *ipv6_address, *gateway;
    char *network, *bridge_name, *tap_name;
    bool bridged;
    char *cwd;
    uint64_t uid, gid;
    uint64_t volume_size; /* bytes; 0: not given, likewise below */
    uint64_t memory;
    uint64_t cpus;
    bool readonly_rootfs;
};

/* Reads the file `path`. Freed with config_free(), also after a failure. Errors (OPS_EXIT_USAGE):
 * bad JSON, unknown key with the nearest known one, wrong type; with line, column and caret. */
bool config_load(struct config *c, const char *path, struct err *err);

/* The same for `size` bytes of text with a NUL behind them; relative paths start at `dir`. */
bool config_parse(struct config *c, const char *name, const char *dir, const char *text,
                  size_t size, struct err *err);

void config_free(struct config *c);
