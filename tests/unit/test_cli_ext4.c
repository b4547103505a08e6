/* SPDX-License-Identifier: Apache-2.0 */
/* Filesystems in files: made, changed, read back; names of volumes. e2fsck judges them in
 * tests/e2e. */
#include "cli_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "ext4copy.h"
#include "ext4diff.h"
#include "ext4file.h"
#include "hostpath.h"
#include "ops/exit.h"
#include "ops/image.h"
#include "rootfs.h"
#include "volume_store.h"

static struct err err;
static char dir[] = "/tmp/ops-unit-XXXXXX";
static char *image, *host;

static int setup_all(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown_all(void **state)
{
    (void)state;
    return rmdir(dir);
}

static void host_write(const char *text)
{
    FILE *f = fopen(host, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int setup(void **state)
{
    struct tree t = {.data = true};
    struct rootfs_options o = {.label = "label", .size = 16 << 20, .journal = true, .volume = true};
    (void)state;
    image = path_join(dir, "image");
    host = path_join(dir, "host");
    int fd = open(image, O_RDWR | O_CREAT | O_TRUNC, 0600);
    close(fd);
    tree_add_dir(&t, "/", 0755, "", &err);
    tree_add_text(&t, "/a/file", 0640, "text", "", &err);
    tree_add_link(&t, "/link", "a/file", "", &err);
    bool ok = rootfs_write(image, &t, &o, &err);
    tree_free(&t);
    host_write("from the host");
    return ok ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    unlink(image);
    unlink(host);
    free(image);
    free(host);
    err_free(&err);
    return 0;
}

static void open_as(struct ext4file *f, enum ext4file_mode mode)
{
    assert_true(ext4file_open(f, image, OPS_ROOT_LABEL, mode, &err));
}

static void copy_in(const char *to)
{
    struct ext4file f;
    open_as(&f, EXT4FILE_WRITE);
    assert_true(ext4copy_in(&f, &host, 1, to, false, &err));
    ext4file_abandon(&f);
}

static bool take(void *context, const char *bytes, size_t n, struct err *e)
{
    (void)e;
    assert_non_null(bytes); /* none has holes */
    buf_add(context, bytes, n);
    return true;
}

static void assert_content(const char *path, const char *text)
{
    struct ext4file f;
    struct buf b = {0};
    ext2_ino_t ino;
    open_as(&f, EXT4FILE_READ);
    assert_true(ext4file_lookup(&f, path, true, &ino, &err));
    assert_true(ext4file_read(&f, ino, take, &b, &err));
    assert_int_equal(b.size, strlen(text));
    assert_memory_equal(b.data, text, b.size);
    buf_free(&b);
    ext4file_abandon(&f);
}

static void test_reads_what_was_written(void **state)
{
    (void)state;
    struct ext4file f;
    struct ext4name *names;
    struct stat st;
    ext2_ino_t ino;
    assert_content("/a/file", "text");
    assert_content("/link", "text");
    open_as(&f, EXT4FILE_READ);
    assert_string_equal(ext4file_state(&f), "clean");
    assert_true(ext4file_lookup(&f, "/a/file", true, &ino, &err));
    assert_true(ext4file_stat(&f, ino, &st, &err));
    assert_int_equal(st.st_mode, S_IFREG | 0640);
    assert_int_equal(st.st_size, 4);
    assert_true(ext4file_lookup(&f, "/link", false, &ino, &err));
    char *target = ext4file_link(&f, ino, &err);
    assert_string_equal(target, "a/file");
    free(target);
    assert_true(ext4file_names(&f, EXT2_ROOT_INO, &names, &err));
    assert_string_equal(names[0].name, "a");
    assert_string_equal(names[1].name, "link");
    assert_null(names[2].name);
    ext4file_names_free(names);
    assert_false(ext4file_lookup(&f, "/none", true, &ino, &err));
    assert_err(&err, OPS_EXIT_FAILED, "no /none");
    ext4file_abandon(&f);
}

static void test_replaces(void **state)
{
    (void)state;
    struct ext4file f;
    open_as(&f, EXT4FILE_READ);
    uint64_t before = ext2fs_free_blocks_count(f.fs->super);
    uint32_t inodes = f.fs->super->s_free_inodes_count;
    ext4file_abandon(&f);
    for (int i = 0; i < 5; i++)
        copy_in("/a/file");
    assert_content("/a/file", "from the host");
    copy_in("/a");
    assert_content("/a/host", "from the host");
    open_as(&f, EXT4FILE_READ);
    assert_int_equal(f.fs->super->s_free_inodes_count, inodes - 1);
    assert_int_equal(ext2fs_free_blocks_count(f.fs->super), before - 1);
    ext4file_abandon(&f);
}

static void test_errors_leave_it_clean(void **state)
{
    (void)state;
    struct ext4file f;
    open_as(&f, EXT4FILE_WRITE);
    assert_false(ext4copy_in(&f, &host, 1, "/none/x", false, &err));
    assert_err(&err, OPS_EXIT_FAILED, "no /none");
    ext4file_abandon(&f);
    assert_int_equal(truncate(host, 30 << 20), 0);
    int fd = open(host, O_WRONLY);
    for (off_t at = 0; at < 30 << 20; at += 4096)
        assert_int_equal(pwrite(fd, "x", 1, at), 1);
    close(fd);
    open_as(&f, EXT4FILE_WRITE);
    uint64_t before = ext2fs_free_blocks_count(f.fs->super);
    assert_false(ext4copy_in(&f, &host, 1, "/large", false, &err));
    assert_err(&err, OPS_EXIT_FAILED, "too small");
    ext4file_abandon(&f);
    open_as(&f, EXT4FILE_READ);
    assert_string_equal(ext4file_state(&f), "clean");
    assert_int_equal(ext2fs_free_blocks_count(f.fs->super), before);
    ext4file_abandon(&f);
}

static void test_locks(void **state)
{
    (void)state;
    struct ext4file f, g;
    open_as(&f, EXT4FILE_READ);
    open_as(&g, EXT4FILE_READ);
    assert_false(f.busy || g.busy);
    ext4file_abandon(&g);
    assert_false(ext4file_open(&g, image, OPS_ROOT_LABEL, EXT4FILE_WRITE, &err));
    assert_err(&err, OPS_EXIT_FAILED, "in use");
    ext4file_abandon(&f);
    assert_true(ext4file_locate(&f, image, OPS_ROOT_LABEL, EXT4FILE_HOLD, &err));
    assert_true(ext4file_locate(&g, image, OPS_ROOT_LABEL, EXT4FILE_READ, &err));
    assert_true(g.busy);
    ext4file_abandon(&g);
    ext4file_abandon(&f);
}

static void test_unfinished_work_is_noticed(void **state)
{
    (void)state;
    struct ext4file f;
    open_as(&f, EXT4FILE_WRITE);
    f.marked = false; /* as if killed */
    ext4file_abandon(&f);
    open_as(&f, EXT4FILE_READ);
    assert_string_equal(ext4file_state(&f), "not closed");
    ext4file_abandon(&f);
    assert_false(ext4file_open(&f, image, OPS_ROOT_LABEL, EXT4FILE_WRITE, &err));
    assert_err(&err, OPS_EXIT_FAILED, "damaged, or ops was killed");
}

static void test_differences(void **state)
{
    (void)state;
    struct ext4file a, b;
    bool differ;
    open_as(&a, EXT4FILE_READ);
    open_as(&b, EXT4FILE_READ);
    assert_true(ext4diff_print(&a, &b, &differ, &err));
    assert_false(differ);
    ext4file_abandon(&b);
    ext4file_abandon(&a);
}

static void test_no_filesystem(void **state)
{
    (void)state;
    struct ext4file f;
    assert_false(ext4file_open(&f, host, OPS_ROOT_LABEL, EXT4FILE_READ, &err));
    assert_err(&err, OPS_EXIT_FAILED, "no ext4 filesystem");
    assert_false(ext4file_open(&f, "/dev/null", OPS_ROOT_LABEL, EXT4FILE_READ, &err));
    assert_err(&err, OPS_EXIT_FAILED, "could hold a filesystem");
}

static void test_volume_names(void **state)
{
    (void)state;
    static const char *const bad[] = {"",    ".x", "-x",       "a/b",      "a b",
                                      "a:b", "ä",  "ops-root", "ops-boot", "a234567890123456x"};
    assert_true(volume_name_check("a", &err));
    assert_true(volume_name_check("A-1_b.c", &err));
    assert_true(volume_name_check("a23456789012345x", &err));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(volume_name_check(bad[i], &err));
        assert_int_equal(err.exit, OPS_EXIT_USAGE);
        err_free(&err);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_reads_what_was_written),
        TEST(test_replaces),
        TEST(test_errors_leave_it_clean),
        TEST(test_locks),
        TEST(test_unfinished_work_is_noticed),
        TEST(test_differences),
        TEST(test_no_filesystem),
        TEST(test_volume_names),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
