/* SPDX-License-Identifier: Apache-2.0 */
/* A 9P2000.L server over a directory of the host; see the header. */
#include "fake_p9.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "fs/p9/p9_wire.h"

#define FIDS   512
#define ROOM   (600u << 10)
#define PATH_N 1024

struct fid {
    bool used;
    char path[PATH_N];
    int fd;
    DIR *dir;
    char xattr[256]; /* being set */
    bool setting;
};

static struct fid *fids; /* of the channel that is being served */

static struct fid *fid_at(struct p9_buf *in)
{
    uint32_t n = p9_get32(in);
    return n < FIDS && fids[n].used ? &fids[n] : NULL;
}

/* A fid that is not in use becomes the path. */
static bool fid_new(struct fake_p9 *f, uint32_t n, const char *path)
{
    if (n >= FIDS || fids[n].used)
        return false;
    fids[n] = (struct fid){.used = true, .fd = -1};
    snprintf(fids[n].path, PATH_N, "%s", path);
    f->fids++;
    f->fids_most = f->fids > f->fids_most ? f->fids : f->fids_most;
    return true;
}

static void fid_end(struct fake_p9 *f, struct fid *d)
{
    if (d->dir)
        closedir(d->dir);
    else if (d->fd >= 0)
        close(d->fd);
    d->used = false;
    f->fids--;
}

static void path_of(const struct fid *dir, struct p9_buf *in, char out[PATH_N])
{
    size_t len;
    const char *name = p9_get_string(in, &len);
    size_t n = strlen(dir->path);
    if (!name || n + len + 2 > PATH_N)
        len = 0;
    memmove(out, dir->path, n);
    out[n] = '/';
    memcpy(out + n + 1, name ? name : "", len);
    out[n + 1 + len] = 0;
}

static void put_qid(struct p9_buf *out, const struct stat *st)
{
    p9_put8(out, S_ISDIR(st->st_mode) ? P9_QTDIR : S_ISLNK(st->st_mode) ? P9_QTSYMLINK : 0);
    p9_put32(out, (uint32_t)st->st_mtim.tv_nsec ^ (uint32_t)st->st_size << 8);
    p9_put64(out, st->st_ino);
}

static int put_qid_of(struct p9_buf *out, const char *path)
{
    struct stat st;
    if (lstat(path, &st))
        return errno;
    put_qid(out, &st);
    return 0;
}

static int serve_getattr(struct fid *d, struct p9_buf *out)
{
    struct stat st;
    if (lstat(d->path, &st))
        return errno;
    p9_put64(out, P9_GETATTR_BASIC);
    put_qid(out, &st);
    p9_put32(out, st.st_mode);
    p9_put32(out, st.st_uid);
    p9_put32(out, st.st_gid);
    p9_put64(out, st.st_nlink);
    p9_put64(out, st.st_rdev);
    p9_put64(out, (uint64_t)st.st_size);
    p9_put64(out, 4096);
    p9_put64(out, (uint64_t)st.st_blocks);
    const struct timespec times[] = {st.st_atim, st.st_mtim, st.st_ctim, {0, 0}};
    for (unsigned i = 0; i < 4; i++) {
        p9_put64(out, (uint64_t)times[i].tv_sec);
        p9_put64(out, (uint64_t)times[i].tv_nsec);
    }
    p9_put64(out, 0);
    p9_put64(out, 0);
    return 0;
}

static int serve_setattr(struct fid *d, struct p9_buf *in)
{
    uint32_t mask = p9_get32(in), mode = p9_get32(in);
    p9_get64(in); /* owner */
    uint64_t size = p9_get64(in);
    if (mask & P9_SETATTR_MODE && chmod(d->path, mode & 07777))
        return errno;
    return mask & P9_SETATTR_SIZE && truncate(d->path, (off_t)size) ? errno : 0;
}

static int serve_open(struct fid *d, uint32_t flags, uint32_t mode, struct p9_buf *out)
{
    d->fd = open(d->path, (int)flags | O_NOFOLLOW | O_CLOEXEC, mode & 07777);
    if (d->fd < 0)
        return errno;
    if (flags & O_DIRECTORY)
        d->dir = fdopendir(d->fd);
    int err = put_qid_of(out, d->path);
    p9_put32(out, 0);
    return err;
}

static int serve_read(struct fid *d, struct p9_buf *in, struct p9_buf *out)
{
    uint64_t off = p9_get64(in);
    uint32_t n = p9_get32(in);
    ssize_t got;
    if (n > out->size - out->at - 4)
        return EINVAL;
    if (d->fd >= 0)
        got = pread(d->fd, out->data + out->at + 4, n, (off_t)off);
    else
        got = off ? 0 : lgetxattr(d->path, d->xattr, out->data + out->at + 4, n);
    if (got < 0)
        return errno;
    p9_put32(out, (uint32_t)got);
    out->at += (size_t)got;
    return 0;
}

