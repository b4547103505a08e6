/* SPDX-License-Identifier: Apache-2.0 */
/* tmpfs: content, names, limits. */
#include "fs_test.h"

#include <linux/falloc.h>
#include <linux/fcntl.h>

#include "fs/tmpfs.h"
#include "mem/page.h"

struct fs_context ctx;
extern int fake_mem_fail_after;
extern size_t fake_mem_pages;
extern uint64_t fake_bad_user;

static int boot(void **state)
{
    (void)state;
    int err = fs_init(NULL, false);
    return err ? err : fs_context_init(&ctx);
}

static int end(void **state)
{
    (void)state;
    path_put(ctx.root);
    path_put(ctx.cwd);
    return 0;
}

static struct file *create(const char *name)
{
    struct file *f;
    assert_int_equal(t_open(name, O_CREAT | O_RDWR | O_TRUNC, &f), 0);
    return f;
}

static uint64_t size_of(struct file *f)
{
    struct file_stat st;
    assert_int_equal(file_stat(f, &st), 0);
    return st.size;
}

static void write_seek_read(void **state)
{
    char buf[10000], out[10000];
    (void)state;
    struct file *f = create("/tmp/f");
    for (unsigned i = 0; i < sizeof buf; i++)
        buf[i] = (char)(i * 7);
    assert_int_equal(t_write(f, buf, sizeof buf), sizeof buf);
    assert_int_equal(t_read(f, out, 1), 0);
    assert_int_equal(file_seek(f, 5000, 0), 5000);
    assert_int_equal(t_read(f, out, sizeof out), 5000);
    assert_memory_equal(out, buf + 5000, 5000);
    assert_int_equal(file_seek(f, -1, 1), 9999);
    assert_int_equal(file_seek(f, 1, 2), 10001);
    assert_int_equal(file_seek(f, -10002, 2), -EINVAL);
    assert_int_equal(file_seek(f, 0, 9), -EINVAL);
    file_put(f);
    assert_int_equal(t_open("/tmp/f", O_WRONLY | O_APPEND, &f), 0);
    assert_int_equal(t_write(f, "!", 1), 1);
    assert_int_equal(f->pos, 10001);
    file_put(f);
}

static void holes_read_as_zero(void **state)
{
    char c[8] = "xxxxxxx";
    struct file_stat st;
    (void)state;
    struct file *f = create("/tmp/sparse");
    assert_int_equal(file_seek(f, 1ll << 40, 0), 1ll << 40);
    assert_int_equal(t_write(f, "end", 3), 3);
    assert_int_equal(file_seek(f, 12345678, 0), 12345678);
    size_t pages = fake_mem_pages;
    assert_int_equal(t_read(f, c, 8), 8);
    assert_memory_equal(c, "\0\0\0\0\0\0\0\0", 8);
    assert_int_equal(fake_mem_pages, pages); /* nothing was allocated for it */
    assert_int_equal(file_stat(f, &st), 0);
    assert_int_equal(st.blocks, 8);
    file_put(f);
}

static void truncation_zeroes(void **state)
{
    char c[4];
    (void)state;
    struct file *f = create("/tmp/trunc");
    char page[8192];
    memset(page, 'x', sizeof page);
    assert_int_equal(t_write(f, page, sizeof page), sizeof page);
    assert_int_equal(f->ops->truncate(f, 100), 0);
    assert_int_equal(f->vnode->blocks, 8);
    assert_int_equal(f->ops->truncate(f, 8192), 0);
    assert_int_equal(vnode_read_kernel(f->vnode, c, 4, 98), 4);
    assert_memory_equal(c, "xx\0\0", 4);
    assert_int_equal(vnode_read_kernel(f->vnode, c, 4, 5000), 4);
    assert_memory_equal(c, "\0\0\0\0", 4);
    file_put(f);
}

