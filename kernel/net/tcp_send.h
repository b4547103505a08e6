/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data on its way out of a TCP connection: copied once from the program into
 * chunks, which lwIP's segments and the device point to until the other side has
 * acknowledged them; sendfile(2) has them point to pages of a file. The queue may outlive its
 * socket. Under the stack lock.
 */
#pragma once

#include "lwip/tcp.h"
#include "vm/uio.h"

struct file_pages;
struct tcp_chunk;

struct tcp_queue {
    struct tcp_chunk *first, *last;
    size_t acknowledged; /* bytes of the first chunk */
    size_t bytes;        /* in all chunks, acknowledged or not */
};

/*
 * Hands up to `limit` bytes of u to the connection; what was taken is u->done's
 * growth. 0, -EAGAIN (lwIP takes no more now), -ENOMEM, -EFAULT.
 */
int tcp_queue_add(struct tcp_queue *q, struct tcp_pcb *pcb, struct uio *u, size_t limit, bool more);
/* The same for bytes in pages, which are not copied: the queue gets references. Not -EFAULT. */
int tcp_queue_add_pages(struct tcp_queue *q, struct tcp_pcb *pcb, struct file_pages *p,
                        size_t limit, bool more);
/* So many bytes have been acknowledged. */
void tcp_queue_acknowledge(struct tcp_queue *q, size_t n);
void tcp_queue_free(struct tcp_queue *q);
/* The socket closes with data unsent: the connection gets a queue of its own. False: no memory. */
bool tcp_queue_orphan(struct tcp_queue *q, struct tcp_pcb *pcb);