static int serve_write(struct fid *d, struct p9_buf *in, struct p9_buf *out)
{
    uint64_t off = p9_get64(in);
    uint32_t n = p9_get32(in);
    if (n > in->size - in->at)
        return EINVAL;
    ssize_t put = d->setting
                      ? (lsetxattr(d->path, d->xattr, in->data + in->at, n, 0) ? -1 : (ssize_t)n)
                      : pwrite(d->fd, in->data + in->at, n, (off_t)off);
    if (put < 0)
        return errno;
    p9_put32(out, (uint32_t)put);
    return 0;
}

static int serve_readdir(struct fid *d, struct p9_buf *in, struct p9_buf *out)
{
    uint64_t pos = p9_get64(in);
    uint32_t n = p9_get32(in);
    size_t count = out->at;
    if (!d->dir)
        return EBADF;
    p9_put32(out, 0);
    seekdir(d->dir, (long)pos);
    if (!pos)
        rewinddir(d->dir);
    for (struct dirent *e; (e = readdir(d->dir));) {
        if (out->at - count - 4 + 24 + strlen(e->d_name) > n)
            break;
        p9_put8(out, e->d_type == DT_DIR ? P9_QTDIR : 0);
        p9_put32(out, 0);
        p9_put64(out, e->d_ino);
        p9_put64(out, (uint64_t)e->d_off);
        p9_put8(out, e->d_type);
        p9_put_string(out, e->d_name, strlen(e->d_name));
    }
    struct p9_buf head = {.data = out->data + count, .size = 4};
    p9_put32(&head, (uint32_t)(out->at - count - 4));
    return 0;
}

static int serve_walk(struct fake_p9 *f, struct fid *d, struct p9_buf *in, struct p9_buf *out)
{
    uint32_t n = p9_get32(in);
    unsigned names = p9_get16(in);
    char path[PATH_N];
    struct stat st;
    snprintf(path, sizeof path, "%s", d->path);
    if (names)
        path_of(d, in, path);
    if (lstat(path, &st))
        return errno;
    if (!fid_new(f, n, path))
        return EBADF;
    p9_put16(out, (uint16_t)names);
    if (names)
        put_qid(out, &st);
    return 0;
}

static int serve_rename(struct fid *from, struct p9_buf *in)
{
    char a[PATH_N], b[PATH_N];
    path_of(from, in, a);
    struct fid *to = fid_at(in);
    if (!to)
        return EBADF;
    path_of(to, in, b);
    if (rename(a, b))
        return errno;
    for (unsigned i = 0; i < FIDS; i++) /* as QEMU: fids follow a rename */
        if (fids[i].used && !strcmp(fids[i].path, a))
            snprintf(fids[i].path, PATH_N, "%s", b);
    return 0;
}

static int serve_names(uint8_t type, struct fid *d, struct p9_buf *in, struct p9_buf *out)
{
    char path[PATH_N], text[PATH_N];
    size_t len;
    path_of(d, in, path);
    switch (type) {
    case P9_TLCREATE:
        snprintf(d->path, PATH_N, "%s", path);
        uint32_t flags = p9_get32(in);
        return serve_open(d, flags | O_CREAT, p9_get32(in), out);
    case P9_TMKDIR:
        return mkdir(path, p9_get32(in) & 07777) ? errno : put_qid_of(out, path);
    case P9_TSYMLINK: {
        const char *target = p9_get_string(in, &len);
        snprintf(text, sizeof text, "%.*s", (int)len, target);
        return symlink(text, path) ? errno : put_qid_of(out, path);
    }
    case P9_TUNLINKAT:
        return (p9_get32(in) & AT_REMOVEDIR ? rmdir(path) : unlink(path)) ? errno : 0;
    default:
        return EOPNOTSUPP;
    }
}

static int serve_xattr_walk(struct fake_p9 *f, struct fid *d, struct p9_buf *in, struct p9_buf *out)
{
    uint32_t n = p9_get32(in);
    size_t len;
    const char *name = p9_get_string(in, &len);
    if (!fid_new(f, n, d->path))
        return EBADF;
    snprintf(fids[n].xattr, sizeof fids[n].xattr, "%.*s", (int)len, name);
    ssize_t size = lgetxattr(d->path, fids[n].xattr, NULL, 0);
    if (size < 0) {
        int err = errno;
        fid_end(f, &fids[n]);
        return err;
    }
    p9_put64(out, (uint64_t)size);
    return 0;
}

