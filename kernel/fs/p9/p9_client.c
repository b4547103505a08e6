/* SPDX-License-Identifier: Apache-2.0 */
/* Requests, their answers, fids: see p9_client.h. */
#include "fs/p9/p9_client.h"

#include <linux/errno.h>

#include "core/log.h"
#include "file/wait.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "sched/clock.h"
#include "sched/thread.h"

#define PATIENCE    NSEC_PER_SEC /* a server may take before signals are heeded */
#define ERROR_REPLY (P9_HEAD + 4u)
#define ERRNO_MAX   133
#define COMPLAINTS  8 /* a server that answers nonsense for ever does not fill the log */
#define MSIZE_LEAST 8192

static struct p9_request *request_create(struct p9_client *c)
{
    struct p9_request *r = kzalloc(sizeof *r);
    if (!r)
        return NULL;
    r->client = c;
    waitq_init(&r->wait);
    irqflags_t flags = spin_lock_irq(&c->lock);
    bool room = c->request_count < P9_NOTAG;
    r->tag = (uint16_t)c->request_count;
    c->request_count += room;
    spin_unlock_irq(&c->lock, flags);
    if (room)
        return r;
    kfree(r);
    return NULL;
}

static struct list *take(struct p9_client *c, struct list *from)
{
    irqflags_t flags = spin_lock_irq(&c->lock);
    struct list *l = list_pop_head(from);
    spin_unlock_irq(&c->lock, flags);
    return l;
}

static void give(struct p9_client *c, struct list *to, struct list *l)
{
    irqflags_t flags = spin_lock_irq(&c->lock);
    list_add_head(to, l);
    spin_unlock_irq(&c->lock, flags);
}

struct p9_request *p9_request_long(struct p9_client *c, enum p9_type type, size_t out, size_t in)
{
    struct list *l = take(c, &c->requests);
    struct p9_request *r = l ? LIST_ENTRY(l, struct p9_request, link) : request_create(c);
    if (!r)
        return NULL;
    r->type = (uint8_t)type;
    r->fid = NULL;
    r->pieces = 0;
    r->data = 0;
    r->data_in = false;
    r->spare = NULL;
    r->out = (struct p9_buf){.data = r->out_bytes, .at = P9_HEAD, .size = sizeof r->out_bytes};
    r->in = (struct p9_buf){.data = r->in_bytes, .size = sizeof r->in_bytes};
    out = out > sizeof r->out_bytes ? out : 0;
    in = in > sizeof r->in_bytes ? in : 0;
    if (!out && !in)
        return r;
    uint8_t *more = r->spare = kmalloc(out + in);
    if (!more) {
        p9_release(r, 0);
        return NULL;
    }
    if (out)
        r->out = (struct p9_buf){.data = more, .at = P9_HEAD, .size = out};
    if (in)
        r->in = (struct p9_buf){.data = more + out, .size = in};
    return r;
}

struct p9_request *p9_request(struct p9_client *c, enum p9_type type)
{
    return p9_request_long(c, type, 0, 0);
}

int p9_release(struct p9_request *r, int err)
{
    kfree(r->spare);
    r->spare = NULL;
    give(r->client, &r->client->requests, &r->link);
    return err;
}

static void data_add(struct p9_request *r, void *data, uint32_t len)
{
    r->piece[2 + r->pieces++] = (struct p9_piece){data, len};
    r->data += len;
}

void p9_data_out(struct p9_request *r, const void *data, uint32_t len)
{
    data_add(r, (void *)data, len);
}

void p9_data_in(struct p9_request *r, uint32_t head, void *data, uint32_t len)
{
    r->data_in = true;
    r->in.size = head;
    data_add(r, data, len);
}

/* Interrupt context. Requests are never freed, so the waiter may go on meanwhile. */
static void request_done(struct p9_transfer *t)
{
    struct p9_request *r = CONTAINER_OF(t, struct p9_request, transfer);
    __atomic_store_n(&r->done, true, __ATOMIC_RELEASE);
    waitq_wake(&r->wait, 0);
}

