/* SPDX-License-Identifier: Apache-2.0 */
/* The messages, field by field (9P2000.L): see p9_calls.h. No state. */
#include "fs/p9/p9_calls.h"

#include <linux/errno.h>
#include <linux/fcntl.h>

#include "file/wait.h"
#include "fs/path.h"
#include "lib/string.h"
#include "sched/clock.h"

#define READ_HEAD  (P9_HEAD + 4u) /* Rread, Rreaddir: the count, then data */
#define LINK_HEAD  (P9_HEAD + 2u) /* Rreadlink: the length, then text */
#define MODE_TYPES (S_IFMT | 07777)

static void put_name(struct p9_buf *b, const struct vnode_name *name)
{
    p9_put_string(b, name->text, name->len);
}

/* A request about one fid, which its number begins; NULL when memory is out. */
static struct p9_request *request_of(struct p9_fid *f, enum p9_type type)
{
    struct p9_request *r = p9_request(f->client, type);
    if (r)
        p9_put32(&r->out, f->number);
    return r;
}

/* Sends a request whose answer says nothing but "done". */
static int call_plain(struct p9_request *r)
{
    return p9_release(r, p9_call(r));
}

/* The same where the answer is a qid that tells nothing new, or that and more. */
static int call_qid(struct p9_request *r)
{
    struct p9_qid qid;
    int err = p9_call(r);
    if (!err) {
        p9_get_qid(&r->in, &qid);
        err = r->in.bad ? p9_nonsense(r) : 0;
    }
    return p9_release(r, err);
}

/* After a call that was to make the fid: hands it out, or frees it. */
static int fid_made(struct p9_fid *f, int err, struct p9_fid **out)
{
    if (!err)
        *out = f;
    else if (err == -EIO || err == -ERESTARTSYS)
        p9_fid_put(f); /* who knows whether the server has it: it is told to forget it */
    else
        p9_fid_free(f);
    return err;
}

int p9_attach(struct p9_client *c, uint32_t uid, struct p9_fid **out, struct p9_qid *qid)
{
    struct p9_fid *f = p9_fid_alloc(c);
    if (!f)
        return -ENOMEM;
    struct p9_request *r = request_of(f, P9_TATTACH);
    if (!r)
        return fid_made(f, -ENOMEM, out);
    p9_put32(&r->out, P9_NOFID);
    p9_put_string(&r->out, "", 0); /* the user's name: the number counts */
    p9_put_string(&r->out, "", 0); /* which tree: there is one */
    p9_put32(&r->out, uid);
    int err = p9_call(r);
    if (!err) {
        p9_get_qid(&r->in, qid);
        err = r->in.bad ? p9_nonsense(r) : 0;
    }
    return fid_made(f, p9_release(r, err), out);
}

int p9_walk(struct p9_fid *dir, const struct vnode_name *name, struct p9_fid **out,
            struct p9_qid *qid)
{
    struct p9_fid *f = p9_fid_alloc(dir->client);
    if (!f)
        return -ENOMEM;
    struct p9_request *r = request_of(dir, P9_TWALK);
    if (!r)
        return fid_made(f, -ENOMEM, out);
    p9_put32(&r->out, f->number);
    p9_put16(&r->out, name ? 1 : 0);
    if (name)
        put_name(&r->out, name);
    int err = p9_call(r);
    if (!err) {
        unsigned n = p9_get16(&r->in);
        if (name)
            p9_get_qid(&r->in, qid);
        if (r->in.bad || n != (name ? 1 : 0))
            err = p9_nonsense(r);
    }
    return fid_made(f, p9_release(r, err), out);
}

int p9_getattr(struct p9_fid *f, struct p9_attr *a)
{
    struct p9_request *r = request_of(f, P9_TGETATTR);
    if (!r)
        return -ENOMEM;
    p9_put64(&r->out, P9_GETATTR_BASIC);
    int err = p9_call(r);
    if (!err && !p9_get_attr(&r->in, a))
        err = p9_nonsense(r);
    return p9_release(r, err);
}

static void put_time(struct p9_buf *b, int64_t ns)
{
    int64_t part = ns % (int64_t)NSEC_PER_SEC, seconds = ns / (int64_t)NSEC_PER_SEC;
    if (part < 0) {
        part += (int64_t)NSEC_PER_SEC;
        seconds--;
    }
    p9_put64(b, (uint64_t)seconds);
    p9_put64(b, (uint64_t)part);
}

