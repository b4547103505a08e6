/* SPDX-License-Identifier: Apache-2.0 */
/* The descriptor table. */
#include "fs_test.h"

#include <linux/fcntl.h>

#include "file/eventfd.h"
#include "file/fdtable.h"

static struct fd_table t;

static struct file *file_new(uint32_t flags)
{
    struct file *f;
    assert_int_equal(eventfd_create(0, false, flags, &f), 0);
    return f;
}

static int open_table(void **state)
{
    (void)state;
    return fd_table_init(&t, 1024);
}

static int close_table(void **state)
{
    (void)state;
    fd_table_fini(&t);
    return 0;
}

static void the_lowest_is_taken(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++)
        assert_int_equal(fd_install(&t, file_new(0), 0, false), i);
    assert_int_equal(fd_close(&t, 70), 0);
    assert_int_equal(fd_close(&t, 3), 0);
    assert_int_equal(fd_close(&t, 3), -EBADF);
    assert_int_equal(fd_install(&t, file_new(0), 10, false), 70);
    assert_int_equal(fd_install(&t, file_new(0), 0, false), 3);
    assert_int_equal(fd_install(&t, file_new(0), 0, false), 200);
    assert_int_equal(fd_install(&t, file_new(0), 500, false), 500);
    assert_int_equal(fd_install(&t, file_new(0), 0, false), 201);
}

static void the_limit_holds(void **state)
{
    struct file *f = file_new(0);
    (void)state;
    fd_table_set_limit(&t, 2);
    assert_int_equal(fd_install(&t, file_new(0), 0, false), 0);
    assert_int_equal(fd_install(&t, file_new(0), 0, false), 1);
    assert_int_equal(fd_install(&t, f, 0, false), -EMFILE);
    assert_int_equal(fd_replace(&t, 2, f, false), -EBADF);
    assert_int_equal(fd_replace(&t, 1, f, false), 1);
    file_put(f);
}

static void a_get_is_a_reference(void **state)
{
    struct file *f;
    (void)state;
    assert_int_equal(fd_install(&t, file_new(0), 0, false), 0);
    assert_int_equal(fd_get(&t, 0, &f), 0);
    assert_int_equal(fd_close(&t, 0), 0);
    assert_int_equal(f->refs, 1);
    file_put(f);
    assert_int_equal(fd_get(&t, 0, &f), -EBADF);
    assert_int_equal(fd_get(&t, -1, &f), -EBADF);
    assert_int_equal(fd_get(&t, 1 << 30, &f), -EBADF);
}

static void o_path_is_no_file_for_io(void **state)
{
    struct file *f;
    (void)state;
    assert_int_equal(fd_install(&t, file_new(O_PATH), 0, false), 0);
    assert_int_equal(fd_get(&t, 0, &f), -EBADF);
    assert_int_equal(fd_get_any(&t, 0, &f), 0);
    file_put(f);
}

static void reserve_publish_cancel(void **state)
{
    struct file *f = file_new(0), *g;
    (void)state;
    assert_int_equal(fd_reserve(&t, 0, true), 0);
    assert_int_equal(fd_get(&t, 0, &g), -EBADF);
    assert_int_equal(fd_replace(&t, 0, f, false), -EBUSY);
    assert_int_equal(fd_reserve(&t, 0, false), 1);
    fd_cancel(&t, 0);
    assert_int_equal(fd_reserve(&t, 0, true), 0);
    fd_publish(&t, 0, f);
    fd_cancel(&t, 1);
    assert_int_equal(fd_cloexec_get(&t, 0), 1);
}

static void close_on_exec(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++)
        fd_install(&t, file_new(0), 0, i % 2);
    assert_int_equal(fd_cloexec_set(&t, 4, true), 0);
    fd_close_on_exec(&t);
    assert_int_equal(fd_next(&t, 0), 0);
    assert_int_equal(fd_next(&t, 1), 2);
    assert_int_equal(fd_next(&t, 3), 6);
    assert_int_equal(fd_cloexec_get(&t, 4), -EBADF);
}

static void ranges(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++)
        fd_install(&t, file_new(0), 0, false);
    assert_int_equal(fd_close_range(&t, 5, 3, false), -EINVAL);
    assert_int_equal(fd_close_range(&t, 3, 10, false), 0);
    assert_int_equal(fd_next(&t, 3), 11);
    assert_int_equal(fd_close_range(&t, 15, UINT32_MAX, true), 0);
    assert_int_equal(fd_cloexec_get(&t, 14), 0);
    assert_int_equal(fd_cloexec_get(&t, 15), 1);
}

#define TABLE_TEST(name) cmocka_unit_test_setup_teardown(name, open_table, close_table)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TABLE_TEST(the_lowest_is_taken),
        TABLE_TEST(the_limit_holds),
        TABLE_TEST(a_get_is_a_reference),
        TABLE_TEST(o_path_is_no_file_for_io),
        TABLE_TEST(reserve_publish_cancel),
        TABLE_TEST(close_on_exec),
        TABLE_TEST(ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