static void submit(struct p9_request *r, void (*done)(struct p9_transfer *t))
{
    struct p9_buf head = {.data = r->out.data, .size = P9_HEAD};
    bool data_out = r->pieces && !r->data_in;
    p9_put32(&head, (uint32_t)r->out.at + (data_out ? r->data : 0));
    p9_put8(&head, r->type);
    p9_put16(&head, r->type == P9_TVERSION ? P9_NOTAG : r->tag);
    /* The data stands at piece[2]: before it goes what it follows. */
    unsigned first = data_out ? 1 : 0;
    struct p9_piece answer = {r->in.data, (uint32_t)r->in.size};
    r->piece[first] = (struct p9_piece){r->out.data, (uint32_t)r->out.at};
    r->piece[data_out ? 2 + r->pieces : 1] = answer;
    r->transfer = (struct p9_transfer){.piece = r->piece + first,
                                       .out = data_out ? 1 + r->pieces : 1,
                                       .in = data_out ? 1 : 1 + r->pieces,
                                       .done = done};
    r->done = false;
    r->client->channel->ops->submit(r->client->channel, &r->transfer);
}

/* Until it is answered. -EINTR, only if `signals`: a signal came after a while. */
static int request_wait(struct p9_request *r, bool signals)
{
    struct waiter w;
    uint64_t deadline = signals ? clock_now() + PATIENCE : CLOCK_NEVER;
    bool listen = false;
    int err = 0;
    waiter_init(&w);
    for (;;) {
        waitq_add(&r->wait, &w);
        if (__atomic_load_n(&r->done, __ATOMIC_ACQUIRE) || err == -EINTR)
            break;
        err = thread_block(deadline, listen);
        if (err == -ETIMEDOUT) {
            listen = true;
            deadline = CLOCK_NEVER;
        }
    }
    waitq_remove(&w);
    return __atomic_load_n(&r->done, __ATOMIC_ACQUIRE) ? 0 : -EINTR;
}

/* Asks the server to drop the request, and waits until it is answered or dropped. */
static void request_flush(struct p9_request *r)
{
    struct p9_request *f = p9_request(r->client, P9_TFLUSH);
    if (f) {
        p9_put16(&f->out, r->tag);
        submit(f, request_done);
        request_wait(f, false);
        p9_release(f, 0);
    }
    request_wait(r, false);
}

int p9_complain(struct p9_client *c, enum p9_type type)
{
    if (__atomic_fetch_add(&c->complaints, 1, __ATOMIC_RELAXED) < COMPLAINTS)
        log_error("9p: %s: a malformed answer to message %u", c->channel->tag, type);
    return -EIO;
}

int p9_nonsense(struct p9_request *r)
{
    return p9_complain(r->client, r->type);
}

/* The answer's header. `room`: bytes that an answer may have. */
static int answer_check(struct p9_request *r, size_t room)
{
    struct p9_client *c = r->client;
    size_t written = r->transfer.written;
    r->in.at = 0;
    r->in.bad = false;
    r->in.size = MIN(r->in.size, written);
    uint32_t size = p9_get32(&r->in);
    uint8_t type = p9_get8(&r->in);
    uint16_t tag = p9_get16(&r->in);
    uint16_t sent = r->type == P9_TVERSION ? P9_NOTAG : r->tag;
    if (r->in.bad || size < P9_HEAD || size > written || size > room || tag != sent)
        return p9_complain(c, r->type);
    r->answered = size;
    r->in.size = MIN(r->in.size, (size_t)size);
    if (type == r->type + 1)
        return 0;
    uint32_t code = type == P9_RLERROR ? p9_get32(&r->in) : 0;
    if (r->in.bad || code == 0 || code > ERRNO_MAX)
        return p9_complain(c, r->type);
    return -(int)code;
}

