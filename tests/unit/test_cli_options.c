/* SPDX-License-Identifier: Apache-2.0 */
/* The option parser: every spelling, where options end, errors. */
#include "cli_test.h"

#include "options.h"
#include "ops/exit.h"
#include "strlist.h"

struct out {
    bool flag, other;
    const char *text, *maybe;
    struct strlist list;
};

static const struct option rows[] = {
    {.name = "flag", .letter = 'f', .type = OPTION_FLAG, .offset = offsetof(struct out, flag)},
    {.name = "other", .letter = 'o', .type = OPTION_FLAG, .offset = offsetof(struct out, other)},
    {.name = "text",
     .letter = 't',
     .type = OPTION_TEXT,
     .offset = offsetof(struct out, text),
     .argument = "TEXT"},
    {.name = "list",
     .letter = 'l',
     .type = OPTION_LIST,
     .offset = offsetof(struct out, list),
     .argument = "ITEM"},
    {.name = "maybe",
     .type = OPTION_MAYBE,
     .offset = offsetof(struct out, maybe),
     .argument = "WHAT",
     .bare = "all"},
};
static const struct option_table table = {rows, 5};

#define WORDS(...) ((char *[]){__VA_ARGS__, NULL})

static struct out parse(char **words, int *next)
{
    struct out o = {0};
    struct err err = {0};
    bool help;
    *next = 0;
    assert_true(options_parse(&table, &o, words, next, &help, &err));
    assert_false(help);
    return o;
}

static void refuse(char **words, const char *message, const char *hint)
{
    struct out o = {0};
    struct err err = {0};
    bool help;
    int next = 0;
    assert_false(options_parse(&table, &o, words, &next, &help, &err));
    if (hint)
        assert_string_equal(err.hint, hint);
    assert_err(&err, OPS_EXIT_USAGE, message);
    strlist_free(&o.list);
}

static void test_spellings(void **state)
{
    (void)state;
    int next;
    struct out o =
        parse(WORDS("--flag", "--text=a=b", "-l", "1", "-l2", "--list", "3", "--maybe"), &next);
    assert_true(o.flag);
    assert_string_equal(o.text, "a=b");
    assert_int_equal(o.list.count, 3);
    assert_string_equal(o.list.items[1], "2");
    assert_string_equal(o.maybe, "all");
    assert_int_equal(next, 8);
    strlist_free(&o.list);
    o = parse(WORDS("-fot", "x", "--maybe=read,write", "--text="), &next);
    assert_true(o.flag && o.other);
    assert_string_equal(o.maybe, "read,write");
    assert_string_equal(o.text, "");
}

static void test_end_of_options(void **state)
{
    (void)state;
    int next;
    parse(WORDS("-f", "program", "-o"), &next);
    assert_int_equal(next, 1);
    parse(WORDS("-f", "--", "-program"), &next);
    assert_int_equal(next, 2);
    parse(WORDS("-", "-f"), &next);
    assert_int_equal(next, 0);
    struct out o = parse(WORDS("-t", "--", "x"), &next);
    assert_string_equal(o.text, "--");
    assert_int_equal(next, 2);
}

static void test_help(void **state)
{
    (void)state;
    struct out o = {0};
    struct err err = {0};
    bool help;
    int next = 0;
    assert_true(options_parse(&table, &o, WORDS("-f", "--help", "--wrong"), &next, &help, &err));
    assert_true(help);
    next = 0;
    assert_true(options_parse(&table, &o, WORDS("-fh"), &next, &help, &err));
    assert_true(help);
}

static void test_errors(void **state)
{
    (void)state;
    refuse(WORDS("--flga"), "unknown option --flga", "did you mean --flag?");
    refuse(WORDS("--hepl"), "unknown option --hepl", "did you mean --help?");
    refuse(WORDS("--zzzzzz=1"), "unknown option --zzzzzz", "--help lists the options");
    refuse(WORDS("-z"), "unknown option -z", NULL);
    refuse(WORDS("-fz"), "unknown option", NULL);
    refuse(WORDS("--text"), "option --text needs a value: TEXT", NULL);
    refuse(WORDS("-ft"), "option -t needs a value", NULL);
    refuse(WORDS("--flag=1"), "option --flag takes no value", NULL);
}

static void test_printed_help(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    options_print(&table, to);
    fclose(to);
    assert_non_null(strstr(text, "-t, --text TEXT"));
    assert_non_null(strstr(text, "--maybe[=WHAT]"));
    assert_non_null(strstr(text, "-h, --help"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spellings),    cmocka_unit_test(test_end_of_options),
        cmocka_unit_test(test_help),         cmocka_unit_test(test_errors),
        cmocka_unit_test(test_printed_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
