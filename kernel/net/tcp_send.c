/* SPDX-License-Identifier: Apache-2.0 */
/* The queue of data to send: see tcp_send.h. */
#include "net/tcp_send.h"

#include <linux/errno.h>

#include "file/sendfile.h"
#include "mem/kmalloc.h"
#include "mem/page.h"
#include "net/link.h"

#define CHUNK_MIN 256u
#define CHUNK_MAX 32512u /* with its head half a 64 KiB block */

struct tcp_chunk {
    struct link_grave grave;
    struct tcp_chunk *next;
    size_t used, size;
    struct page *page; /* the data is there, not here: referenced; or NULL */
    char data[];
};

static void chunk_free(struct link_grave *g)
{
    struct tcp_chunk *c = CONTAINER_OF(g, struct tcp_chunk, grave);
    if (c->page)
        page_put(c->page);
    kfree(c);
}

static void chunk_append(struct tcp_queue *q, struct tcp_chunk *c)
{
    c->next = NULL;
    if (q->last)
        q->last->next = c;
    else
        q->first = c;
    q->last = c;
}

/* The chunk that the next bytes go to: small writes share one. */
static struct tcp_chunk *chunk_for(struct tcp_queue *q, size_t want)
{
    struct tcp_chunk *c = q->last;
    if (c && c->used < c->size && (c->size - c->used >= want || want < CHUNK_MIN))
        return c;
    size_t size = MIN(MAX(want, (size_t)CHUNK_MIN), (size_t)CHUNK_MAX);
    c = kmalloc(sizeof *c + size);
    if (!c)
        return NULL;
    c->used = 0;
    c->size = size;
    c->page = NULL;
    chunk_append(q, c);
    return c;
}

/* Takes a chunk off the end that nothing was put into. */
static void last_drop(struct tcp_queue *q, struct tcp_chunk *c)
{
    struct tcp_chunk **p = &q->first, *before = NULL;
    while (*p != c) {
        before = *p;
        p = &before->next;
    }
    *p = NULL;
    q->last = before;
    kfree(c);
}

int tcp_queue_add(struct tcp_queue *q, struct tcp_pcb *pcb, struct uio *u, size_t limit, bool more)
{
    int err = 0;
    while (limit && u->left && !err) {
        size_t want = MIN(limit, u->left);
        struct tcp_chunk *c = chunk_for(q, want);
        if (!c)
            return -ENOMEM;
        size_t room = MIN(c->size - c->used, want), before = u->done;
        struct uio start = *u;
        err = uio_copy_in(u, c->data + c->used, room);
        size_t n = u->done - before;
        bool last = !more && (n == limit || !u->left);
        if (n &&
            tcp_write(pcb, c->data + c->used, (u16_t)n, last ? 0 : TCP_WRITE_FLAG_MORE) != ERR_OK) {
            *u = start;
            n = 0;
            err = -EAGAIN;
        }
        c->used += n;
        q->bytes += n;
        limit -= n;
        if (!c->used)
            last_drop(q, c);
    }
    return err;
}

int tcp_queue_add_pages(struct tcp_queue *q, struct tcp_pcb *pcb, struct file_pages *p,
                        size_t limit, bool more)
{
    while (limit && p->left) {
        struct page *page = p->page[p->next];
        size_t n = MIN(MIN(limit, p->left), PAGE_SIZE - p->from);
        struct tcp_chunk *c = kmalloc(sizeof *c);
        bool last = !more && (n == limit || n == p->left);
        if (!c)
            return -ENOMEM;
        if (tcp_write(pcb, (char *)page_address(page) + p->from, (u16_t)n,
                      last ? 0 : TCP_WRITE_FLAG_MORE) != ERR_OK) {
            kfree(c);
            return -EAGAIN;
        }
        page_get(page);
        *c = (struct tcp_chunk){.page = page, .used = n, .size = n};
        chunk_append(q, c);
        q->bytes += n;
        limit -= n;
        p->left -= n;
        p->from += n;
        if (p->from == PAGE_SIZE) {
            p->from = 0;
            p->next++;
        }
    }
    return 0;
}

void tcp_queue_acknowledge(struct tcp_queue *q, size_t n)
{
    q->acknowledged += n;
    while (q->first && q->acknowledged >= q->first->used) {
        struct tcp_chunk *c = q->first;
        q->acknowledged -= c->used;
        q->bytes -= c->used;
        q->first = c->next;
        if (!q->first)
            q->last = NULL;
        link_bury(&c->grave, chunk_free);
    }
    if (!q->first)
        q->acknowledged = 0; /* a FIN is counted too */
}

void tcp_queue_free(struct tcp_queue *q)
{
    tcp_queue_acknowledge(q, q->bytes);
}

static err_t orphan_sent(void *arg, struct tcp_pcb *pcb, u16_t n)
{
    struct tcp_queue *q = arg;
    tcp_queue_acknowledge(q, n);
    if (!q->first) {
        tcp_arg(pcb, NULL);
        tcp_sent(pcb, NULL);
        tcp_err(pcb, NULL);
        kfree(q);
    }
    return ERR_OK;
}

static void orphan_lost(void *arg, err_t err)
{
    (void)err;
    tcp_queue_free(arg);
    kfree(arg);
}

bool tcp_queue_orphan(struct tcp_queue *q, struct tcp_pcb *pcb)
{
    tcp_arg(pcb, NULL);
    tcp_sent(pcb, NULL);
    tcp_err(pcb, NULL);
    if (!q->first)
        return true;
    struct tcp_queue *orphan = kmalloc(sizeof *orphan);
    if (!orphan)
        return false;
    *orphan = *q;
    *q = (struct tcp_queue){0};
    tcp_arg(pcb, orphan);
    tcp_sent(pcb, orphan_sent);
    tcp_err(pcb, orphan_lost);
    return true;
}
