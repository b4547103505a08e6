/* SPDX-License-Identifier: Apache-2.0 */
/* ops-import without its archives: where paths lead, references, accounts, challenges,
 * confinement. */
#include "cli_test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alloc.h"
#include "import/account.h"
#include "import/jail.h"
#include "import/layout.h"
#include "import/reference.h"
#include "import/token.h"
#include "ops/exit.h"

static struct node *root;

static int setup(void **state)
{
    (void)state;
    root = node_create_root();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    node_free_all(root);
    return 0;
}

static struct node *add(struct node *dir, const char *name, enum tree_kind kind, const char *target)
{
    struct node *n = node_add(dir, name, kind, NULL);
    n->inode->meta.link = target ? alloc_string(target) : NULL;
    return n;
}

/* "DIRECTORY|MISSING|LAST", or why not; freed with free(). */
static char *walk(const char *path)
{
    char *rest, *last;
    const char *why;
    struct node *dir = node_walk(root, path, &rest, &last, &why);
    char *where = dir ? node_path(dir, root) : NULL;
    char *text = dir ? alloc_printf("%s|%s|%s", where, rest ? rest : "", last) : alloc_string(why);
    free(where);
    free(rest);
    free(last);
    return text;
}

static void assert_walk(const char *path, const char *want)
{
    char *got = walk(path);
    assert_string_equal(got, want);
    free(got);
}

static void test_walk(void **state)
{
    (void)state;
    struct node *a = add(root, "a", TREE_DIR, NULL), *b = add(a, "b", TREE_DIR, NULL);
    add(b, "up", TREE_LINK, "../../../..");
    add(b, "abs", TREE_LINK, "/a");
    add(root, "l", TREE_LINK, "a/./b/");
    add(root, "loop", TREE_LINK, "loop");
    add(root, "f", TREE_FILE, NULL);
    add(root, "lost", TREE_LINK, "none/deep");
    add(root, "climbs", TREE_LINK, "none/../a");
    assert_walk("", "/||");
    assert_walk("./", "/||");
    assert_walk("//a///b/./x/", "/a/b||x");
    assert_walk("l/x", "/a/b||x");
    assert_walk("l", "/||l"); /* the last one is not followed */
    assert_walk("l/up/x", "/||x");
    assert_walk("l/abs/b/abs/y", "/a||y");
    assert_walk("a/new/newer/x", "/a|new/newer|x");
    assert_walk("lost/x/y", "/|none/deep/x|y");
    assert_walk("climbs/x", "a symlink that leads nowhere is on its way");
    assert_walk("loop/x", "it runs through a loop of symlinks");
    assert_walk("f/x", "a file stands where it needs a directory");
    assert_walk("..", "it leads out by `..`");
    assert_walk("a/../x", "it leads out by `..`");
    assert_walk("a/..b/...", "/a|..b|...");
}

static void test_hard_links_count(void **state)
{
    (void)state;
    struct node *f = add(root, "f", TREE_FILE, NULL), *g = node_add(root, "g", TREE_FILE, f->inode);
    assert_int_equal(f->inode->meta.nlink, 2);
    node_remove(f);
    assert_int_equal(g->inode->meta.nlink, 1);
    assert_null(node_child(root, "f"));
    assert_ptr_equal(node_child(root, "g"), g);
}

static void assert_reference(const char *text, const char *host, const char *name, const char *tag)
{
    struct reference r;
    struct err err = {0};
    assert_true(reference_parse(&r, text, &err));
    assert_string_equal(r.host, host);
    assert_string_equal(r.name, name);
    if (tag)
        assert_string_equal(r.tag, tag);
    else
        assert_null(r.tag);
    reference_free(&r);
}

#define DIGEST "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void test_references(void **state)
{
    (void)state;
    static const char *const bad[] = {"x",
                                      "docker://",
                                      "docker://a:",
                                      "docker://A B",
                                      "docker://h.x/../a",
                                      "docker://h.x//a",
                                      "docker://h.x/a@sha256:12",
                                      "docker://h.x/a?b",
                                      "docker://u@h.x/a",
                                      "docker://h.x:5000/",
                                      "oci:"};
    struct reference r;
    struct err err = {0};
    assert_reference("docker://a", "registry-1.docker.io", "library/a", "latest");
    assert_reference("docker://me/a:1.2", "registry-1.docker.io", "me/a", "1.2");
    assert_reference("docker://docker.io/a", "registry-1.docker.io", "library/a", "latest");
    assert_reference("docker://127.0.0.1:5000/x/y:z", "127.0.0.1:5000", "x/y", "z");
    assert_reference("docker://[::1]:5000/x", "[::1]:5000", "x", "latest");
    assert_reference("docker://localhost/x", "localhost", "x", "latest");
    assert_reference("docker://h.x/a@" DIGEST, "h.x", "a", NULL);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(reference_parse(&r, bad[i], &err));
        assert_err(&err, OPS_EXIT_USAGE, "names no image");
        reference_free(&r);
    }
    assert_true(reference_parse(&r, "oci:/nonexistent:v1", &err));
    assert_string_equal(r.path, "/nonexistent:v1");
    reference_free(&r);
    assert_true(reference_parse(&r, "oci-archive:/tmp:v1:x", &err));
    assert_string_equal(r.path, "/tmp");
    assert_string_equal(r.tag, "v1:x");
    reference_free(&r);
}

