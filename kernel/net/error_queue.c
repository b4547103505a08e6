/* SPDX-License-Identifier: Apache-2.0 */
/* Errors of the network that wait to be read: see error_queue.h. Main struct: entry. */
#include "net/error_queue.h"

#include <linux/errno.h>

#include "lib/string.h"
#include "lwip/pbuf.h"
#include "mem/kmalloc.h"
#include "net/abi.h"
#include "net/control_message.h"
#include "net/inet.h"

#define COST 256u /* of an error beside its bytes */

struct entry {
    struct list link;
    struct sock_extended_err error;
    ip_addr_t offender, to;
    u16_t port;
    size_t len;
    char data[];
};

void error_queue_init(struct error_queue *q)
{
    list_init(&q->entries);
    q->used = 0;
}

static void entry_free(struct error_queue *q, struct entry *e)
{
    list_remove(&e->link);
    q->used -= e->len + COST;
    kfree(e);
}

void error_queue_fini(struct error_queue *q)
{
    while (!list_empty(&q->entries))
        entry_free(q, LIST_ENTRY(q->entries.next, struct entry, link));
}

void error_queue_add(struct error_queue *q, const struct network_error *n, size_t room)
{
    size_t len = n->packet->tot_len > n->quoted ? n->packet->tot_len - n->quoted : 0;
    struct entry *e = q->used + len + COST <= room ? kmalloc(sizeof *e + len) : NULL;
    if (!e)
        return;
    *e = (struct entry){
        .error = {.ee_errno = (uint32_t)n->error,
                  .ee_origin = IP_IS_V6(&n->offender) ? SO_EE_ORIGIN_ICMP6 : SO_EE_ORIGIN_ICMP,
                  .ee_type = n->type,
                  .ee_code = n->code,
                  .ee_info = n->info},
        .offender = n->offender,
        .to = n->to,
        .port = n->port,
        .len = len};
    pbuf_copy_partial(n->packet, e->data, (u16_t)len, n->quoted);
    list_add_tail(&q->entries, &e->link);
    q->used += len + COST;
}

/* struct sock_extended_err, and the address of who found the error behind it. */
static void error_tell(const struct entry *e, int family, struct message *m)
{
    bool v6 = family == AF_INET6;
    struct {
        struct sock_extended_err error;
        char address[sizeof(struct sockaddr_in6)];
    } told = {.error = e->error};
    struct __kernel_sockaddr_storage name;
    unsigned n = inet_name(family, &e->offender, 0, &name);
    memcpy(told.address, &name, MIN((size_t)n, sizeof told.address));
    control_put(m, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVERR : IP_RECVERR, &told,
                sizeof told.error + n);
}

ssize_t error_queue_receive(struct error_queue *q, int family, struct message *m, int *next)
{
    if (list_empty(&q->entries))
        return -EAGAIN;
    struct entry *e = LIST_ENTRY(q->entries.next, struct entry, link);
    size_t n = MIN(e->len, m->uio->left);
    int err = uio_copy_out(m->uio, e->data, n);
    if (!err) {
        m->name_len = inet_name(family, &e->to, e->port, &m->name);
        m->out_flags |= MSG_ERRQUEUE | (n < e->len ? MSG_TRUNC : 0);
        error_tell(e, family, m);
    }
    entry_free(q, e);
    *next = list_empty(&q->entries)
                ? 0
                : (int)LIST_ENTRY(q->entries.next, struct entry, link)->error.ee_errno;
    return err ? err : (ssize_t)n;
}
