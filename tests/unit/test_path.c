/* SPDX-License-Identifier: Apache-2.0 */
/* Path walk, name cache, open, permissions and mounts, over the boot's mounts with a tmpfs root. */
#include "fs_test.h"

#include <linux/fcntl.h>

#include "file/fdtable.h"
#include "file/pipe.h"
#include "fs/procfs.h"
#include "mem/page.h"

struct fs_context ctx;
static struct fd_table fds;

static int boot(void **state)
{
    (void)state;
    int err = fs_init(NULL, false);
    if (!err)
        err = fs_context_init(&ctx);
    if (!err)
        err = fd_table_init(&fds, 1024);
    procfs_set_process(&fds, &ctx, 7);
    return err;
}

/* The error of a walk, or 0. */
static int walk(const char *name, unsigned flags)
{
    struct path *p;
    int err = path_walk(&ctx, NULL, name, flags, NULL, &p);
    if (!err)
        path_put(p);
    return err;
}

static void make_dir(const char *name)
{
    assert_int_equal(fs_make(&ctx, NULL, name, S_IFDIR | 0755, 0), 0);
}

static void make_file(const char *name, const char *text)
{
    struct file *f;
    assert_int_equal(t_open(name, O_CREAT | O_WRONLY | O_EXCL, &f), 0);
    assert_int_equal(t_write(f, text, strlen(text)), strlen(text));
    file_put(f);
}

static void components_and_dots(void **state)
{
    (void)state;
    make_dir("/a");
    make_dir("/a/b");
    make_file("/a/b/f", "x");
    assert_int_equal(walk("/a/b/f", 0), 0);
    assert_int_equal(walk("//a/./b/../b//f", 0), 0);
    assert_int_equal(walk("/../../a/b", 0), 0);
    assert_int_equal(walk("/a/b/f/", 0), -ENOTDIR);
    assert_int_equal(walk("/a/b/f/x", 0), -ENOTDIR);
    assert_int_equal(walk("/a/b/f/..", 0), -ENOTDIR);
    assert_int_equal(walk("/a/b/", 0), 0);
    assert_int_equal(walk("/a/none/x", 0), -ENOENT);
    assert_int_equal(walk("", 0), -ENOENT);
    assert_int_equal(walk("", WALK_EMPTY), 0);
    assert_int_equal(walk("/a/b/f", WALK_DIR), -ENOTDIR);
}

static void long_names(void **state)
{
    char name[5000];
    (void)state;
    memset(name, 'x', sizeof name);
    name[0] = '/';
    name[256] = 0;
    assert_int_equal(walk(name, 0), -ENOENT);
    name[256] = 'x';
    name[257] = 0;
    assert_int_equal(walk(name, 0), -ENAMETOOLONG);
    for (unsigned i = 0; i < 4096; i++)
        name[i] = i % 2 ? '.' : '/';
    name[4096] = 0;
    assert_int_equal(walk(name, 0), -ENAMETOOLONG);
    name[4095] = 0;
    assert_int_equal(walk(name, 0), 0);
}

static void links(void **state)
{
    char text[16];
    struct file *f;
    (void)state;
    make_dir("/l");
    make_file("/l/file", "in file");
    assert_int_equal(fs_symlink(&ctx, NULL, "/l/rel", "file"), 0);
    assert_int_equal(fs_symlink(&ctx, NULL, "/l/abs", "/l/rel"), 0);
    assert_int_equal(fs_symlink(&ctx, NULL, "/l/dir", "../l/."), 0);
    assert_int_equal(fs_symlink(&ctx, NULL, "/l/loop", "loop"), 0);
    assert_int_equal(fs_symlink(&ctx, NULL, "/l/dangling", "new"), 0);
    assert_int_equal(t_open("/l/dir/dir/abs", O_RDONLY, &f), 0);
    assert_int_equal(t_read(f, text, 16), 7);
    file_put(f);
    assert_int_equal(walk("/l/loop", 0), -ELOOP);
    assert_int_equal(walk("/l/loop", WALK_NOFOLLOW), 0);
    assert_int_equal(walk("/l/dir/", WALK_NOFOLLOW), 0);
    assert_int_equal(t_open("/l/rel", O_RDONLY | O_NOFOLLOW, &f), -ELOOP);
    assert_int_equal(t_open("/l/dangling", O_RDONLY, &f), -ENOENT);
    assert_int_equal(t_open("/l/dangling", O_CREAT | O_EXCL | O_RDWR, &f), -EEXIST);
    assert_int_equal(t_open("/l/dangling", O_CREAT | O_RDWR, &f), 0);
    file_put(f);
    assert_int_equal(walk("/l/new", 0), 0);
    assert_int_equal(fs_readlink(&ctx, NULL, "/l/abs", text, 4), 4);
    assert_int_equal(fs_readlink(&ctx, NULL, "/l/file", text, 4), -EINVAL);
}

