/* SPDX-License-Identifier: Apache-2.0 */
/* The list of a package's files: what is written is read again, lies are told, trees compared. */
#include "cli_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "hostpath.h"
#include "mtree.h"
#include "ops/exit.h"

#define HEAD       "#mtree\n"
#define ROOT       ". type=dir mode=0755 uid=0 gid=0 time=0.000000000\n"
#define ZERO       "0000000000000000000000000000000000000000000000000000000000000000"
#define FILE_WORDS " type=file mode=0644 uid=0 gid=0 time=1.000000000 size=3 sha256digest=" ZERO

static struct mtree m;
static struct err err;
static struct strlist faults;
static char dir[64];

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/ops-mtree.XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char *command = alloc_printf("rm -rf %s", dir);
    int status = system(command);
    free(command);
    mtree_free(&m);
    err_free(&err);
    strlist_free(&faults);
    return status;
}

static bool parse(const char *text)
{
    mtree_free(&m);
    return mtree_parse(&m, "list", text, strlen(text), &err);
}

static void assert_bad(const char *text, const char *why)
{
    assert_false(parse(text));
    assert_err(&err, OPS_EXIT_FAILED, why);
}

static void test_round_trip(void **state)
{
    (void)state;
    unsigned char value[] = {0, 1, 255};
    struct mtree_xattr x = {.name = "user.a=b c", .value = value, .size = sizeof value};
    struct mtree_entry entries[] = {
        {.path = "/", .kind = TREE_DIR, .mode = 01777, .nlink = 1},
        {.path = "/a b#=\\\n\303\244",
         .kind = TREE_FILE,
         .mode = 06755,
         .uid = 4294967294u,
         .gid = 65534,
         .nlink = 2,
         .size = 1ull << 40,
         .mtime = {-5, 999999999},
         .xattrs = &x,
         .xattr_count = 1},
        {.path = "/l", .kind = TREE_LINK, .mode = 0777, .nlink = 1, .link = "/x y"},
    };
    struct mtree made = {.entries = entries, .count = 3};
    memset(entries[1].sha256, 0xab, DIGEST_SIZE);
    int fd = open(dir, O_RDONLY | O_DIRECTORY);
    assert_true(mtree_write(&made, fd, "list", &err));
    close(fd);
    char *path = path_join(dir, "list"), *text = path_read(path, 10000, NULL, &err);
    assert_non_null(strstr(text, "./a\\040b\\043\\075\\134\\012\\303\\244 type=file mode=6755 "));
    assert_non_null(strstr(text, " xattr.user.a\\075b\\040c=AAH/\n"));
    free(text);
    assert_true(mtree_read(&m, path, &err));
    free(path);
    assert_int_equal(m.count, 3);
    const struct mtree_entry *e = mtree_find(&m, entries[1].path);
    assert_non_null(e);
    assert_int_equal(e->mode, 06755);
    assert_int_equal(e->uid, 4294967294u);
    assert_int_equal(e->nlink, 2);
    assert_true(e->size == 1ull << 40 && e->mtime.tv_sec == -5 && e->mtime.tv_nsec == 999999999);
    assert_memory_equal(e->sha256, entries[1].sha256, DIGEST_SIZE);
    assert_int_equal(e->xattr_count, 1);
    assert_string_equal(e->xattrs[0].name, "user.a=b c");
    assert_int_equal(e->xattrs[0].size, 3);
    assert_memory_equal(e->xattrs[0].value, value, 3);
    assert_string_equal(mtree_find(&m, "/l")->link, "/x y");
    assert_null(mtree_find(&m, "/none"));
}

static void test_bad_shape(void **state)
{
    (void)state;
    assert_bad("", "lists nothing");
    assert_bad(HEAD, "lists nothing");
    assert_bad(ROOT, "list:1: it does not begin");
    assert_bad(HEAD ". type=dir", "list:2: the last line is cut off");
    assert_bad(HEAD ROOT "\n", "list:3: an empty line");
    assert_bad(HEAD "./a" FILE_WORDS "\n", "not the root");
    assert_bad(HEAD ROOT "./b" FILE_WORDS "\n./a" FILE_WORDS "\n", "out of order");
    assert_bad(HEAD ROOT "./a" FILE_WORDS "\n./a" FILE_WORDS "\n", "or twice");
    assert_bad(HEAD ROOT "./a/b" FILE_WORDS "\n", "without its directory");
    assert_bad(HEAD ROOT "./a" FILE_WORDS "\n./a/b" FILE_WORDS "\n", "without its directory");
    mtree_free(&m);
    assert_false(mtree_parse(&m, "list", HEAD "\0" ROOT, sizeof HEAD ROOT, &err));
    assert_err(&err, OPS_EXIT_FAILED, "NUL");
}