static void test_accounts(void **state)
{
    (void)state;
    static const char text[] = "root:x:0:0::/:\nbad\nworse:x:y:z\n\nweb:x:33:34::/srv:\nweb2:x:5";
    uint32_t id = 9, gid = 9;
    assert_true(account_line(text, "web", 0, &id, &gid));
    assert_true(id == 33 && gid == 34);
    assert_true(account_line(text, NULL, 33, &id, &gid));
    assert_int_equal(gid, 34);
    assert_true(account_line(text, "web2", 0, &id, NULL));
    assert_int_equal(id, 5);
    assert_false(account_line(text, "web2", 0, &id, &gid)); /* without a group */
    assert_false(account_line(text, "worse", 0, &id, &gid));
    assert_false(account_line(text, "we", 0, &id, &gid));
    assert_false(account_line("", "web", 0, &id, &gid));
}

static void assert_word(const char *challenge, const char *word, const char *want)
{
    char *got = token_word(challenge, word);
    if (want)
        assert_string_equal(got, want);
    else
        assert_null(got);
    free(got);
}

static void test_challenges(void **state)
{
    (void)state;
    static const char text[] =
        "Bearer realm=\"https://a/b?c=d\",service=\"x, y\", scope=plain,e=\"";
    assert_word(text, "realm", "https://a/b?c=d");
    assert_word(text, "service", "x, y");
    assert_word(text, "scope", "plain");
    assert_word(text, "e", "");
    assert_word(text, "none", NULL);
    assert_word("Bearer", "realm", NULL);
    assert_word("Bearer realm", "realm", NULL);
    char *login =
        token_login("{\"auths\": {\"https://h:1/v2/\": {\"auth\": \"abc\"}, \"x\": 1}}", "h:1");
    assert_string_equal(login, "abc");
    free(login);
    assert_null(token_login("{\"auths\": {\"h\": {\"auth\": \"abc\"}}}", "h:1"));
    assert_null(token_login("nonsense", "h"));
    assert_null(token_login(NULL, "h"));
}

/* What the confined process may do; the first that is not as it should be is the exit status. */
static int confined(const char *dir, bool landlock)
{
    struct strlist writable = {0}, readable = {0};
    struct err err = {0};
    char inside[128], outside[128];
    struct rlimit r;
    snprintf(inside, sizeof inside, "%s/in/file", dir);
    snprintf(outside, sizeof outside, "%s/file", dir);
    char *in = alloc_printf("%s/in", dir);
    strlist_add(&writable, in);
    if (!jail_enter(&writable, &readable, 1000, &err))
        return 1;
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        return 2;
    int fd = open(inside, O_WRONLY | O_CREAT, 0600);
    if (fd < 0 || pwrite(fd, "x", 1, 0) != 1)
        return 3;
    if (pwrite(fd, "x", 1, 1000) >= 0 || errno != EFBIG)
        return 4;
    if (getrlimit(RLIMIT_CORE, &r) < 0 || r.rlim_max != 0)
        return 5;
    if (landlock && (open(outside, O_WRONLY | O_CREAT, 0600) >= 0 || errno != EACCES))
        return 6;
    if (landlock && (open(dir, O_RDONLY) >= 0 || errno != EACCES))
        return 7;
    if (landlock && (mkdir(outside, 0700) == 0 || errno != EACCES))
        return 8;
    return open("/etc/passwd", O_RDONLY) < 0 ? 9 : 0;
}

static void test_jail(void **state)
{
    (void)state;
    char dir[] = "/tmp/ops-jail.XXXXXX";
    int status = -1;
    bool landlock =
        syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 2;
    assert_non_null(mkdtemp(dir));
    char *in = alloc_printf("%s/in", dir), *file = alloc_printf("%s/file", in);
    assert_int_equal(mkdir(in, 0700), 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(confined(dir, landlock));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    unlink(file);
    rmdir(in);
    assert_int_equal(rmdir(dir), 0);
    free(in);
    free(file);
    assert_int_equal(status, 0);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_walk),     CASE(test_hard_links_count), CASE(test_references),
        CASE(test_accounts), CASE(test_challenges),       CASE(test_jail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
