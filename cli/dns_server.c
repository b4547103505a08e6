/* SPDX-License-Identifier: Apache-2.0 */
/* Names on a network: see dns_server.h. One poll loop; a query that is passed on has a socket of
 * its own until it is answered or too old. */
#include "dns_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "dns.h"
#include "helper.h"
#include "lan.h"
#include "lease.h"

#define PORT        53
#define CARDS_MAX   8
#define ASKED_MAX   64 /* queries on their way at once; the oldest goes first */
#define ASKED_MS    10000
#define SERVERS_MAX 3
#define QUERY_MAX   4096
#define ROOM        512 /* for an answer behind the question */

struct asked {
    int fd; /* -1: free */
    int card;
    struct sockaddr_in client;
    unsigned id;
    unsigned tries;
    int64_t since; /* ms */
};

struct server {
    struct lan lan[CARDS_MAX];
    int fd[CARDS_MAX];
    int count;
    struct asked asked[ASKED_MAX];
    uint8_t message[DNS_MESSAGE];
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

/* This host's name servers, as its resolv.conf has them now. */
static size_t servers_read(struct cidr servers[SERVERS_MAX])
{
    char line[256], word[64];
    size_t n = 0;
    FILE *f = fopen("/etc/resolv.conf", "re");
    while (f && n < SERVERS_MAX && fgets(line, sizeof line, f))
        if (sscanf(line, " nameserver %63s", word) == 1 && cidr_parse_address(&servers[n], word))
            n++;
    if (f)
        fclose(f);
    return n;
}

/* A socket that has sent the query to the server; -1: none could. */
static int pass_on(const struct cidr *to, const uint8_t *message, size_t n)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};
    bool v6 = to->family == AF_INET6;
    memcpy(v6 ? (void *)&in6.sin6_addr : (void *)&in.sin_addr, to->bytes, v6 ? 16 : 4);
    int fd = socket(to->family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 &&
        connect(fd, v6 ? (struct sockaddr *)&in6 : (struct sockaddr *)&in,
                v6 ? sizeof in6 : sizeof in) == 0 &&
        send(fd, message, n, MSG_NOSIGNAL) == (ssize_t)n)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static void asked_end(struct asked *a)
{
    if (a->fd >= 0)
        close(a->fd);
    *a = (struct asked){.fd = -1};
}

/* The place of a query: that of the same one when the client asks again, else the best to give. */
static struct asked *asked_place(struct server *s, int card, const struct sockaddr_in *client,
                                 unsigned id)
{
    struct asked *best = &s->asked[0];
    for (size_t i = 0; i < ASKED_MAX; i++) {
        struct asked *a = &s->asked[i];
        if (a->fd >= 0 && a->card == card && a->id == id &&
            a->client.sin_port == client->sin_port &&
            a->client.sin_addr.s_addr == client->sin_addr.s_addr)
            return a;
        if (best->fd >= 0 && (a->fd < 0 || a->since < best->since))
            best = a;
    }
    asked_end(best);
    return best;
}

/* Asks the next of this host's servers; false: there is none. */
static bool ask(struct server *s, int card, const struct sockaddr_in *client, size_t n)
{
    struct cidr servers[SERVERS_MAX];
    size_t count = servers_read(servers);
    unsigned id = (unsigned)s->message[0] << 8 | s->message[1];
    struct asked *a = asked_place(s, card, client, id);
    unsigned tries = a->tries;
    asked_end(a);
    int fd = -1;
    for (size_t i = 0; i < count && fd < 0; i++)
        fd = pass_on(&servers[tries++ % count], s->message, n);
    if (fd < 0)
        return false;
    *a = (struct asked){
        .fd = fd, .card = card, .client = *client, .id = id, .tries = tries, .since = now_ms()};
    return true;
}

/* NAME or NAME.NETWORK. */
static bool is_called(const struct tenant *t, const char *name, const char *network)
{
    for (size_t i = 0; i < t->names.count; i++) {
        const char *own = t->names.items[i];
        size_t n = strlen(own);
        if (strncasecmp(own, name, n) == 0 &&
            (!name[n] || (name[n] == '.' && strcasecmp(name + n + 1, network) == 0)))
            return true;
    }
    return false;
}

