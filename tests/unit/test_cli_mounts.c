/* SPDX-License-Identifier: Apache-2.0 */
/* NAME:/path[:ro] as --mounts and Mounts say it; NAME:/path of copies. */
#include "cli_test.h"

#include "mounts.h"
#include "ops/exit.h"
#include "shares.h"
#include "verbs.h"

static struct err err;
static struct mounts m;
static struct shares s;
static struct tree t;

static int teardown(void **state)
{
    (void)state;
    mounts_free(&m);
    shares_free(&s);
    tree_free(&t);
    err_free(&err);
    return 0;
}

static bool parse(const char *first, const char *second)
{
    struct strlist words = {0};
    strlist_add(&words, first);
    if (second)
        strlist_add(&words, second);
    bool ok = mounts_parse(&m, &words, &t, &err);
    strlist_free(&words);
    return ok;
}

static void refuse(const char *first, const char *second, const char *text)
{
    assert_false(parse(first, second));
    assert_err(&err, OPS_EXIT_USAGE, text);
    mounts_free(&m);
    tree_free(&t);
}

static void test_words(void **state)
{
    (void)state;
    assert_true(parse("data:/b//c/:ro", "./dir:x/v.ext4:/b"));
    assert_int_equal(m.count, 2);
    assert_string_equal(m.items[0].path, "/b"); /* parents first */
    assert_string_equal(m.items[0].name, "./dir:x/v.ext4");
    assert_false(m.items[0].read_only);
    assert_string_equal(m.items[1].path, "/b/c");
    assert_string_equal(m.items[1].name, "data");
    assert_true(m.items[1].read_only);
    assert_int_equal(tree_find(&t, "/b/c")->kind, TREE_DIR);
}

static bool share(const char *first, const char *second)
{
    struct strlist words = {0};
    strlist_add(&words, first);
    if (second)
        strlist_add(&words, second);
    bool ok = shares_parse(&s, &words, &m, &t, &err);
    strlist_free(&words);
    return ok;
}

static void refuse_share(const char *first, const char *second, int status, const char *text)
{
    assert_false(share(first, second));
    assert_err(&err, status, text);
    shares_free(&s);
    tree_free(&t);
}

static void test_shares(void **state)
{
    struct strlist manifest = {0};
    (void)state;
    assert_true(share("/usr/./lib:/b//c/:ro", "/tmp:/b"));
    assert_int_equal(s.count, 2);
    assert_string_equal(s.items[0].path, "/b"); /* parents first */
    assert_string_equal(s.items[0].host, "/tmp");
    assert_false(s.items[0].read_only);
    assert_string_equal(s.items[1].path, "/b/c");
    assert_string_equal(s.items[1].host, "/usr/lib");
    assert_true(s.items[1].read_only);
    shares_declare(&s, &manifest);
    assert_int_equal(manifest.count, 2);
    assert_string_equal(manifest.items[0], "share0:/b");
    assert_string_equal(manifest.items[1], "share1:/b/c:ro");
    strlist_free(&manifest);
    assert_true(share_meant("/tmp:/x"));
    assert_true(share_meant("./:/x"));
    assert_false(share_meant("tmp:/x"));
    assert_false(share_meant("/etc/passwd:/x"));
    assert_false(share_meant("/none:/x"));
}

static void test_shares_refused(void **state)
{
    (void)state;
    refuse_share("/tmp", NULL, OPS_EXIT_USAGE, "says not what");
    refuse_share(":/tmp", NULL, OPS_EXIT_USAGE, "says not what");
    refuse_share("/tmp:x", NULL, OPS_EXIT_USAGE, "absolute");
    refuse_share("/tmp:/", NULL, OPS_EXIT_USAGE, "the root");
    refuse_share("/tmp:/proc/x", NULL, OPS_EXIT_USAGE, "its own on /proc");
    refuse_share("/tmp:/a", "/usr:/a/", OPS_EXIT_USAGE, "at /a");
    refuse_share("/none/such:/a", NULL, OPS_EXIT_FAILED, "no such file");
    refuse_share("/etc/passwd:/a", NULL, OPS_EXIT_FAILED, "not a directory");
    assert_true(parse("v:/vol", NULL));
    refuse_share("/tmp:/vol/below", NULL, OPS_EXIT_USAGE, "in each other's way");
    assert_true(share("/tmp:/volume", NULL));
}

static void test_refused(void **state)
{
    (void)state;
    refuse("data", NULL, "says not what");
    refuse(":/data", NULL, "says not what");
    refuse("data:x", NULL, "absolute");
    refuse("data:/", NULL, "root");
    refuse("data:/x/..", NULL, "root");
    refuse("data:/tmp", NULL, "/tmp");
    refuse("data:/dev/shm/x", NULL, "/dev");
    refuse("data:/a", "other:/a/.", "two volumes");
    refuse("data:/a", "data:/b", "mounted twice");
}

static void test_declared(void **state)
{
    (void)state;
    struct strlist manifest = {0};
    assert_true(parse("data:/a:ro", "other:/b"));
    assert_true(mounts_declare(&m, &manifest, &err));
    assert_string_equal(manifest.items[0], "data:/a:ro");
    assert_string_equal(manifest.items[1], "other:/b");
    strlist_free(&manifest);
    mounts_free(&m);
    assert_true(parse("./file:/c", NULL));
    assert_false(mounts_declare(&m, &manifest, &err));
    assert_err(&err, OPS_EXIT_USAGE, "by label or UUID");
}

static void assert_spec(const char *word, const char *name, const char *path)
{
    char *n, *p;
    assert_int_equal(verb_spec(word, &n, &p), path != NULL);
    assert_string_equal(n, name);
    assert_string_equal(p, path ? path : "/");
    free(n);
    free(p);
}

static void test_specs(void **state)
{
    (void)state;
    assert_spec("data:/a/b", "data", "/a/b");
    assert_spec("data:/a:/b", "data", "/a:/b");
    assert_spec("./x:y:/a", "./x:y", "/a");
    assert_spec("data", "data", NULL);
    assert_spec("data:", "data:", NULL);
    assert_spec(":/x", ":/x", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_words, teardown),
        cmocka_unit_test_teardown(test_shares, teardown),
        cmocka_unit_test_teardown(test_shares_refused, teardown),
        cmocka_unit_test_teardown(test_refused, teardown),
        cmocka_unit_test_teardown(test_declared, teardown),
        cmocka_unit_test_teardown(test_specs, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