int p9_setattr(struct p9_fid *f, unsigned mask, const struct vnode_attr *a, uint64_t size)
{
    struct p9_request *r = request_of(f, P9_TSETATTR);
    if (!r)
        return -ENOMEM;
    p9_put32(&r->out, mask);
    p9_put32(&r->out, a->mode);
    p9_put32(&r->out, a->uid);
    p9_put32(&r->out, a->gid);
    p9_put64(&r->out, size);
    put_time(&r->out, a->atime);
    put_time(&r->out, a->mtime);
    return call_plain(r);
}

int p9_lopen(struct p9_fid *f, uint32_t flags)
{
    struct p9_request *r = request_of(f, P9_TLOPEN);
    if (!r)
        return -ENOMEM;
    p9_put32(&r->out, flags);
    return call_qid(r);
}

int p9_lcreate(struct p9_fid *dir, const struct vnode_name *name, uint32_t flags, uint32_t mode,
               uint32_t gid)
{
    struct p9_request *r = request_of(dir, P9_TLCREATE);
    if (!r)
        return -ENOMEM;
    put_name(&r->out, name);
    p9_put32(&r->out, flags);
    p9_put32(&r->out, mode & MODE_TYPES);
    p9_put32(&r->out, gid);
    return call_qid(r);
}

int p9_make(struct p9_fid *dir, const struct vnode_name *name, const struct vnode_new *what)
{
    bool link = S_ISLNK(what->mode), directory = S_ISDIR(what->mode);
    size_t target = link ? strlen(what->target) : 0;
    struct p9_request *r = p9_request_long(dir->client,
                                           link        ? P9_TSYMLINK
                                           : directory ? P9_TMKDIR
                                                       : P9_TMKNOD,
                                           P9_SMALL + target, 0);
    if (!r)
        return -ENOMEM;
    p9_put32(&r->out, dir->number);
    put_name(&r->out, name);
    if (link)
        p9_put_string(&r->out, what->target, target);
    else
        p9_put32(&r->out, what->mode & MODE_TYPES);
    if (!link && !directory) {
        /* The two halves of the number as stat(2) encodes it. */
        p9_put32(&r->out, (uint32_t)(what->rdev >> 8 & 0xfff));
        p9_put32(&r->out, (uint32_t)((what->rdev & 0xff) | (what->rdev >> 12 & 0xfff00)));
    }
    p9_put32(&r->out, what->gid);
    return call_qid(r);
}

int p9_link(struct p9_fid *dir, const struct vnode_name *name, struct p9_fid *target)
{
    struct p9_request *r = request_of(dir, P9_TLINK);
    if (!r)
        return -ENOMEM;
    p9_put32(&r->out, target->number);
    put_name(&r->out, name);
    return call_plain(r);
}

int p9_rename(struct p9_fid *from, const struct vnode_name *old, struct p9_fid *to,
              const struct vnode_name *name)
{
    struct p9_request *r = request_of(from, P9_TRENAMEAT);
    if (!r)
        return -ENOMEM;
    put_name(&r->out, old);
    p9_put32(&r->out, to->number);
    put_name(&r->out, name);
    return call_plain(r);
}

int p9_unlink(struct p9_fid *dir, const struct vnode_name *name, bool directory)
{
    struct p9_request *r = request_of(dir, P9_TUNLINKAT);
    if (!r)
        return -ENOMEM;
    put_name(&r->out, name);
    p9_put32(&r->out, directory ? AT_REMOVEDIR : 0);
    return call_plain(r);
}

int p9_readlink(struct p9_fid *f, char *buf, size_t n)
{
    size_t len = 0;
    struct p9_request *r = p9_request_long(f->client, P9_TREADLINK, 0, LINK_HEAD + PATH_LIMIT);
    if (!r)
        return -ENOMEM;
    p9_put32(&r->out, f->number);
    int err = p9_call(r);
    const char *text = err ? NULL : p9_get_string(&r->in, &len);
    if (!err && (!text || !len || memchr(text, 0, len)))
        err = p9_nonsense(r);
    if (!err)
        memcpy(buf, text, MIN(len, n));
    return p9_release(r, err ? err : (int)MIN(len, n));
}