/* The answer from the leases: its length; 0: the name is not of this network. */
static size_t answer(struct server *s, int card, const struct dns_question *q)
{
    const struct lan *lan = &s->lan[card];
    struct tenants all;
    struct cidr wanted;
    size_t length = 0;
    bool reverse = q->type == DNS_PTR && dns_reverse(&wanted, q->name);
    tenants_find(&all, lan);
    for (size_t i = 0; i < all.count && !length; i++) {
        const struct tenant *t = &all.items[i];
        bool meant = reverse ? t->names.count && (cidr_equal(&t->address, &wanted) ||
                                                  cidr_equal(&t->address6, &wanted))
                             : is_called(t, q->name, lan->name);
        if (meant)
            length =
                dns_answer(s->message, q, DNS_OK, q->type == DNS_AAAA ? &t->address6 : &t->address,
                           reverse ? t->names.items[0] : NULL);
    }
    bool own = reverse && (cidr_has(&lan->gateway, &wanted) ||
                           (lan->gateway6.family && cidr_has(&lan->gateway6, &wanted)));
    if (!length && (own || !strchr(q->name, '.')))
        length = dns_answer(s->message, q, DNS_NO_NAME, NULL, NULL);
    tenants_free(&all);
    return length;
}

/* Only who is on the network is answered. */
static bool is_local(const struct lan *lan, const struct sockaddr_in *client)
{
    struct cidr c = {.family = AF_INET, .bits = 32};
    memcpy(c.bytes, &client->sin_addr, 4);
    return cidr_has(&lan->gateway, &c);
}

static void query_take(struct server *s, int card)
{
    struct dns_question q;
    struct sockaddr_in client;
    socklen_t len = sizeof client;
    ssize_t n = recvfrom(s->fd[card], s->message, QUERY_MAX, 0, (struct sockaddr *)&client, &len);
    if (n <= 0 || !is_local(&s->lan[card], &client) || !dns_parse(&q, s->message, (size_t)n))
        return;
    size_t length = answer(s, card, &q);
    if (!length && !s->lan[card].nat)
        length = dns_answer(s->message, &q, DNS_REFUSED, NULL, NULL);
    else if (!length && !ask(s, card, &client, (size_t)n))
        length = dns_answer(s->message, &q, DNS_SERVER_FAILED, NULL, NULL);
    if (length)
        sendto(s->fd[card], s->message, length, MSG_NOSIGNAL, (struct sockaddr *)&client, len);
}

static void reply_take(struct server *s, struct asked *a)
{
    ssize_t n = recv(a->fd, s->message, sizeof s->message, 0);
    if (n < 2 || ((unsigned)s->message[0] << 8 | s->message[1]) != a->id)
        return; /* an error: the client asks again, and the next server is asked */
    sendto(s->fd[a->card], s->message, (size_t)n, MSG_NOSIGNAL, (struct sockaddr *)&a->client,
           sizeof a->client);
    asked_end(a);
}

static void run(void *arg)
{
    struct server *s = arg;
    struct pollfd polls[CARDS_MAX + ASKED_MAX];
    for (;;) {
        int n = 0;
        bool waits = false;
        for (; n < s->count; n++)
            polls[n] = (struct pollfd){s->fd[n], POLLIN, 0};
        for (size_t i = 0; i < ASKED_MAX; i++) {
            struct asked *a = &s->asked[i];
            if (a->fd >= 0 && now_ms() - a->since > ASKED_MS)
                asked_end(a);
            waits |= a->fd >= 0;
            polls[n++] = (struct pollfd){a->fd, POLLIN, 0};
        }
        if (poll(polls, (nfds_t)n, waits ? ASKED_MS : -1) < 0 && errno != EINTR)
            return;
        for (size_t i = 0; i < ASKED_MAX; i++)
            if (polls[(size_t)s->count + i].revents)
                reply_take(s, &s->asked[i]);
        for (int i = 0; i < s->count; i++)
            if (polls[i].revents)
                query_take(s, i);
    }
}

/* The network's port; -1: errno. */
static int port_bind(const struct lan *lan)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    const int on = 1;
    memcpy(&in.sin_addr, lan->gateway.bytes, 4);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&in, sizeof in) == 0)
        return fd;
    int number = errno;
    if (fd >= 0)
        close(fd);
    errno = number;
    return -1;
}

bool dns_server_start(const struct nic *nics, size_t count, pid_t *pid, struct err *err)
{
    struct server *s = alloc_zero(sizeof *s);
    for (size_t i = 0; i < ASKED_MAX; i++)
        s->asked[i].fd = -1;
    for (size_t i = 0; i < count && s->count < CARDS_MAX; i++) {
        char text[CIDR_TEXT];
        if (nics[i].kind != NIC_LAN)
            continue;
        int fd = port_bind(&nics[i].lan);
        cidr_address_text(&nics[i].lan.gateway, text);
        if (fd < 0) {
            fprintf(stderr, "ops: no names on the network %s: cannot bind %s port %d: %s\n",
                    nics[i].lan.name, text, PORT, strerror(errno));
            continue;
        }
        s->lan[s->count] = nics[i].lan;
        s->fd[s->count++] = fd;
    }
    bool ok = !s->count || helper_start(pid, run, s, s->fd, (size_t)s->count, err);
    for (int i = 0; i < s->count; i++)
        close(s->fd[i]);
    free(s);
    return ok;
}
