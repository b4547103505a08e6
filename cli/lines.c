/* SPDX-License-Identifier: Apache-2.0 */
/* Lines over a socket: see lines.h. */
#include "lines.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "alloc.h"
#include "ops/exit.h"

#define SILENCE    60000             /* ms; a machine may be slow under emulation */
#define LINE_MOST  ((size_t)4 << 20) /* bytes: who is asked may be anybody's */
#define TOTAL_MOST ((size_t)64 << 20)

bool lines_send(struct lines *l, const char *text, int fd, struct err *err)
{
    size_t left = strlen(text);
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof fd)];
    } control = {.head = {.cmsg_len = CMSG_LEN(sizeof fd),
                          .cmsg_level = SOL_SOCKET,
                          .cmsg_type = SCM_RIGHTS}};
    memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
    while (left) {
        struct iovec piece = {(void *)(uintptr_t)text, left};
        struct msghdr m = {.msg_iov = &piece, .msg_iovlen = 1};
        if (fd >= 0) {
            m.msg_control = &control;
            m.msg_controllen = sizeof control.space;
        }
        ssize_t n = sendmsg(l->fd, &m, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        l->ended = n < 0 && (errno == EPIPE || errno == ECONNRESET);
        if (n <= 0)
            return err_errno(err, "write to", l->whom);
        text += n;
        left -= (size_t)n;
        fd = -1;
    }
    return true;
}

char *lines_next(struct lines *l, struct err *err)
{
    for (;;) {
        char *end = l->in.size ? memchr(l->in.data, '\n', l->in.size) : NULL;
        if (end) {
            size_t n = (size_t)(end - l->in.data);
            char *line = alloc_bytes(l->in.data, n);
            buf_drop(&l->in, n + 1);
            return line;
        }
        if (l->in.size > LINE_MOST || (!l->endless && l->total > TOTAL_MOST)) {
            err_set(err, OPS_EXIT_FAILED, NULL, "%s says more than anybody asked for", l->whom);
            return NULL;
        }
        char bytes[4096];
        struct pollfd p = {.fd = l->fd, .events = POLLIN};
        int ready = poll(&p, 1, l->silence ? l->silence : SILENCE);
        ssize_t n = ready > 0 ? read(l->fd, bytes, sizeof bytes) : -1;
        l->ended = n == 0 || (n < 0 && ready > 0 && errno == ECONNRESET);
        if (n > 0) {
            buf_add(&l->in, bytes, (size_t)n);
            l->total += (size_t)n;
        } else if (ready == 0 || n == 0 || errno != EINTR) {
            err_set(err, OPS_EXIT_FAILED, NULL, ready ? "%s has ended" : "%s does not answer",
                    l->whom);
            return NULL;
        }
    }
}

bool lines_pending(const struct lines *l)
{
    return l->in.size && memchr(l->in.data, '\n', l->in.size);
}

void lines_close(struct lines *l)
{
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
    buf_free(&l->in);
}
