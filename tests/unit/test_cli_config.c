/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration file: every key, places of errors, hostile text. */
#include "cli_test.h"

#include "config.h"
#include "nearest.h"
#include "ops/exit.h"
#include "size.h"

static const struct config_source source = {.name = "c.json", .dir = "/conf"};

static bool parse(struct config *c, const char *text, struct err *err)
{
    *c = (struct config){0};
    return config_read(c, &source, text, strlen(text), err);
}

static void refuse(const char *text, const char *message)
{
    struct config c;
    struct err err = {0};
    assert_false(parse(&c, text, &err));
    assert_err(&err, OPS_EXIT_USAGE, message);
    config_free(&c);
}

static void test_every_key(void **state)
{
    (void)state;
    struct config c;
    struct err err = {0};
    assert_true(
        parse(&c,
              "{\"Program\": \"bin/app\", \"Args\": [\"a\", \"\"], \"Env\": {\"A\": \"b=c\"},"
              "\"Files\": [\"f\", \"/etc/g\"], \"Dirs\": [\"./d/\"],"
              "\"MapDirs\": {\"x/*\": \"/y/\"}, \"NameServers\": [\"192.0.2.1\"],"
              "\"Hostname\": \"h\", \"Cwd\": \"/c\", \"Uid\": 7, \"Gid\": 8,"
              "\"BaseVolumeSz\": \"1g\", \"RunConfig\": {\"Memory\": \"64M\", \"CPUs\": 2}}",
              &err));
    assert_string_equal(c.program, "/conf/bin/app");
    assert_int_equal(c.args.count, 2);
    assert_string_equal(c.env.items[0], "A=b=c");
    assert_string_equal(c.files.items[0], "/conf/f");
    assert_string_equal(c.files.items[1], "/f");
    assert_string_equal(c.files.items[2], "/etc/g");
    assert_string_equal(c.files.items[3], "/etc/g");
    assert_string_equal(c.dirs.items[0], "/conf/d");
    assert_string_equal(c.map_dirs.items[0], "/conf/x/*");
    assert_string_equal(c.map_dirs.items[1], "/y");
    assert_string_equal(c.name_servers.items[0], "192.0.2.1");
    assert_string_equal(c.hostname, "h");
    assert_string_equal(c.cwd, "/c");
    assert_int_equal(c.uid, 7);
    assert_int_equal(c.gid, 8);
    assert_int_equal(c.volume_size, 1 << 30);
    assert_int_equal(c.memory, 64 << 20);
    assert_int_equal(c.cpus, 2);
    config_free(&c);
}

static void test_empty_object(void **state)
{
    (void)state;
    struct config c;
    struct err err = {0};
    assert_true(parse(&c, "\xef\xbb\xbf{}", &err));
    assert_null(c.program);
    config_free(&c);
}

static void test_case_does_not_matter(void **state)
{
    (void)state;
    struct config c;
    struct err err = {0};
    assert_true(parse(&c, "{\"args\": [\"x\"], \"hostname\": \"a\", \"HostName\": \"b\"}", &err));
    assert_string_equal(c.args.items[0], "x");
    assert_string_equal(c.hostname, "b");
    config_free(&c);
}

static void test_places(void **state)
{
    (void)state;
    refuse("", "c.json:1:1: the file is empty");
    refuse("{\n\"A\": }", "c.json:2:6: this is not valid JSON");
    refuse("{\"Env\": {\"a\": \"},{\", \"b\": 1}}",
           "c.json:1:27: Env must be an object of strings");
    refuse("{\"Args\": [\"\\\"]\", 3]}", "c.json:1:18: Args must be a list of strings");
    refuse("{\"Env\":{\"a\":\"b\"},\n \"Args\":[[1,{\"x\":2}]]}", "c.json:2:10: Args must be");
    refuse("[1]", "c.json:1:1: a configuration is an object");
    refuse("{\"Args\":[], \"Args\":[]}", "c.json:1:13: the key \"Args\" is there twice");
    refuse("{\"Args\":[]} {}", "this is not valid JSON");
}

static void test_caret(void **state)
{
    (void)state;
    struct config c;
    struct err err = {0};
    assert_false(parse(&c, "{\n  \"Hostnme\": \"x\"\n}", &err));
    assert_string_equal(err.message,
                        "c.json:2:3: unknown key \"Hostnme\"\n      \"Hostnme\": \"x\"\n      ^");
    assert_string_equal(err.hint, "did you mean \"Hostname\"?");
    err_free(&err);
    config_free(&c);
}

static void test_wrong_types(void **state)
{
    (void)state;
    refuse("{\"Uid\": -1}", "Uid must be a whole number");
    refuse("{\"Uid\": 1e300}", "Uid must be a whole number");
    refuse("{\"Program\": \"\"}", "Program must be a string");
    refuse("{\"Files\": [null]}", "Files must be a list of paths");
    refuse("{\"Env\": [\"A=b\"]}", "Env must be an object of strings");
    refuse("{\"Env\": {\"\": \"b\"}}", "cannot be the name of a variable");
    refuse("{\"BaseVolumeSz\": \"12x\"}", "BaseVolumeSz must be a size");
    refuse("{\"RunConfig\": {\"Memory\": 5}}", "Memory must be a size");
}

static void test_nul_byte(void **state)
{
    (void)state;
    struct config c;
    struct err err = {0};
    c = (struct config){0};
    assert_false(config_read(&c, &source, "{\0}", 3, &err));
    assert_err(&err, OPS_EXIT_USAGE, "c.json:1:2: there is a NUL byte");
    config_free(&c);
}

static void test_deep_and_long(void **state)
{
    (void)state;
    struct config c;
    struct err err = {0};
    size_t n = 100000;
    char *text = malloc(n + 1);
    memset(text, '[', n);
    text[n] = 0;
    assert_false(parse(&c, text, &err));
    assert_err(&err, OPS_EXIT_USAGE, "not valid JSON");
    memset(text, ' ', n);
    memcpy(text, "{\"Args\":", 8);
    memcpy(text + n - 2, "3}", 2);
    assert_false(parse(&c, text, &err)); /* the caret's line is shortened */
    assert_in_range(strlen(err.message), 50, 500);
    err_free(&err);
    free(text);
}

static void test_sizes(void **state)
{
    (void)state;
    uint64_t n;
    assert_true(size_parse("64", &n) && n == 64u << 20);
    assert_true(size_parse("4096b", &n) && n == 4096);
    assert_true(size_parse("2GiB", &n) && n == UINT64_C(2) << 30);
    assert_true(size_parse("1t", &n) && n == UINT64_C(1) << 40);
    static const char *const bad[] = {
        "", "0", "-1", "1x", "1kk", "k", "99999999999999999999", "1 M", "9999999t"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(size_parse(bad[i], &n));
}

static void test_nearest(void **state)
{
    (void)state;
    static const char *const words[] = {"run", "build", NULL, "version"};
    assert_string_equal(nearest_word("rnu", words, 4), "run");
    assert_string_equal(nearest_word("BUILD", words, 4), "build");
    assert_string_equal(nearest_word("verison", words, 4), "version");
    assert_null(nearest_word("xyzzy", words, 4));
    assert_null(nearest_word("a-word-that-is-much-too-long-to-be-a-typo-of-these", words, 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_key),
        cmocka_unit_test(test_empty_object),
        cmocka_unit_test(test_case_does_not_matter),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_caret),
        cmocka_unit_test(test_wrong_types),
        cmocka_unit_test(test_deep_and_long),
        cmocka_unit_test(test_nul_byte),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