static void mappings_and_calls_agree(void **state)
{
    struct page *p, *q;
    struct vm_object *o;
    char c;
    (void)state;
    struct file *f = create("/tmp/map");
    assert_int_equal(f->ops->truncate(f, 3 * PAGE_SIZE), 0);
    assert_int_equal(f->ops->mmap(f, &o), 0);
    assert_int_equal(o->ops->get_page(o, 1, true, &p), 0);
    *(char *)page_address(p) = 'm';
    assert_int_equal(vnode_read_kernel(f->vnode, &c, 1, PAGE_SIZE), 1);
    assert_int_equal(c, 'm');
    assert_int_equal(file_seek(f, PAGE_SIZE, 0), PAGE_SIZE);
    assert_int_equal(t_write(f, "w", 1), 1);
    assert_int_equal(*(char *)page_address(p), 'w');
    assert_int_equal(o->ops->get_page(o, 2, false, &q), 0);
    page_put(q);
    assert_int_equal(o->ops->get_page(o, 3, false, &q), -EFAULT);
    char text[64];
    uint64_t dev, ino;
    assert_int_equal(o->ops->describe(o, text, sizeof text, &dev, &ino), 0);
    assert_string_equal(text, "/tmp/map");
    page_put(p);
    o->ops->put(o);
    file_put(f);
}

static void an_unlinked_file_lives_until_closed(void **state)
{
    char c;
    (void)state;
    struct file *f = create("/tmp/gone");
    size_t pages = fake_mem_pages;
    assert_int_equal(t_write(f, "abc", 3), 3);
    assert_int_equal(fs_unlink(&ctx, NULL, "/tmp/gone", false), 0);
    assert_int_equal(fs_unlink(&ctx, NULL, "/tmp/gone", false), -ENOENT);
    assert_int_equal(vnode_read_kernel(f->vnode, &c, 1, 2), 1);
    assert_int_equal(c, 'c');
    assert_int_equal(f->vnode->nlink, 0);
    file_put(f);
    assert_int_equal(fake_mem_pages, pages);
}

static void directories(void **state)
{
    char names[4096];
    struct file_stat st;
    (void)state;
    assert_int_equal(fs_make(&ctx, NULL, "/tmp/d", S_IFDIR | 0755, 0), 0);
    assert_int_equal(fs_make(&ctx, NULL, "/tmp/d/e", S_IFDIR | 0755, 0), 0);
    assert_int_equal(fs_make(&ctx, NULL, "/tmp/d/e/", S_IFDIR | 0755, 0), -EEXIST);
    file_put(create("/tmp/d/f"));
    assert_int_equal(fs_stat(&ctx, NULL, "/tmp/d", 0, &st), 0);
    assert_int_equal(st.nlink, 3);
    assert_int_equal(t_list("/tmp/d", names), 0);
    assert_string_equal(names, " . .. e f");
    assert_int_equal(fs_unlink(&ctx, NULL, "/tmp/d", true), -ENOTEMPTY);
    assert_int_equal(fs_unlink(&ctx, NULL, "/tmp/d", false), -EISDIR);
    assert_int_equal(fs_unlink(&ctx, NULL, "/tmp/d/f", true), -ENOTDIR);
    assert_int_equal(fs_unlink(&ctx, NULL, "/tmp/d/.", true), -EINVAL);
    assert_int_equal(fs_unlink(&ctx, NULL, "/tmp/d/..", true), -ENOTEMPTY);
    assert_int_equal(fs_unlink(&ctx, NULL, "/tmp/d/e", true), 0);
    assert_int_equal(fs_unlink(&ctx, NULL, "/tmp/d/f", false), 0);
    assert_int_equal(fs_unlink(&ctx, NULL, "/tmp/d", true), 0);
}

static int rename_to(const char *from, const char *to, unsigned flags)
{
    return fs_rename(&ctx, NULL, from, NULL, to, flags);
}

