/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content of shared files. read(2) and write(2) go through a block of kernel memory
 * straight to the host; mappings go through the page cache, whose pages are the
 * pieces of the message. Both agree: dirty pages are written before a read, and a
 * write also goes into the pages that are there. See p9_node.h.
 */
#include <linux/errno.h>
#include <linux/fcntl.h>

#include "fs/p9/p9_node.h"
#include "fs/page_cache.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "mem/page.h"
#include "vm/map.h"

#define BLOCK_ORDER_MAX 7 /* 512 KiB */
#define ALL_PAGES       (UINT64_MAX >> PAGE_SHIFT)

struct block {
    struct page *page;
    uint32_t size;
};

/* Kernel memory for up to n bytes; less where that is not free at once. False: not a page. */
static bool block_get(struct block *b, size_t n)
{
    unsigned order = 0;
    while (order < BLOCK_ORDER_MAX && PAGE_SIZE << order < n)
        order++;
    for (b->page = NULL; order && !b->page; order -= !b->page)
        b->page = page_alloc_free(order);
    if (!b->page)
        b->page = page_alloc(0);
    b->size = (uint32_t)MIN((uint64_t)n, PAGE_SIZE << order);
    return b->page;
}

/* A fid for the page cache: one that is kept, else opened now and kept. */
static int cache_fid(struct p9_node *n, struct p9_fid **which, uint32_t flags, struct p9_fid **out)
{
    *out = p9_node_fid(n, which);
    if (*out)
        return 0;
    int err = p9_node_open(n, flags, out);
    if (err)
        return err;
    p9_fid_get(*out);
    p9_node_set(n, which, *out);
    return 0;
}

/* Pieces of consecutive pages from byte `from` of them to byte `to`. */
static unsigned pieces_fill(struct p9_piece *piece, struct page **pages, uint64_t from, uint64_t to)
{
    unsigned n = 0;
    while (from < to && n < P9_PAGES) {
        uint64_t in = from & (PAGE_SIZE - 1), len = MIN(PAGE_SIZE - in, to - from);
        piece[n++] =
            (struct p9_piece){(char *)page_address(pages[from >> PAGE_SHIFT]) + in, (uint32_t)len};
        from += len;
    }
    return n;
}

typedef ssize_t move_fn(struct p9_fid *f, uint64_t off, const struct p9_piece *piece, unsigned n);

/* Moves `bytes` of the pages, which begin at `off` of the file; how many, fewer at the end. */
static ssize_t pages_move(struct p9_fid *f, uint64_t off, struct page **pages, uint64_t bytes,
                          move_fn *move)
{
    uint64_t done = 0, most = p9_data_max(f->client);
    struct p9_piece *piece = kzalloc_io(P9_PAGES * sizeof *piece);
    ssize_t n = piece ? 1 : -ENOMEM;
    while (n > 0 && done < bytes) {
        unsigned count = pieces_fill(piece, pages, done, MIN(bytes, done + most));
        n = move(f, off + done, piece, count);
        done += n > 0 ? (uint64_t)n : 0;
    }
    kfree(piece);
    return n < 0 ? n : (ssize_t)done;
}

int p9_read_pages(struct vnode *v, uint64_t index, struct page **pages, unsigned n)
{
    struct p9_fid *f;
    uint64_t bytes = (uint64_t)n << PAGE_SHIFT;
    int err = cache_fid(p9_node(v), &p9_node(v)->reader, O_RDONLY, &f);
    if (err)
        return err;
    ssize_t done = pages_move(f, index << PAGE_SHIFT, pages, bytes, p9_read);
    p9_fid_put(f);
    for (uint64_t at = done < 0 ? bytes : (uint64_t)done; at < bytes;) {
        uint64_t in = at & (PAGE_SIZE - 1);
        memset((char *)page_address(pages[at >> PAGE_SHIFT]) + in, 0, PAGE_SIZE - in);
        at += PAGE_SIZE - in;
    }
    return done < 0 ? (int)done : 0;
}

int p9_write_page(struct vnode *v, uint64_t index, struct page *fresh, struct page **out)
{
    (void)fresh;
    return page_cache_get(&v->cache, index, 1, out);
}