static void forty_links_at_most(void **state)
{
    char name[32], target[32];
    (void)state;
    make_dir("/chain");
    make_file("/chain/0", "x");
    for (int i = 1; i <= 41; i++) {
        snprintf(name, sizeof name, "/chain/%d", i);
        snprintf(target, sizeof target, "%d", i - 1);
        assert_int_equal(fs_symlink(&ctx, NULL, name, target), 0);
    }
    assert_int_equal(walk("/chain/40", 0), 0);
    assert_int_equal(walk("/chain/41", 0), -ELOOP);
}

static void open_flags(void **state)
{
    struct file *f;
    struct file_stat st;
    (void)state;
    make_dir("/o");
    make_file("/o/f", "content");
    assert_int_equal(t_open("/o", O_WRONLY, &f), -EISDIR);
    assert_int_equal(t_open("/o/f", O_DIRECTORY, &f), -ENOTDIR);
    assert_int_equal(t_open("/o/new/", O_CREAT | O_WRONLY, &f), -EISDIR);
    assert_int_equal(t_open("/o", O_CREAT, &f), -EISDIR);
    assert_int_equal(t_open("/o/f", O_CREAT | O_EXCL, &f), -EEXIST);
    assert_int_equal(t_open("/o/f", O_WRONLY | O_TRUNC, &f), 0);
    assert_int_equal(file_stat(f, &st), 0);
    assert_int_equal(st.size, 0);
    file_put(f);
    assert_int_equal(t_open("/o/f", O_PATH, &f), 0);
    assert_int_equal(t_read(f, &st, 1), -EBADF);
    file_put(f);
    ctx.umask = 027;
    assert_int_equal(fs_make(&ctx, NULL, "/o/d", S_IFDIR | 0777, 0), 0);
    assert_int_equal(fs_stat(&ctx, NULL, "/o/d", 0, &st), 0);
    assert_int_equal(st.mode, S_IFDIR | 0750);
    ctx.umask = 022;
}

static void permissions(void **state)
{
    struct file *f;
    const uint32_t groups[] = {50, 60};
    (void)state;
    make_dir("/p");
    make_file("/p/f", "x");
    assert_int_equal(fs_make(&ctx, NULL, "/p/secret", S_IFDIR | 0700, 0), 0);
    make_file("/p/secret/f", "x");
    ctx.cred = (struct cred){.uid = 1000, .gid = 1000, .groups = groups, .group_count = 2};
    assert_int_equal(t_open("/p/f", O_RDONLY, &f), 0);
    file_put(f);
    assert_int_equal(t_open("/p/f", O_RDWR, &f), -EACCES);
    assert_int_equal(walk("/p/secret/f", 0), -EACCES);
    assert_int_equal(t_open("/p/new", O_CREAT | O_RDWR, &f), -EACCES);
    assert_int_equal(fs_unlink(&ctx, NULL, "/p/f", false), -EACCES);
    make_file("/tmp/mine", "x");
    struct path *p;
    assert_int_equal(path_walk(&ctx, NULL, "/tmp/mine", 0, NULL, &p), 0);
    struct vnode_attr a = {.mask = ATTR_UID, .uid = 5};
    assert_int_equal(fs_setattr(&ctx, p->vnode, &a), -EPERM);
    a = (struct vnode_attr){.mask = ATTR_GID, .gid = 60};
    assert_int_equal(fs_setattr(&ctx, p->vnode, &a), 0);
    a = (struct vnode_attr){.mask = ATTR_MODE, .mode = 0200};
    assert_int_equal(fs_setattr(&ctx, p->vnode, &a), 0);
    path_put(p);
    assert_int_equal(fs_access(&ctx, NULL, "/tmp/mine", 0, MAY_READ, NULL), -EACCES);
    ctx.cred.uid = 1001; /* the sticky bit of /tmp */
    assert_int_equal(fs_unlink(&ctx, NULL, "/tmp/mine", false), -EPERM);
    ctx.cred = (struct cred){0};
    assert_int_equal(fs_unlink(&ctx, NULL, "/tmp/mine", false), 0);
}

