/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP requests over a socket as programs have them: see http_client.h. No state. */
#include "net/http_client.h"

#include <errno.h>
#include <linux/in.h>

#include "lib/fmt.h"
#include "lib/string.h"
#include "net/abi.h"
#include "net/socket.h"
#include "sched/clock.h"
#include "vm/uio.h"

#define REQUEST_MAX 1024u

/* What is left until the deadline is the patience of the next step. */
static int patience_set(struct file *f, uint64_t deadline)
{
    uint64_t now = clock_now();
    if (now >= deadline)
        return -ETIMEDOUT;
    f->patience[0] = f->patience[1] = deadline - now;
    return 0;
}

static int late(ssize_t err)
{
    return err == -EAGAIN || err == -EINPROGRESS ? -ETIMEDOUT : (int)err;
}

static int connect_to(struct socket *s, const struct http_request *q, uint64_t deadline)
{
    struct message to = {.name_len = sizeof(struct sockaddr_in)};
    struct sockaddr_in *in = (struct sockaddr_in *)&to.name;
    in->sin_family = AF_INET;
    in->sin_port = __builtin_bswap16(q->port);
    memcpy(&in->sin_addr, q->address, sizeof q->address);
    int err = patience_set(s->file, deadline);
    return err ? err : late(socket_connect(s, &to));
}

static int request_send(struct socket *s, const struct http_request *q, uint64_t deadline)
{
    char text[REQUEST_MAX];
    struct uio_vec vec;
    struct uio u;
    struct message m = {.uio = &u};
    size_t n = (size_t)snprintf(text, sizeof text,
                                "%s %s HTTP/1.1\r\nHost: %u.%u.%u.%u\r\nUser-Agent: ops\r\n"
                                "Accept: */*\r\nConnection: close\r\n%s%s\r\n",
                                q->method, q->path, q->address[0], q->address[1], q->address[2],
                                q->address[3], q->headers,
                                strcmp(q->method, "PUT") ? "" : "Content-Length: 0\r\n");
    if (n >= sizeof text)
        return -EMSGSIZE;
    uio_init_kernel(&u, &vec, text, n);
    int err = patience_set(s->file, deadline);
    ssize_t sent = err ? err : socket_send(s, &m);
    return sent < 0 ? late(sent) : (size_t)sent == n ? 0 : -EIO;
}

static int reply_receive(struct socket *s, char *buf, size_t size, uint64_t deadline,
                         struct http_reply *r)
{
    for (size_t have = 0; have < size;) {
        struct uio_vec vec;
        struct uio u;
        struct message m = {.uio = &u};
        uio_init_kernel(&u, &vec, buf + have, size - have);
        int err = patience_set(s->file, deadline);
        ssize_t n = err ? err : socket_receive(s, &m);
        if (n < 0)
            return late(n);
        have += (size_t)n;
        err = http_reply_parse(buf, have, n == 0, r);
        if (err != -EAGAIN)
            return err;
    }
    return -EFBIG;
}

int http_ask(const struct http_request *q, char *buf, size_t size, uint64_t deadline,
             struct http_reply *r)
{
    struct file *f;
    int err = socket_create(AF_INET, SOCK_STREAM, 0, 0, &f);
    if (err)
        return err;
    struct socket *s = socket_of(f);
    err = connect_to(s, q, deadline);
    if (!err)
        err = request_send(s, q, deadline);
    if (!err)
        err = reply_receive(s, buf, size, deadline, r);
    file_put(f);
    return err;
}
