/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration file: every key, places of errors, hostile text. */
#include "cli_test.h"

#include <stdio.h>
#include <strings.h>

#include "config.h"
#include "interpolate.h"
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

static bool layer(struct config *c, const char *name, const char *text)
{
    struct err err = {0};
    const struct config_source s = {.name = name, .dir = "/conf"};
    bool ok = config_read(c, &s, text, strlen(text), &err);
    err_free(&err);
    return ok;
}

static void test_layers(void **state)
{
    (void)state;
    struct config c = {0};
    assert_true(layer(&c, "a",
                      "{\"Args\":[\"1\",\"2\"],\"Env\":{\"A\":\"1\",\"B\":\"1\"},"
                      "\"Exclude\":[\"x\"],\"Hostname\":\"a\"}"));
    assert_true(layer(&c, "b", "{\"Args\":[\"3\"],\n\"Env\":{\"B\":\"2\"},\"Exclude\":[\"y\"]}"));
    assert_int_equal(c.args.count, 1);
    assert_string_equal(c.args.items[0], "3");
    assert_string_equal(config_origin(&c, "Args[0]"), "b:1");
    assert_null(config_origin(&c, "Args[1]"));
    assert_string_equal(c.env.items[0], "A=1");
    assert_string_equal(c.env.items[1], "B=2");
    assert_int_equal(c.env.count, 2);
    assert_string_equal(config_origin(&c, "Env.A"), "a:1");
    assert_string_equal(config_origin(&c, "Env.B"), "b:2");
    assert_int_equal(c.exclude.count, 2);
    assert_string_equal(config_origin(&c, "Exclude[0]"), "a:1");
    assert_string_equal(config_origin(&c, "Exclude[1]"), "b:2");
    assert_string_equal(config_origin(&c, "Hostname"), "a:1");
    config_free(&c);
}

static void test_texts(void **state)
{
    (void)state;
    struct config c = {0};
    struct err err = {0};
    const struct config_source s = {.name = "OPS_X", .dir = "/here"};
    assert_true(config_set(&c, config_key("RunConfig.Memory"), &s, "2G", &err));
    assert_int_equal(c.memory, UINT64_C(2) << 30);
    assert_true(config_set(&c, config_key("RunConfig.CPUs"), &s, "3", &err));
    assert_int_equal(c.cpus, 3);
    assert_true(config_set(&c, config_key("RunConfig.Ports"), &s, "80,443", &err));
    assert_int_equal(c.ports.count, 2);
    assert_true(config_set(&c, config_key("Args"), &s, "[\"a,b\"]", &err));
    assert_string_equal(c.args.items[0], "a,b");
    assert_true(config_set(&c, config_key("Program"), &s, "bin/x", &err));
    assert_string_equal(c.program, "/here/bin/x");
    assert_true(config_set(&c, config_key("NoAslr"), &s, "true", &err));
    assert_true(c.no_aslr);
    assert_false(config_set(&c, config_key("RunConfig.CPUs"), &s, "many", &err));
    assert_err(&err, OPS_EXIT_USAGE, "OPS_X:1:1: CPUs must be a whole number");
    assert_null(config_key("RunConfig.Nothing"));
    config_free(&c);
}

static void expand(const char *text, const char *want)
{
    struct strlist used = {0};
    char *missing = NULL, *got = interpolate(text, &used, &missing);
    if (want) {
        assert_non_null(got);
        assert_string_equal(got, want);
    } else {
        assert_null(got);
        assert_non_null(missing);
    }
    free(got);
    free(missing);
    strlist_free(&used);
}

static void test_interpolation(void **state)
{
    (void)state;
    setenv("ITEM", "a \"$HOME\" b", 1);
    setenv("VOID", "", 1);
    unsetenv("GONE");
    expand("", "");
    expand("x$ITEM.y", "xa \"$HOME\" b.y");
    expand("${ITEM}s", "a \"$HOME\" bs");
    expand("$$ITEM $ $1 $", "$ITEM $ $1 $");
    expand("$$$VOID|", "$|");
    expand("${VOID:-z}${GONE:-}${GONE:-a b}", "za b");
    expand("$GONE", NULL);
    expand("$ITEMS", NULL);
    expand("${ITEM", NULL);
    expand("${}", NULL);
    expand("${ITEM-x}", NULL);
}

/* Every key of the table can be named, and its kind of value has words. */
static void table_check(const struct key *table, const char *prefix)
{
    char path[128];
    for (const struct key *k = table; k->name; k++) {
        snprintf(path, sizeof path, "%s%s", prefix, k->name);
        assert_ptr_equal(config_key(path), k);
        if (k->type == KEY_NOTED || k->type == KEY_REFUSED)
            assert_non_null(k->why);
        else
            assert_string_not_equal(key_expected(k), "anything");
        for (const struct key *l = table; l < k; l++)
            assert_true(strcasecmp(l->name, k->name) != 0);
        snprintf(path, sizeof path, "%s%s.", prefix, k->name);
        if (k->table)
            table_check(k->table, path);
    }
}

static void test_table(void **state)
{
    (void)state;
    table_check(config_keys, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layers),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_interpolation),
        cmocka_unit_test(test_table),
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