static void renames(void **state)
{
    struct file_stat st;
    (void)state;
    assert_int_equal(fs_make(&ctx, NULL, "/tmp/r", S_IFDIR | 0755, 0), 0);
    assert_int_equal(fs_make(&ctx, NULL, "/tmp/r/d", S_IFDIR | 0755, 0), 0);
    assert_int_equal(fs_make(&ctx, NULL, "/tmp/r/e", S_IFDIR | 0755, 0), 0);
    struct file *a = create("/tmp/r/a"), *b = create("/tmp/r/b");
    assert_int_equal(rename_to("/tmp/r/a", "/tmp/r/b", RENAME_NO_REPLACE), -EEXIST);
    assert_int_equal(rename_to("/tmp/r/a", "/tmp/r/d", 0), -EISDIR);
    assert_int_equal(rename_to("/tmp/r/d", "/tmp/r/a", 0), -ENOTDIR);
    assert_int_equal(rename_to("/tmp/r/d", "/tmp/r/d/x", 0), -EINVAL);
    assert_int_equal(rename_to("/tmp/r/none", "/tmp/r/x", 0), -ENOENT);
    assert_int_equal(rename_to("/tmp/r/a", "/tmp/r/b", 0), 0);
    assert_int_equal(b->vnode->nlink, 0);
    assert_int_equal(fs_stat(&ctx, NULL, "/tmp/r/b", 0, &st), 0);
    assert_int_equal(st.ino, a->vnode->ino);
    assert_int_equal(fs_stat(&ctx, NULL, "/tmp/r/a", 0, &st), -ENOENT);
    assert_int_equal(rename_to("/tmp/r/b", "/tmp/r/d/inner", 0), 0);
    assert_int_equal(rename_to("/tmp/r/e", "/tmp/r/d", 0), -ENOTEMPTY);
    assert_int_equal(rename_to("/tmp/r/d/inner", "/tmp/r/d", 0), -ENOTEMPTY);
    assert_int_equal(rename_to("/tmp/r/d", "/tmp/r/e", 0), 0); /* onto an empty directory */
    assert_int_equal(fs_stat(&ctx, NULL, "/tmp/r/e/inner", 0, &st), 0);
    file_put(create("/tmp/r/f"));
    assert_int_equal(rename_to("/tmp/r/f", "/tmp/r/e/inner", RENAME_SWAP), 0);
    assert_int_equal(fs_stat(&ctx, NULL, "/tmp/r/f", 0, &st), 0);
    assert_int_equal(st.ino, a->vnode->ino);
    assert_int_equal(rename_to("/tmp/r/f", "/tmp/r/e", RENAME_SWAP), 0);
    assert_int_equal(fs_stat(&ctx, NULL, "/tmp/r/f/inner", 0, &st), 0);
    assert_int_equal(fs_stat(&ctx, NULL, "/tmp/r", 0, &st), 0);
    assert_int_equal(st.nlink, 3);
    file_put(a);
    file_put(b);
}

static void hard_links(void **state)
{
    struct path *p;
    (void)state;
    file_put(create("/tmp/h1"));
    assert_int_equal(path_walk(&ctx, NULL, "/tmp/h1", 0, NULL, &p), 0);
    assert_int_equal(fs_link(&ctx, p, NULL, "/tmp/h2"), 0);
    assert_int_equal(fs_link(&ctx, p, NULL, "/tmp/h2"), -EEXIST);
    assert_int_equal(p->vnode->nlink, 2);
    assert_int_equal(rename_to("/tmp/h1", "/tmp/h2", 0), 0); /* the same file: nothing happens */
    assert_int_equal(p->vnode->nlink, 2);
    assert_int_equal(fs_unlink(&ctx, NULL, "/tmp/h1", false), 0);
    assert_int_equal(p->vnode->nlink, 1);
    assert_int_equal(fs_unlink(&ctx, NULL, "/tmp/h2", false), 0);
    assert_int_equal(fs_link(&ctx, p, NULL, "/tmp/h3"), -ENOENT);
    path_put(p);
    assert_int_equal(path_walk(&ctx, NULL, "/tmp", 0, NULL, &p), 0);
    assert_int_equal(fs_link(&ctx, p, NULL, "/tmp/dirlink"), -EPERM);
    path_put(p);
}

static void many_names(void **state)
{
    char name[64];
    struct file_stat st;
    (void)state;
    assert_int_equal(fs_make(&ctx, NULL, "/tmp/many", S_IFDIR | 0755, 0), 0);
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "/tmp/many/%d", i);
        assert_int_equal(fs_make(&ctx, NULL, name, S_IFREG | 0644, 0), 0);
    }
    while (path_cache_shrink(1000)) /* so that the file system itself is asked */
        ;
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "/tmp/many/%d", i);
        assert_int_equal(fs_stat(&ctx, NULL, name, 0, &st), 0);
        assert_int_equal(fs_unlink(&ctx, NULL, name, false), 0);
    }
    assert_int_equal(fs_unlink(&ctx, NULL, "/tmp/many", true), 0);
}

