/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file of several services that belong together (`ops compose`), in YAML or JSON:
 *
 *     name: shop            # the directory's name when missing
 *     network: yes          # a network of its own, on which they find each other by name;
 *                           # or the name of one of `ops network`; missing: none
 *     services:
 *       db:
 *         run: [-m, 128M, /usr/bin/redis-server]     # the words of `ops run`
 *         ready: {port: 6379, within: 30}            # it listens there, within 30 seconds
 *       web:
 *         run: [-p, "8080", ./web]
 *         after: [db]                                # is started when db is ready
 *         ready: {url: "http://127.0.0.1:8080/"}
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "err.h"
#include "lan.h"
#include "strlist.h"

#define COMPOSE_WITHIN 60 /* seconds a service has to become ready */

/* When a service is: at once where neither port nor url is said. */
struct ready {
    unsigned long port;   /* of TCP, on which the program listens; 0: not asked */
    char *url;            /* http://HOST[:PORT]/PATH is answered with a status below 400 */
    unsigned long within; /* seconds */
};

struct service {
    char *name, *instance; /* web, shop-web */
    struct strlist run, after;
    struct ready ready;
};

struct compose {
    char *dir; /* the file's; words are said there */
    char *name;
    char *network;            /* NULL: none */
    bool network_own;         /* made by `up`, deleted by `down` */
    struct service *services; /* each behind those that it is `after` */
    size_t count;
};

/* Reads the file (NULL: ops-compose.yaml, .yml or .json here). Freed with compose_free(), also
 * after a failure. Errors name the line. */
bool compose_load(struct compose *c, const char *file, struct err *err);
void compose_free(struct compose *c);

/* The service of that name; NULL: see err. */
const struct service *compose_find(const struct compose *c, const char *name, struct err *err);

/* Waits until the service is ready. `lan`: its network, where hosts may be names of services;
 * NULL: none. Errors: it was not in time, or has ended. */
bool service_wait(const struct service *s, const struct lan *lan, struct err *err);