/* The count of Rread and Rreaddir, which may not be more than was asked for or came. */
static ssize_t data_count(struct p9_request *r)
{
    uint32_t n = p9_get32(&r->in);
    return r->in.bad || n > r->data || n != r->answered - READ_HEAD ? p9_nonsense(r) : (ssize_t)n;
}

ssize_t p9_read(struct p9_fid *f, uint64_t off, const struct p9_piece *piece, unsigned n)
{
    struct p9_request *r = request_of(f, P9_TREAD);
    if (!r)
        return -ENOMEM;
    for (unsigned i = 0; i < n; i++)
        p9_data_in(r, READ_HEAD, piece[i].data, piece[i].len);
    p9_put64(&r->out, off);
    p9_put32(&r->out, r->data);
    ssize_t got = p9_call(r);
    if (!got)
        got = data_count(r);
    p9_release(r, 0);
    return got;
}

ssize_t p9_write(struct p9_fid *f, uint64_t off, const struct p9_piece *piece, unsigned n)
{
    struct p9_request *r = request_of(f, P9_TWRITE);
    if (!r)
        return -ENOMEM;
    for (unsigned i = 0; i < n; i++)
        p9_data_out(r, piece[i].data, piece[i].len);
    p9_put64(&r->out, off);
    p9_put32(&r->out, r->data);
    ssize_t done = p9_call(r);
    if (!done) {
        uint32_t count = p9_get32(&r->in);
        done = r->in.bad || count > r->data ? p9_nonsense(r) : (ssize_t)count;
    }
    p9_release(r, 0);
    return done;
}

ssize_t p9_readdir(struct p9_fid *f, uint64_t pos, void *buf, uint32_t n)
{
    struct p9_request *r = request_of(f, P9_TREADDIR);
    if (!r)
        return -ENOMEM;
    p9_data_in(r, READ_HEAD, buf, n);
    p9_put64(&r->out, pos);
    p9_put32(&r->out, n);
    ssize_t got = p9_call(r);
    if (!got)
        got = data_count(r);
    p9_release(r, 0);
    return got;
}

int p9_fsync(struct p9_fid *f, bool data_only)
{
    struct p9_request *r = request_of(f, P9_TFSYNC);
    if (!r)
        return -ENOMEM;
    p9_put32(&r->out, data_only);
    return call_plain(r);
}

int p9_statfs(struct p9_fid *f, struct fs_stats *st)
{
    struct p9_request *r = request_of(f, P9_TSTATFS);
    if (!r)
        return -ENOMEM;
    int err = p9_call(r);
    if (!err) {
        st->type = p9_get32(&r->in);
        st->block_size = p9_get32(&r->in);
        st->blocks = p9_get64(&r->in);
        st->blocks_free = p9_get64(&r->in);
        st->blocks_available = p9_get64(&r->in);
        st->files = p9_get64(&r->in);
        st->files_free = p9_get64(&r->in);
        st->id = p9_get64(&r->in);
        st->name_max = p9_get32(&r->in);
        err = r->in.bad ? p9_nonsense(r) : 0;
    }
    return p9_release(r, err);
}

int p9_xattr_walk(struct p9_fid *f, const char *name, struct p9_fid **out, uint64_t *size)
{
    struct p9_fid *n = p9_fid_alloc(f->client);
    if (!n)
        return -ENOMEM;
    struct p9_request *r = request_of(f, P9_TXATTRWALK);
    if (!r)
        return fid_made(n, -ENOMEM, out);
    p9_put32(&r->out, n->number);
    p9_put_string(&r->out, name, strlen(name));
    int err = p9_call(r);
    if (!err) {
        *size = p9_get64(&r->in);
        err = r->in.bad ? p9_nonsense(r) : 0;
    }
    return fid_made(n, p9_release(r, err), out);
}

int p9_xattr_create(struct p9_fid *f, const char *name, uint64_t size, int flags)
{
    struct p9_request *r = request_of(f, P9_TXATTRCREATE);
    if (!r)
        return -ENOMEM;
    p9_put_string(&r->out, name, strlen(name));
    p9_put64(&r->out, size);
    p9_put32(&r->out, (uint32_t)flags);
    return call_plain(r);
}

int p9_clunk(struct p9_fid *f)
{
    struct p9_request *r = request_of(f, P9_TCLUNK);
    if (!r) {
        p9_fid_put(f);
        return -ENOMEM;
    }
    int err = call_plain(r);
    p9_fid_free(f);
    return err;
}
