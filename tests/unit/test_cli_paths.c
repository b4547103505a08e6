/* SPDX-License-Identifier: Apache-2.0 */
/* Paths as text and the search paths of loaders. */
#include "cli_test.h"

#include "hostpath.h"
#include "ldpath.h"

static void same(char *made, const char *want)
{
    assert_string_equal(made, want);
    free(made);
}

static void test_normal(void **state)
{
    (void)state;
    same(path_normal("/a/./b//c/"), "/a/b/c");
    same(path_normal("/a/../../b"), "/b");
    same(path_normal(""), "/");
    same(path_normal("a/b/.."), "/a");
    same(path_normal("/..."), "/...");
}

static void test_parts(void **state)
{
    (void)state;
    same(path_dirname("/a/b"), "/a");
    same(path_dirname("/a"), "/");
    same(path_dirname("a"), ".");
    same(path_join("/a/", "b"), "/a/b");
    same(path_join("/a", "/b"), "/b");
    same(path_through("/usr/lib/x", "../y", "z/w"), "/usr/y/z/w");
    same(path_through("/x", "/y/", NULL), "/y");
    assert_string_equal(path_basename("/a/b"), "b");
}

static void expand(const char *text, const char *first, size_t count)
{
    struct strlist dirs = {0};
    ldpath_expand(&dirs, text, "/opt/app");
    assert_int_equal(dirs.count, count);
    if (count)
        assert_string_equal(dirs.items[0], first);
    strlist_free(&dirs);
}

static void test_tokens(void **state)
{
    (void)state;
    expand("$ORIGIN/../lib", "/opt/lib", 1);
    expand("${ORIGIN}x:/b", "/opt/appx", 2);
    expand("/usr/$LIB", "/usr/lib/x86_64-linux-gnu", 3);
    expand("/x/${PLATFORM}", "/x/x86_64", 1);
    expand("/x/$OTHER", "/x/$OTHER", 1);
    expand("${ORIGIN", "/${ORIGIN", 1);
    expand("::", NULL, 0);
    expand("", NULL, 0);
}

static void test_loaders(void **state)
{
    (void)state;
    struct strlist dirs = {0};
    assert_true(ldpath_is_musl("/lib/ld-musl-x86_64.so.1"));
    assert_false(ldpath_is_musl("/lib64/ld-linux-x86-64.so.2"));
    ldpath_add(&dirs, "/lib64/ld-linux-x86-64.so.2", NULL);
    assert_true(strlist_has(&dirs, "/usr/lib/x86_64-linux-gnu"));
    strlist_free(&dirs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normal),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_loaders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
