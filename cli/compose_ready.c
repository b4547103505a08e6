/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for a service of a compose file: see compose.h. Whether a port is listened on
 * the kernel in the machine says, as the user network accepts for it in any case; a url
 * is asked for from here.
 */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "compose.h"
#include "guest.h"
#include "instance_store.h"
#include "lease.h"
#include "ops/exit.h"

#define PAUSE    (200 * 1000000L) /* ns between two looks */
#define PATIENCE 5                /* seconds an answer may take */
#define LISTEN   0x0a             /* in /proc/net/tcp */

/* Does a line of /proc/net/tcp tell of somebody who listens on the port? */
static bool line_listens(const char *line, unsigned long port)
{
    unsigned local, state;
    return sscanf(line, " %*[0-9]: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x", &local, &state) == 2 &&
           local == port && state == LISTEN;
}

static bool port_listens(const struct service *s)
{
    static const char *const files[] = {"net/tcp", "net/tcp6"};
    struct instance place = {.lock = -1};
    struct strlist lines = {0};
    struct err ignored = {0};
    bool found = false;
    if (instance_find(&place, s->instance, &ignored))
        for (int i = 0; i < 2; i++)
            guest_read(&place, files[i], &lines, &ignored);
    for (size_t i = 0; i < lines.count && !found; i++)
        found = line_listens(lines.items[i], s->ready.port);
    err_free(&ignored);
    strlist_free(&lines);
    instance_leave(&place);
    return found;
}

/* The address of a machine on the network; NULL: nobody is called so. */
static char *tenant_address(const struct lan *lan, const char *name)
{
    struct tenants t = {0};
    char text[CIDR_TEXT], *found = NULL;
    if (lan)
        tenants_find(&t, lan);
    for (size_t i = 0; i < t.count && !found; i++)
        if (strlist_has(&t.items[i].names, name)) {
            cidr_address_text(&t.items[i].address, text);
            found = alloc_string(text);
        }
    tenants_free(&t);
    return found;
}

/* A connection; -1: none now. */
static int host_connect(const char *host, const char *port)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    const struct timeval most = {.tv_sec = PATIENCE};
    struct addrinfo *list = NULL;
    int fd = -1;
    if (getaddrinfo(host, port, &hints, &list) != 0)
        return -1;
    for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            continue;
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most); /* of connect, too */
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
        if (connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(list);
    return fd;
}

/* The status of an answer, from its first line; 0: none. */
static unsigned answer_status(int fd)
{
    char line[32];
    size_t n = 0;
    unsigned status = 0;
    while (n < sizeof line - 1) {
        ssize_t got = read(fd, line + n, sizeof line - 1 - n);
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    line[n] = 0;
    return sscanf(line, "HTTP/%*1u.%*1u %u", &status) == 1 ? status : 0;
}

static bool url_answers(const struct service *s, const struct lan *lan)
{
    const char *at = s->ready.url + strlen("http://"), *path = strchr(at, '/');
    char *host = path ? alloc_bytes(at, (size_t)(path - at)) : alloc_string(at);
    char *colon = strrchr(host, ':');
    const char *port = "80";
    if (colon && !strchr(colon, ']')) { /* not one of an IPv6 address */
        *colon = 0;
        port = colon + 1;
    }
    char *name =
        host[0] == '[' ? alloc_bytes(host + 1, strcspn(host + 1, "]")) : alloc_string(host);
    char *address = tenant_address(lan, name);
    int fd = host_connect(address ? address : name, port);
    char *request = alloc_printf("GET %s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n",
                                 path ? path : "/", host);
    bool sent =
        fd >= 0 && send(fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request);
    unsigned status = sent ? answer_status(fd) : 0;
    if (fd >= 0)
        close(fd);
    free(request);
    free(address);
    free(name);
    free(host);
    return status >= 100 && status < 400;
}

/* Errors: it has ended. */
static bool service_lives(const struct service *s, struct err *err)
{
    struct stored stored;
    bool ok = store_open(&stored, s->instance, err);
    cJSON *state = ok ? store_state(&stored) : NULL;
    if (ok && !store_alive(state)) {
        const char *word = cJSON_GetStringValue(cJSON_GetObjectItem(state, "state"));
        ok = err_set(err, OPS_EXIT_FAILED, NULL, "%s has ended (%s) before it was ready", s->name,
                     word ? word : "?");
        err_hint(err, "`ops instance logs %s` shows what it wrote", s->instance);
    }
    cJSON_Delete(state);
    store_close(&stored);
    return ok;
}

/* Somebody else, who may have been killed since, may have begun to start it. */
static bool is_starting(const struct service *s)
{
    struct stored stored;
    struct err none = {0};
    cJSON *state = store_open(&stored, s->instance, &none) ? store_state(&stored) : NULL;
    const char *word = cJSON_GetStringValue(cJSON_GetObjectItem(state, "state"));
    bool starting = word && strcmp(word, STATE_STARTING) == 0;
    cJSON_Delete(state);
    store_close(&stored);
    err_free(&none);
    return starting;
}

static bool is_ready(const struct service *s, const struct lan *lan)
{
    if (s->ready.port)
        return port_listens(s);
    return s->ready.url ? url_answers(s, lan) : !is_starting(s);
}

bool service_wait(const struct service *s, const struct lan *lan, struct err *err)
{
    const struct timespec pause = {.tv_nsec = PAUSE};
    struct timespec now, end;
    bool asked = s->ready.port || s->ready.url;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += (time_t)s->ready.within;
    for (;;) {
        if (asked && !service_lives(s, err))
            return false;
        if (is_ready(s, lan))
            return true;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec > end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec >= end.tv_nsec))
            break;
        nanosleep(&pause, NULL);
    }
    err_set(err, OPS_EXIT_FAILED, NULL, "%s was not ready within %lu seconds", s->name,
            s->ready.within);
    err_hint(err, "`ops instance logs %s` shows what it wrote", s->instance);
    return false;
}