static int serve_fid(struct fake_p9 *f, uint8_t type, struct p9_buf *in, struct p9_buf *out)
{
    char path[PATH_N];
    struct fid *d = fid_at(in), *target;
    if (!d)
        return EBADF;
    switch (type) {
    case P9_TWALK:
        return serve_walk(f, d, in, out);
    case P9_TGETATTR:
        return serve_getattr(d, out);
    case P9_TSETATTR:
        return serve_setattr(d, in);
    case P9_TLOPEN:
        return serve_open(d, p9_get32(in), 0, out);
    case P9_TREAD:
        return serve_read(d, in, out);
    case P9_TWRITE:
        return serve_write(d, in, out);
    case P9_TREADDIR:
        return serve_readdir(d, in, out);
    case P9_TRENAMEAT:
        return serve_rename(d, in);
    case P9_TXATTRWALK:
        return serve_xattr_walk(f, d, in, out);
    case P9_TFSYNC:
        return 0;
    case P9_TCLUNK:
        fid_end(f, d);
        return 0;
    case P9_TLINK:
        target = fid_at(in);
        path_of(d, in, path);
        return !target ? EBADF : link(target->path, path) ? errno : 0;
    case P9_TREADLINK: {
        ssize_t n = readlink(d->path, path, sizeof path);
        if (n < 0)
            return errno;
        p9_put_string(out, path, (size_t)n);
        return 0;
    }
    default:
        return serve_names(type, d, in, out);
    }
}

static int serve(struct fake_p9 *f, uint8_t type, struct p9_buf *in, struct p9_buf *out)
{
    if (type == P9_TVERSION) {
        p9_put32(out, p9_get32(in));
        p9_put_string(out, P9_VERSION, strlen(P9_VERSION));
        return 0;
    }
    if (type == P9_TFLUSH)
        return 0;
    if (type != P9_TATTACH)
        return serve_fid(f, type, in, out);
    return fid_new(f, p9_get32(in), f->root) ? put_qid_of(out, f->root) : EBADF;
}

/* Copies between the pieces and one block. */
static uint32_t pieces_copy(const struct p9_piece *p, unsigned n, uint8_t *block, uint32_t len,
                            bool out)
{
    uint32_t at = 0;
    for (unsigned i = 0; i < n; i++) {
        uint32_t part = p[i].len < len - at ? p[i].len : len - at;
        if (out)
            memcpy(p[i].data, block + at, part);
        else
            memcpy(block + at, p[i].data, part);
        at += part;
    }
    return at;
}

static uint32_t pieces_bytes(const struct p9_piece *p, unsigned n)
{
    uint32_t sum = 0;
    for (unsigned i = 0; i < n; i++)
        sum += p[i].len;
    return sum;
}

static void answer(struct fake_p9 *f, struct p9_transfer *t)
{
    fids = f->table;
    static uint8_t request[ROOM], reply[ROOM];
    uint32_t n = pieces_copy(t->piece, t->out, request, ROOM, false);
    uint32_t room = pieces_bytes(t->piece + t->out, t->in);
    struct p9_buf in = {.data = request, .size = n}, out = {.data = reply, .at = 7, .size = ROOM};
    p9_get32(&in);
    uint8_t type = p9_get8(&in);
    uint16_t tag = p9_get16(&in);
    int err = serve(f, type, &in, &out);
    if (err) {
        out.at = 7;
        p9_put32(&out, (uint32_t)err);
    }
    struct p9_buf head = {.data = reply, .size = 7};
    p9_put32(&head, (uint32_t)out.at);
    p9_put8(&head, err ? P9_RLERROR : type + 1);
    p9_put16(&head, tag);
    uint32_t len = (uint32_t)out.at;
    if (f->spoil && (!f->spoil_type || f->spoil_type == type))
        len = f->spoil(type, reply, len, room);
    f->messages++;
    t->status = 0;
    t->written = pieces_copy(t->piece + t->out, t->in, reply, len, true);
    t->done(t);
}

static void submit(struct p9_channel *c, struct p9_transfer *t)
{
    struct fake_p9 *f = c->priv;
    uint8_t type = ((const uint8_t *)t->piece[0].data)[4];
    if (f->hold_type && f->hold_type == type) {
        f->hold_type = 0;
        f->held = t;
        return;
    }
    struct p9_transfer *held = type == P9_TFLUSH ? f->held : NULL;
    if (held) {
        f->held = NULL;
        held->status = 0;
        held->written = 0;
        if (f->drop)
            held->done(held);
        else
            answer(f, held);
    }
    answer(f, t);
}

static const struct p9_channel_ops fake_ops = {.submit = submit};

void fake_p9_start(struct fake_p9 *f, const char *tag)
{
    *f = (struct fake_p9){0};
    strcpy(f->root, "/tmp/fake-p9-XXXXXX");
    if (!mkdtemp(f->root))
        abort();
    f->channel = (struct p9_channel){.ops = &fake_ops, .pieces = 128, .priv = f};
    strcpy(f->channel.tag, tag);
    f->table = calloc(FIDS, sizeof *fids);
    p9_channel_register(&f->channel);
}

void fake_p9_end(struct fake_p9 *f)
{
    char command[128];
    list_remove(&f->channel.link);
    fids = f->table;
    for (unsigned i = 0; i < FIDS; i++)
        if (fids[i].used)
            fid_end(f, &fids[i]);
    free(f->table);
    snprintf(command, sizeof command, "rm -rf %s", f->root);
    if (system(command))
        abort();
}
