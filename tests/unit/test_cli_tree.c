/* SPDX-License-Identifier: Apache-2.0 */
/* The file tree of an image: parents, links, collisions, mirroring. */
#include "cli_test.h"

#include <stdio.h>
#include <unistd.h>

#include "ops/exit.h"
#include "tree.h"

static struct tree t;
static struct err err;

static int teardown(void **state)
{
    (void)state;
    tree_free(&t);
    err_free(&err);
    return 0;
}

static void test_parents_are_made(void **state)
{
    (void)state;
    assert_true(tree_add_text(&t, "/a/b/../c/f", 0640, "hello", "why", &err));
    assert_true(tree_find(&t, "/a")->implied);
    assert_true(tree_find(&t, "/a/c")->implied);
    assert_null(tree_find(&t, "/a/b"));
    assert_int_equal(tree_find(&t, "/a/c/f")->st.st_mode, S_IFREG | 0640);
    assert_int_equal(tree_find(&t, "/a/c/f")->st.st_size, 5);
    assert_true(tree_add_dir(&t, "/a", 0700, "mine", &err));
    assert_false(tree_find(&t, "/a")->implied);
    assert_int_equal(tree_find(&t, "/a")->st.st_mode, S_IFDIR | 0700);
}

static void test_order(void **state)
{
    (void)state;
    assert_true(tree_add_text(&t, "/x/y", 0644, "", "w", &err));
    assert_true(tree_add_text(&t, "/x-y", 0644, "", "w", &err));
    struct tree_entry **all = tree_entries(&t);
    assert_string_equal(all[0]->path, "/x");
    assert_string_equal(all[1]->path, "/x-y");
    assert_string_equal(all[2]->path, "/x/y");
    assert_null(all[3]);
    free(all);
}

static void test_through_links(void **state)
{
    (void)state;
    assert_true(tree_add_link(&t, "/rel", "real/dir", "w", &err));
    assert_true(tree_add_link(&t, "/abs", "/rel/deep", "w", &err));
    assert_true(tree_add_text(&t, "/abs/f", 0644, "", "w", &err));
    assert_non_null(tree_find(&t, "/real/dir/deep/f"));
}

static void test_link_loop(void **state)
{
    (void)state;
    assert_true(tree_add_link(&t, "/a", "b", "w", &err));
    assert_true(tree_add_link(&t, "/b", "a", "w", &err));
    assert_false(tree_add_text(&t, "/a/f", 0644, "", "w", &err));
    assert_err(&err, OPS_EXIT_FAILED, "loop of symlinks");
}

static void test_collisions(void **state)
{
    (void)state;
    assert_true(tree_add_text(&t, "/f", 0644, "", "first", &err));
    assert_false(tree_add_text(&t, "/f/g", 0644, "", "second", &err));
    assert_err(&err, OPS_EXIT_FAILED, "which is a file");
    assert_false(tree_add_dir(&t, "/f", 0755, "second", &err));
    assert_err(&err, OPS_EXIT_FAILED, "both a directory and a file");
    assert_true(tree_add_text(&t, "/f", 0644, "new", "third", &err));
    assert_string_equal(tree_find(&t, "/f")->text, "new");
    assert_int_equal(t.count, 1);
}

static void test_hidden_places(void **state)
{
    (void)state;
    assert_false(tree_add_text(&t, "/tmp/f", 0644, "", "w", &err));
    assert_err(&err, OPS_EXIT_FAILED, "would be hidden");
    assert_true(tree_add_dir(&t, "/dev/shm", 01777, "w", &err));
    assert_true(tree_add_text(&t, "/tmpfile", 0644, "", "w", &err));
    char *moved = tree_guest_path("/tmp/x"), *same = tree_guest_path("/usr/x");
    assert_string_equal(moved, "/host/tmp/x");
    assert_string_equal(same, "/usr/x");
    free(moved);
    free(same);
}

static void test_exclude(void **state)
{
    (void)state;
    struct strlist patterns = {0};
    strlist_add(&patterns, "/etc/*");
    t.exclude = &patterns;
    assert_true(tree_add_text(&t, "/etc/passwd", 0644, "", "w", &err));
    assert_true(tree_add_text(&t, "/usr/x", 0644, "", "w", &err));
    assert_null(tree_find(&t, "/etc/passwd"));
    assert_non_null(tree_find(&t, "/usr/x"));
    strlist_free(&patterns);
}

static void test_mirror(void **state)
{
    (void)state;
    char dir[] = "/var/tmp/ops-unit.XXXXXX", command[512], path[256];
    assert_non_null(mkdtemp(dir));
    snprintf(command, sizeof command,
             "cd %s && mkdir -p real && echo x >real/f && ln -s real one && ln -s %s/one two && "
             "ln -s loop loop",
             dir, dir);
    assert_int_equal(system(command), 0);
    snprintf(path, sizeof path, "%s/two/f", dir);
    assert_true(tree_mirror(&t, path, "w", &err));
    snprintf(path, sizeof path, "%s/real/f", dir);
    assert_int_equal(tree_find(&t, path)->kind, TREE_FILE);
    snprintf(path, sizeof path, "%s/one", dir);
    assert_string_equal(tree_find(&t, path)->text, "real");
    snprintf(path, sizeof path, "%s/two", dir);
    assert_int_equal(tree_find(&t, path)->kind, TREE_LINK);
    snprintf(path, sizeof path, "%s/loop/f", dir);
    assert_false(tree_mirror(&t, path, "w", &err));
    assert_err(&err, OPS_EXIT_FAILED, "loop");
    snprintf(path, sizeof path, "%s/nosuch", dir);
    assert_false(tree_mirror(&t, path, "w", &err));
    assert_err(&err, OPS_EXIT_FAILED, "no such file");
    snprintf(command, sizeof command, "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_parents_are_made, teardown),
        cmocka_unit_test_teardown(test_order, teardown),
        cmocka_unit_test_teardown(test_through_links, teardown),
        cmocka_unit_test_teardown(test_link_loop, teardown),
        cmocka_unit_test_teardown(test_collisions, teardown),
        cmocka_unit_test_teardown(test_hidden_places, teardown),
        cmocka_unit_test_teardown(test_exclude, teardown),
        cmocka_unit_test_teardown(test_mirror, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