static void text_of_paths(void **state)
{
    char buf[64];
    struct path *p;
    (void)state;
    make_dir("/t");
    make_dir("/t/u");
    assert_int_equal(path_walk(&ctx, NULL, "/t/u", 0, NULL, &p), 0);
    assert_int_equal(path_text(p, NULL, buf, sizeof buf), 4);
    assert_string_equal(buf, "/t/u");
    assert_int_equal(path_text(p, NULL, buf, 4), -ENAMETOOLONG);
    assert_int_equal(fs_chdir(&ctx, p), 0);
    assert_int_equal(walk("../u", 0), 0);
    assert_int_equal(fs_rename(&ctx, NULL, "/t/u", NULL, "/t/v", 0), 0);
    assert_int_equal(path_text(p, NULL, buf, sizeof buf), 4);
    assert_string_equal(buf, "/t/v"); /* the directory kept its node */
    assert_int_equal(fs_unlink(&ctx, NULL, "/t/v", true), 0);
    assert_true(path_deleted(p));
    assert_true(path_text(p, NULL, buf, sizeof buf) > 0);
    assert_string_equal(buf, "/t/v (deleted)");
    struct file *f;
    assert_int_equal(t_open("x", O_CREAT | O_RDWR, &f), -ENOENT);
    path_put(p);
    assert_int_equal(path_walk(&ctx, NULL, "/", 0, NULL, &p), 0);
    assert_int_equal(fs_chdir(&ctx, p), 0);
    assert_int_equal(path_text(p, NULL, buf, sizeof buf), 1);
    path_put(p);
    assert_int_equal(path_walk(&ctx, NULL, "/dev/shm", 0, NULL, &p), 0);
    assert_int_equal(path_text(p, NULL, buf, sizeof buf), 8);
    assert_string_equal(buf, "/dev/shm");
    path_put(p);
}

static void mounts_need_no_directory(void **state)
{
    char names[4096];
    (void)state;
    assert_int_equal(t_list("/", names), 0);
    assert_non_null(strstr(names, " dev"));
    assert_non_null(strstr(names, " proc"));
    assert_non_null(strstr(names, " tmp"));
    assert_int_equal(walk("/dev/../tmp/../proc/version", 0), 0);
    assert_int_equal(fs_unlink(&ctx, NULL, "/tmp", true), -EBUSY);
    assert_int_equal(fs_make(&ctx, NULL, "/tmp", S_IFDIR | 0755, 0), -EEXIST);
    make_file("/tmp/x", "1");
    assert_int_equal(fs_rename(&ctx, NULL, "/tmp/x", NULL, "/x", 0), -EXDEV);
    assert_int_equal(fs_unlink(&ctx, NULL, "/tmp/x", false), 0);
}

static void devices(void **state)
{
    struct file *f;
    struct file_stat st;
    char buf[64];
    (void)state;
    assert_int_equal(t_open("/dev/null", O_RDWR, &f), 0);
    assert_int_equal(t_write(f, "abc", 3), 3);
    assert_int_equal(t_read(f, buf, 8), 0);
    assert_int_equal(file_stat(f, &st), 0);
    assert_int_equal(st.mode, S_IFCHR | 0666);
    assert_int_equal(st.rdev, 0x103);
    file_put(f);
    assert_int_equal(t_open("/dev/zero", O_RDWR, &f), 0);
    memset(buf, 1, sizeof buf);
    assert_int_equal(t_read(f, buf, 64), 64);
    assert_int_equal(buf[63], 0);
    struct vm_object *o;
    assert_int_equal(f->ops->mmap(f, &o), 0);
    struct page *p;
    assert_int_equal(o->ops->get_page(o, 5, false, &p), 0);
    assert_int_equal(*(char *)page_address(p), 0);
    page_put(p);
    o->ops->put(o);
    file_put(f);
    assert_int_equal(t_open("/dev/full", O_RDWR, &f), 0);
    assert_int_equal(t_write(f, "abc", 3), -ENOSPC);
    file_put(f);
    assert_int_equal(t_open("/dev/urandom", O_RDONLY, &f), 0);
    assert_int_equal(t_read(f, buf, 64), 64);
    file_put(f);
    assert_int_equal(t_open("/dev/tty", O_RDONLY, &f), -ENXIO);
}

static void proc_texts(void **state)
{
    static const char *const names[] = {"version",
                                        "meminfo",
                                        "mounts",
                                        "filesystems",
                                        "uptime",
                                        "swaps",
                                        "sys/vm/overcommit_memory",
                                        "self/mountinfo",
                                        "self/cgroup",
                                        "sys/kernel/osrelease"};
    char path[64], buf[4096];
    struct file *f;
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        snprintf(path, sizeof path, "/proc/%s", names[i]);
        assert_int_equal(t_open(path, O_RDONLY, &f), 0);
        ssize_t n = t_read(f, buf, sizeof buf);
        assert_true(n > 0 && buf[n - 1] == '\n');
        assert_int_equal(t_read(f, buf, sizeof buf), 0);
        file_put(f);
    }
    assert_int_equal(t_list("/proc", buf), 0);
    assert_non_null(strstr(buf, " 7"));
    assert_int_equal(t_open("/proc/version", O_CREAT | O_EXCL | O_RDWR, &f), -EEXIST);
    assert_int_equal(t_open("/proc/new", O_CREAT | O_RDWR, &f), -EROFS);
}