static void test_bad_paths(void **state)
{
    (void)state;
    static const char *const shortest[] = {"./a/", ".//a", "./../a", "./a/../b", "./", "..", ".a"};
    for (size_t i = 0; i < sizeof shortest / sizeof shortest[0]; i++) {
        char *text = alloc_printf(HEAD ROOT "%s" FILE_WORDS "\n", shortest[i]);
        assert_bad(text, "shortest form");
        free(text);
    }
    assert_bad(HEAD ROOT "/a" FILE_WORDS "\n", "a bad path");
    assert_bad(HEAD ROOT "./a\\" FILE_WORDS "\n", "a bad path");
    assert_bad(HEAD ROOT "./a\\00" FILE_WORDS "\n", "a bad path");
    assert_bad(HEAD ROOT "./a\\000" FILE_WORDS "\n", "a bad path");
    assert_bad(HEAD ROOT "./a\\777" FILE_WORDS "\n", "a bad path");
    assert_bad(HEAD ROOT "./\\056\\056" FILE_WORDS "\n", "shortest form");
    char *long_name = alloc_zero(MTREE_PATH + 10);
    memset(long_name, 'x', MTREE_PATH + 1);
    char *text = alloc_printf(HEAD ROOT "./%s" FILE_WORDS "\n", long_name);
    assert_bad(text, "a bad path");
    free(text);
    free(long_name);
}

static void test_bad_keywords(void **state)
{
    (void)state;
    static const char *const unknown[] = {
        "mode=8",     "mode=10000", "mode=",   "uid=-1",          "uid=4294967296",
        "size=0x1",   "time=1",     "nlink=1", "time=1.5",        "time=.000000000",
        "type=block", "flags=none", "link=",   "sha256digest=00", "gid=99999999999999999999"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        char *text = alloc_printf(HEAD ". %s\n", unknown[i]);
        assert_bad(text, "an unknown keyword, or a value");
        free(text);
    }
    assert_bad(HEAD ". type=dir type=dir\n", "a keyword twice");
    assert_bad(HEAD ". type\n", "no value");
    assert_bad(HEAD ". type=dir\n", "a keyword is missing");
    assert_bad(HEAD ROOT "./a type=file mode=0 uid=0 gid=0 time=0.000000000\n", "is missing");
    assert_bad(HEAD ROOT "./a type=link mode=0 uid=0 gid=0 time=0.000000000\n", "is missing");
    assert_bad(HEAD ROOT "./a" FILE_WORDS " link=x\n", "does not have");
    assert_bad(HEAD ". type=dir mode=0755 uid=0 gid=0 time=0.000000000 size=1\n", "does not have");
    assert_bad(HEAD ". xattr.a=AA= type=dir\n", "extended attribute");
    assert_bad(HEAD ". xattr.=AAAA type=dir\n", "extended attribute");
    assert_bad(HEAD ". xattr.a=AAAA xattr.a=AAAA\n", "extended attribute");
}

static void put(const char *name, const char *text, unsigned mode)
{
    char *path = path_join(dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(path, mode), 0);
    free(path);
}

static void assert_faults(const char *const *want, size_t count)
{
    strlist_free(&faults);
    assert_true(mtree_verify(&m, dir, &faults, &err));
    for (size_t i = 0; i < count && i < faults.count; i++)
        assert_string_equal(faults.items[i], want[i]);
    assert_int_equal(faults.count, count);
}

/* The SHA-256 of "abc" is the standard's own example. */
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void test_verify(void **state)
{
    (void)state;
    char *link = path_join(dir, "l"), *sub = path_join(dir, "d");
    assert_true(parse(HEAD ". type=dir mode=0555 uid=9 gid=9 time=0.000000000\n"
                           "./d type=dir mode=0111 uid=0 gid=0 time=0.000000000\n"
                           "./d/f type=file mode=4511 uid=0 gid=0 time=0.000000000 size=3 "
                           "sha256digest=" ABC "\n"
                           "./l type=link mode=0777 uid=0 gid=0 time=0.000000000 link=d\n"));
    chmod(dir, 0755);
    mkdir(sub, 0700);
    chmod(sub, 0711);
    put("d/f", "abc", 0711);
    assert_int_equal(symlink("d", link), 0);
    assert_faults(NULL, 0);

    put("d/f", "abd", 0755);
    put("d/x y", "", 0644);
    unlink(link);
    assert_int_equal(symlink("e", link), 0);
    static const char *const changed[] = {"added /d/x\\040y", "changed mode /d/f",
                                          "changed content /d/f", "changed target /l"};
    assert_faults(changed, 4);

    /* A directory that became a symlink to one that looks right is not looked into. */
    char *moved = path_join(dir, "moved");
    rename(sub, moved);
    assert_int_equal(symlink("moved", sub), 0);
    unlink(link);
    static const char *const gone[] = {"added /moved", "changed kind /d", "missing /d/f",
                                       "missing /l"};
    assert_faults(gone, 4);
    free(moved);
    free(link);
    free(sub);
    assert_false(mtree_verify(&m, "/nonexistent/x", &faults, &err));
    assert_err(&err, OPS_EXIT_FAILED, "cannot open /nonexistent/x");
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_round_trip),   CASE(test_bad_shape), CASE(test_bad_paths),
        CASE(test_bad_keywords), CASE(test_verify),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