int p9_call(struct p9_request *r)
{
    size_t room = r->in.size + (r->data_in ? r->data : 0);
    bool flushed = false;
    if (r->out.bad)
        return -ENAMETOOLONG;
    submit(r, request_done);
    if (request_wait(r, true)) {
        request_flush(r);
        flushed = true;
    }
    if (r->transfer.status)
        return -EIO;
    if (flushed && !r->transfer.written)
        return -ERESTARTSYS; /* dropped: it had no effect */
    return answer_check(r, room);
}

struct p9_fid *p9_fid_alloc(struct p9_client *c)
{
    struct list *l = take(c, &c->fids);
    struct p9_fid *f = l ? LIST_ENTRY(l, struct p9_fid, link) : kzalloc(sizeof *f);
    if (!f)
        return NULL;
    if (!l) {
        f->client = c;
        f->number = __atomic_fetch_add(&c->fid_count, 1, __ATOMIC_RELAXED);
    }
    f->refs = 1;
    return f;
}

void p9_fid_get(struct p9_fid *f)
{
    __atomic_add_fetch(&f->refs, 1, __ATOMIC_RELAXED);
}

void p9_fid_free(struct p9_fid *f)
{
    give(f->client, &f->client->fids, &f->link);
}

/* Interrupt context: whatever the answer is, the server has forgotten the fid. */
static void clunk_done(struct p9_transfer *t)
{
    struct p9_request *r = CONTAINER_OF(t, struct p9_request, transfer);
    struct p9_client *c = r->client;
    p9_fid_free(r->fid);
    p9_release(r, 0);
    __atomic_sub_fetch(&c->clunks, 1, __ATOMIC_RELEASE);
}

/* False: no memory. */
static bool fid_clunk(struct p9_fid *f)
{
    struct p9_request *r = p9_request(f->client, P9_TCLUNK);
    if (!r)
        return false;
    r->fid = f;
    p9_put32(&r->out, f->number);
    __atomic_add_fetch(&f->client->clunks, 1, __ATOMIC_RELAXED);
    submit(r, clunk_done);
    return true;
}

void p9_fid_put(struct p9_fid *f)
{
    if (!f || __atomic_sub_fetch(&f->refs, 1, __ATOMIC_ACQ_REL))
        return;
    struct p9_client *c = f->client;
    for (struct list *l = &f->link; l; l = take(c, &c->stale)) {
        if (fid_clunk(LIST_ENTRY(l, struct p9_fid, link)))
            continue;
        give(c, &c->stale, l);
        return;
    }
}

int p9_client_init(struct p9_client *c, struct p9_channel *channel)
{
    *c = (struct p9_client){.channel = channel};
    list_init(&c->requests);
    list_init(&c->fids);
    list_init(&c->stale);
    struct p9_request *r = p9_request(c, P9_TVERSION);
    if (!r)
        return -ENOMEM;
    p9_put32(&r->out, P9_MSIZE);
    p9_put_string(&r->out, P9_VERSION, strlen(P9_VERSION));
    int err = p9_call(r);
    size_t n;
    c->msize = err ? 0 : p9_get32(&r->in);
    const char *version = p9_get_string(&r->in, &n);
    if (!err && (!version || c->msize > P9_MSIZE))
        err = p9_nonsense(r);
    else if (!err &&
             (n != strlen(P9_VERSION) || memcmp(version, P9_VERSION, n) || c->msize < MSIZE_LEAST))
        err = -EPROTONOSUPPORT;
    if (p9_release(r, err))
        p9_client_destroy(c);
    return err;
}

void p9_client_destroy(struct p9_client *c)
{
    for (struct list *l; (l = list_pop_head(&c->requests));)
        kfree(LIST_ENTRY(l, struct p9_request, link));
    for (struct list *l; (l = list_pop_head(&c->fids));)
        kfree(LIST_ENTRY(l, struct p9_fid, link));
    for (struct list *l; (l = list_pop_head(&c->stale));)
        kfree(LIST_ENTRY(l, struct p9_fid, link));
}