static int hello_text(struct seq *s)
{
    seq_text(s, "hello\n");
    return 0;
}

static void proc_registration(void **state)
{
    char buf[16];
    struct file *f;
    (void)state;
    assert_int_equal(procfs_register("self/made/up", hello_text), 0);
    assert_int_equal(t_open("/proc/7/made/up", O_RDONLY, &f), 0);
    assert_int_equal(t_read(f, buf, 3), 3);
    assert_int_equal(t_read(f, buf, 16), 3);
    assert_int_equal(file_seek(f, 0, 0), 0);
    assert_int_equal(t_read(f, buf, 16), 6);
    file_put(f);
}

static void proc_descriptors(void **state)
{
    char buf[64], names[4096];
    struct file *f, *r, *w, *again;
    (void)state;
    make_file("/tmp/named", "abc");
    assert_int_equal(t_open("/tmp/named", O_RDONLY, &f), 0);
    assert_int_equal(fd_install(&fds, f, 0, false), 0);
    assert_int_equal(pipe_create(O_NONBLOCK, &r, &w), 0);
    assert_int_equal(fd_install(&fds, w, 1, false), 1);
    assert_int_equal(fs_readlink(&ctx, NULL, "/proc/self/fd/0", buf, sizeof buf), 10);
    assert_memory_equal(buf, "/tmp/named", 10);
    assert_true(fs_readlink(&ctx, NULL, "/proc/7/fd/1", buf, sizeof buf) > 7);
    assert_memory_equal(buf, "pipe:[", 6);
    assert_int_equal(walk("/proc/self/fd/2", 0), -ENOENT);
    assert_int_equal(walk("/proc/self/fd/00", 0), -ENOENT);
    assert_int_equal(t_open("/dev/stdin", O_RDONLY, &again), 0);
    assert_int_equal(t_read(again, buf, 8), 3); /* a file of its own */
    file_put(again);
    assert_int_equal(t_open("/dev/stdout", O_WRONLY | O_CREAT | O_TRUNC, &again), 0);
    assert_int_equal(t_write(again, "hi", 2), 2);
    assert_int_equal(t_read(r, buf, 8), 2);
    file_put(again);
    assert_int_equal(t_list("/proc/self/fd", names), 0);
    assert_string_equal(names, " . .. 0 1");
    assert_int_equal(fs_unlink(&ctx, NULL, "/tmp/named", false), 0);
    assert_int_equal(fs_readlink(&ctx, NULL, "/proc/self/fd/0", buf, sizeof buf), 20);
    assert_memory_equal(buf, "/tmp/named (deleted)", 20);
    assert_int_equal(t_open("/proc/self/fdinfo/0", O_RDONLY, &again), 0);
    assert_true(t_read(again, buf, sizeof buf) > 10);
    assert_memory_equal(buf, "pos:\t0\n", 7);
    file_put(again);
    assert_int_equal(t_open("/proc/self/cwd", O_RDONLY | O_DIRECTORY, &again), 0);
    assert_non_null(again->path);
    file_put(again);
    fd_close(&fds, 0);
    fd_close(&fds, 1);
    file_put(r);
}

static void unused_names_go(void **state)
{
    char name[32];
    (void)state;
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "/missing-%d", i);
        assert_int_equal(walk(name, 0), -ENOENT);
    }
    assert_true(path_cache_shrink(1000) == 1000);
    while (path_cache_shrink(1000))
        ;
    assert_int_equal(walk("/a/b/f", 0), 0);
    assert_int_equal(walk("/missing-1", 0), -ENOENT);
}

static int end(void **state)
{
    (void)state;
    fd_table_fini(&fds);
    path_put(ctx.root);
    path_put(ctx.cwd);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(components_and_dots),
        cmocka_unit_test(long_names),
        cmocka_unit_test(links),
        cmocka_unit_test(forty_links_at_most),
        cmocka_unit_test(open_flags),
        cmocka_unit_test(permissions),
        cmocka_unit_test(text_of_paths),
        cmocka_unit_test(mounts_need_no_directory),
        cmocka_unit_test(devices),
        cmocka_unit_test(proc_texts),
        cmocka_unit_test(proc_registration),
        cmocka_unit_test(proc_descriptors),
        cmocka_unit_test(unused_names_go),
    };
    return cmocka_run_group_tests(tests, boot, end);
}