static int run_write(struct p9_fid *f, uint64_t size, struct page **pages, unsigned n)
{
    uint64_t off = pages[0]->index << PAGE_SHIFT;
    if (off >= size)
        return 0; /* the host made it shorter */
    uint64_t bytes = MIN((uint64_t)n << PAGE_SHIFT, size - off);
    ssize_t done = pages_move(f, off, pages, bytes, p9_write);
    return done < 0 ? (int)done : (uint64_t)done < bytes ? -EIO : 0;
}

int p9_write_pages(struct vnode *v, struct page **pages, unsigned n)
{
    struct p9_fid *f;
    uint64_t size = __atomic_load_n(&v->size, __ATOMIC_ACQUIRE);
    int err = cache_fid(p9_node(v), &p9_node(v)->writer, O_RDWR, &f);
    if (err)
        return err;
    for (unsigned i = 0, run; i < n && !err; i += run) {
        run = page_run(pages + i, n - i);
        err = run_write(f, size, pages + i, run);
    }
    p9_fid_put(f);
    return err;
}

void p9_drop_pages(struct p9_node *n)
{
    if (!__atomic_load_n(&n->v.cache.count, __ATOMIC_RELAXED))
        return;
    page_cache_drop_clean(&n->v.cache);
    vm_forget_hole(&n->v.cache.object, 0, ALL_PAGES);
}

/* What the host has been given goes into the pages that are in memory. */
static void pages_update(struct vnode *v, uint64_t off, const char *data, size_t n)
{
    if (!__atomic_load_n(&v->cache.count, __ATOMIC_ACQUIRE))
        return;
    while (n) {
        uint64_t in = off & (PAGE_SIZE - 1), index = off >> PAGE_SHIFT;
        size_t part = MIN((size_t)(PAGE_SIZE - in), n);
        struct page *p = page_cache_find_read(&v->cache, index);
        if (p) {
            memcpy((char *)page_address(p) + in, data, part);
            page_put(p);
        }
        off += part;
        data += part;
        n -= part;
    }
}

/* Where a read must end: for a file without a name the host does not know. */
static size_t read_limit(const struct p9_node *n, uint64_t pos, size_t want)
{
    if (!n->gone)
        return want;
    return n->v.size > pos ? (size_t)MIN((uint64_t)want, n->v.size - pos) : 0;
}

ssize_t p9_read_content(struct p9_node *n, struct p9_fid *f, struct uio *u, uint64_t *pos)
{
    size_t start = u->done, limit;
    int err = 0;
    if (__atomic_load_n(&n->v.cache.dirty_count, __ATOMIC_RELAXED))
        err = page_cache_write(&n->v.cache, *pos >> PAGE_SHIFT,
                               (*pos + u->left + PAGE_SIZE - 1) >> PAGE_SHIFT);
    while (!err && (limit = read_limit(n, *pos, u->left))) {
        struct block b;
        if (!block_get(&b, MIN(limit, (size_t)p9_data_max(f->client)))) {
            err = -ENOMEM;
            break;
        }
        struct p9_piece piece = {page_address(b.page), b.size};
        ssize_t got = p9_read(f, *pos, &piece, 1);
        if (got >= 0 && got < b.size && n->gone) { /* lengthened here */
            memset((char *)piece.data + got, 0, b.size - (size_t)got);
            got = b.size;
        }
        size_t before = u->done;
        err = got > 0 ? uio_copy_out(u, piece.data, (size_t)got) : (int)got;
        *pos += u->done - before;
        page_put(b.page);
        if (got <= 0 || (got < b.size && *pos >= n->v.size))
            break;
    }
    return u->done > start ? (ssize_t)(u->done - start) : err;
}