static void space_runs_out(void **state)
{
    static char page[PAGE_SIZE];
    struct fs *fs;
    struct vnode *v;
    uint64_t pos = 0;
    (void)state;
    assert_int_equal(tmpfs_create(&fs, "tmpfs", 10 * PAGE_SIZE, 0755), 0);
    struct vnode_new what = {.mode = S_IFREG | 0644};
    assert_int_equal(fs->root->ops->make(fs->root, &(struct vnode_name){"f", 1}, &what, &v), 0);
    struct uio_vec vec;
    struct uio u;
    for (int i = 0; i < 10; i++) {
        uio_init_kernel(&u, &vec, page, PAGE_SIZE);
        assert_int_equal(vnode_write(v, &u, &pos, false), PAGE_SIZE);
    }
    uio_init_kernel(&u, &vec, page, PAGE_SIZE);
    assert_int_equal(vnode_write(v, &u, &pos, false), -ENOSPC);
    assert_int_equal(v->size, 10 * PAGE_SIZE);
    mutex_lock(&v->lock);
    assert_int_equal(v->ops->allocate(v, 0, 0, 11 * PAGE_SIZE), -ENOSPC);
    assert_int_equal(v->size, 10 * PAGE_SIZE);
    assert_int_equal(
        v->ops->allocate(v, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 2 * PAGE_SIZE), 0);
    mutex_unlock(&v->lock);
    assert_int_equal(v->blocks, 8 * 8);
    uio_init_kernel(&u, &vec, page, PAGE_SIZE);
    assert_int_equal(vnode_write(v, &u, &pos, false), PAGE_SIZE);
    vnode_put(v);
    tmpfs_destroy(fs);
}

static void a_bad_buffer_leaves_zeroes(void **state)
{
    char c[4];
    (void)state;
    struct file *f = create("/tmp/bad");
    fake_bad_user = 1;
    assert_int_equal(t_write(f, "secret", 6), -EFAULT);
    fake_bad_user = 0;
    assert_int_equal(size_of(f), 0);
    assert_int_equal(f->ops->truncate(f, 10), 0);
    assert_int_equal(vnode_read_kernel(f->vnode, c, 4, 0), 4);
    assert_memory_equal(c, "\0\0\0\0", 4);
    file_put(f);
}

/* Every allocation of a sequence of calls fails once: errors, but no crash and no leak. */
static void memory_runs_out_anywhere(void **state)
{
    (void)state;
    for (int n = 0; n < 60; n++) {
        struct file *f;
        fake_mem_fail_after = n;
        if (!t_open("/tmp/oom", O_CREAT | O_RDWR, &f)) {
            t_write(f, "x", 1);
            file_put(f);
        }
        fs_symlink(&ctx, NULL, "/tmp/oomlink", "oom");
        if (!t_open("/tmp/oomlink", O_RDONLY, &f))
            file_put(f);
        fs_rename(&ctx, NULL, "/tmp/oom", NULL, "/tmp/oom2", 0);
        fake_mem_fail_after = -1;
        fs_unlink(&ctx, NULL, "/tmp/oom", false);
        fs_unlink(&ctx, NULL, "/tmp/oom2", false);
        fs_unlink(&ctx, NULL, "/tmp/oomlink", false);
    }
    char names[4096];
    assert_int_equal(t_list("/tmp", names), 0);
    assert_null(strstr(names, "oom"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write_seek_read),
        cmocka_unit_test(holes_read_as_zero),
        cmocka_unit_test(truncation_zeroes),
        cmocka_unit_test(mappings_and_calls_agree),
        cmocka_unit_test(an_unlinked_file_lives_until_closed),
        cmocka_unit_test(directories),
        cmocka_unit_test(renames),
        cmocka_unit_test(hard_links),
        cmocka_unit_test(many_names),
        cmocka_unit_test(space_runs_out),
        cmocka_unit_test(a_bad_buffer_leaves_zeroes),
        cmocka_unit_test(memory_runs_out_anywhere),
    };
    return cmocka_run_group_tests(tests, boot, end);
}
