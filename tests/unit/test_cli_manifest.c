/* SPDX-License-Identifier: Apache-2.0 */
/* The manifest's text against include/ops/manifest.h. */
#include "cli_test.h"

#include "manifest_text.h"
#include "ops/exit.h"

static void expect(struct manifest *m, const char *text)
{
    struct buf out = {0};
    struct err err = {0};
    assert_true(manifest_write(m, &out, &err));
    assert_string_equal(out.data, text);
    buf_free(&out);
    manifest_free(m);
}

static void test_defaults_are_left_out(void **state)
{
    (void)state;
    struct manifest m;
    manifest_init(&m);
    m.program = "/bin/app";
    expect(&m, "ops-manifest 1\nprogram=/bin/app\n");
}

static void test_every_type(void **state)
{
    (void)state;
    struct manifest m;
    manifest_init(&m);
    m.program = "/p";
    strlist_add(&m.arg, "p");
    strlist_add(&m.arg, "");
    strlist_add(&m.env, "A=b=c");
    m.uid = 1000;
    m.aslr = false;
    m.rows = 50;
    m.trace = "all";
    expect(&m, "ops-manifest 1\nprogram=/p\narg=p\narg=\nenv=A=b=c\nuid=1000\naslr=false\nrows=50\n"
               "trace=all\n");
}

static void test_escape_and_back(void **state)
{
    (void)state;
    char all[256];
    struct buf out = {0};
    for (int i = 1; i < 256; i++)
        all[i - 1] = (char)i;
    all[255] = 0;
    manifest_escape(&out, all);
    for (size_t i = 0; i < out.size; i++)
        assert_true((unsigned char)out.data[i] >= 0x20);
    manifest_unescape(out.data);
    assert_string_equal(out.data, all);
    buf_free(&out);
}

static void test_unescape_nonsense(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"\\", "\\"},       {"\\q", "\\q"},     {"\\x", "\\x"},       {"\\x4", "\\x4"},
        {"\\x00", "\\x00"}, {"\\x41", "A"},     {"\\\\x41", "\\x41"}, {"\\x 1", "\\x 1"},
        {"a\\nb", "a\nb"},  {"\\x-1", "\\x-1"}, {"\\x0x1", "\\x0x1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[32];
        strcpy(text, cases[i].in);
        manifest_unescape(text);
        assert_string_equal(text, cases[i].out);
    }
}

static void test_too_large(void **state)
{
    (void)state;
    struct manifest m;
    struct buf out = {0};
    struct err err = {0};
    char *long_text = malloc(OPS_MANIFEST_MAX);
    memset(long_text, 'x', OPS_MANIFEST_MAX - 1);
    long_text[OPS_MANIFEST_MAX - 1] = 0;
    manifest_init(&m);
    strlist_add(&m.arg, long_text);
    assert_false(manifest_write(&m, &out, &err));
    assert_err(&err, OPS_EXIT_USAGE, "too long");
    free(long_text);
    buf_free(&out);
    manifest_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_are_left_out),
        cmocka_unit_test(test_every_type),
        cmocka_unit_test(test_escape_and_back),
        cmocka_unit_test(test_unescape_nonsense),
        cmocka_unit_test(test_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