/* One message of a write: what came from the program and was taken by the host. */
static int write_part(struct p9_node *n, struct p9_fid *f, struct uio *u, uint64_t *pos, bool known)
{
    struct uio before = *u;
    struct block b;
    if (!block_get(&b, MIN(u->left, (size_t)p9_data_max(f->client))))
        return -ENOMEM;
    struct p9_piece piece = {page_address(b.page), 0};
    int err = uio_copy_in(u, piece.data, b.size);
    piece.len = (uint32_t)(u->done - before.done);
    ssize_t put = piece.len ? p9_write(f, *pos, &piece, 1) : 0;
    if (put < (ssize_t)piece.len)
        uio_revert(u, piece.len - (size_t)MAX(put, (ssize_t)0), &before);
    if (put > 0) {
        if (known)
            pages_update(&n->v, *pos, piece.data, (size_t)put);
        *pos += (uint64_t)put;
        if (*pos > n->v.size)
            __atomic_store_n(&n->v.size, *pos, __ATOMIC_RELEASE);
    }
    page_put(b.page);
    return err ? err : put < 0 ? (int)put : put < (ssize_t)piece.len ? -EIO : 0;
}

ssize_t p9_write_content(struct p9_node *n, struct p9_fid *f, struct uio *u, uint64_t *pos,
                         bool known)
{
    size_t start = u->done;
    int err = 0;
    if (u->left && (*pos > INT64_MAX || u->left > INT64_MAX - *pos))
        return -EFBIG;
    err = vnode_limit_write(&n->v, u, *pos);
    while (u->left && !err)
        err = write_part(n, f, u, pos, known);
    return u->done > start ? (ssize_t)(u->done - start) : err;
}

/* The new length here: pages behind it go. Locked. */
static void length_set(struct vnode *v, uint64_t size)
{
    uint64_t old = v->size, part = size >> PAGE_SHIFT, first = (size + PAGE_SIZE - 1) >> PAGE_SHIFT;
    __atomic_store_n(&v->size, size, __ATOMIC_RELEASE);
    if (size >= old || !v->cache.count)
        return;
    vm_forget_object(&v->cache.object, first, ALL_PAGES);
    page_cache_drop(&v->cache, part, ALL_PAGES);
    vm_forget_object(&v->cache.object, first, ALL_PAGES);
    vm_forget_hole(&v->cache.object, part, first); /* is read again, with zeroes at its end */
}

int p9_write_edge(struct vnode *v, uint64_t at)
{
    return page_cache_write(&v->cache, at >> PAGE_SHIFT, (at >> PAGE_SHIFT) + 1);
}

int p9_cut_gone(struct p9_node *n, struct p9_fid *f, uint64_t size)
{
    int err = vnode_check_limit(n->v.size, size);
    if (!err)
        err = p9_write_edge(&n->v, size); /* or it would be lost with its page */
    struct block b;
    if (!err && size < n->v.size) {
        if (!block_get(&b, MIN(n->v.size - size, (uint64_t)p9_data_max(f->client))))
            return -ENOMEM;
        memset(page_address(b.page), 0, b.size);
        for (uint64_t at = size; !err && at < n->v.size;) {
            struct p9_piece piece = {page_address(b.page),
                                     (uint32_t)MIN((uint64_t)b.size, n->v.size - at)};
            ssize_t put = p9_write(f, at, &piece, 1);
            err = put > 0 ? 0 : put < 0 ? (int)put : -EIO;
            at += put > 0 ? (uint64_t)put : 0;
        }
        page_put(b.page);
    }
    if (!err)
        length_set(&n->v, size);
    return err;
}

int p9_truncate(struct vnode *v, uint64_t size)
{
    struct p9_node *n = p9_node(v);
    struct vnode_attr none = {0};
    struct p9_fid *path;
    int err = p9_node_refresh(n);
    if (!err)
        err = p9_write_edge(v, size);
    if (!err)
        err = p9_node_path(n, &path);
    if (err)
        return err;
    err = p9_setattr(path, P9_SETATTR_SIZE, &none, size);
    p9_fid_put(path);
    if (!err)
        length_set(v, size);
    return err;
}

int p9_sync(struct vnode *v, bool data_only)
{
    struct p9_fid *f = p9_node_fid(p9_node(v), &p9_node(v)->writer);
    int err = f ? p9_fsync(f, data_only) : 0;
    p9_fid_put(f);
    return err;
}
