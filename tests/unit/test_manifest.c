/* SPDX-License-Identifier: Apache-2.0 */
/* The manifest's format: values, lists, escapes, defaults, and every way to be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/manifest.h"

static struct manifest m;
static unsigned line;
static const char *why;
static char text[65536];
static void *blocks[8];
static unsigned block_count;

static void *alloc(size_t n)
{
    return blocks[block_count++] = malloc(n);
}

static int parse(const char *s)
{
    size_t n = strlen(s);
    memcpy(text, s, n + 1);
    while (block_count)
        free(blocks[--block_count]);
    return manifest_parse(&m, text, n, alloc, &line, &why);
}

#define HEAD OPS_MANIFEST_MAGIC "\n"

static void defaults(void **state)
{
    (void)state;
    assert_int_equal(parse(HEAD), 0);
    assert_string_equal(m.program, "");
    assert_string_equal(m.cwd, "/");
    assert_true(m.aslr);
    assert_int_equal(m.uid, 0);
    assert_int_equal(m.arg.count, 0);
    assert_string_equal(m.root, "ops-root");
}

static void values(void **state)
{
    (void)state;
    assert_int_equal(
        parse(HEAD "program=/bin/x\nuid=1000\naslr=false\n\n# note\narg=a\nenv=A=b=c\narg=\n"), 0);
    assert_string_equal(m.program, "/bin/x");
    assert_int_equal(m.uid, 1000);
    assert_false(m.aslr);
    assert_int_equal(m.arg.count, 2);
    assert_string_equal(m.arg.item[0], "a");
    assert_string_equal(m.arg.item[1], "");
    assert_string_equal(m.env.item[0], "A=b=c");
}

static void escapes(void **state)
{
    (void)state;
    assert_int_equal(parse(HEAD "arg=a\\nb\\\\c\\x41\\xff\\x09\n"), 0);
    assert_string_equal(m.arg.item[0], "a\nb\\cA\xff\t");
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned line;
        const char *why;
    } bad[] = {
        {"", 1, "empty"},
        {"ops-manifest 2\n", 1, "not a manifest"},
        {OPS_MANIFEST_MAGIC, 1, "last line is not ended"},
        {HEAD "program=x", 2, "last line is not ended"},
        {HEAD "nothing\n", 2, "line without '='"},
        {HEAD "colour=red\n", 2, "unknown key"},
        {HEAD "cwd=/\ncwd=/\n", 3, "key stands twice"},
        {HEAD "uid=-1\n", 2, "bad value"},
        {HEAD "uid=\n", 2, "bad value"},
        {HEAD "uid=9223372036854775808\n", 2, "bad value"},
        {HEAD "uid=12x\n", 2, "bad value"},
        {HEAD "aslr=yes\n", 2, "bad value"},
        {HEAD "arg=\\q\n", 2, "bad escape"},
        {HEAD "arg=\\x4\n", 2, "bad escape"},
        {HEAD "arg=\\x00\n", 2, "bad escape"},
        {HEAD "arg=a\tb\n", 2, "bad escape"},
        {HEAD "arg=\\\n", 2, "bad escape"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(parse(bad[i].text), -22);
        assert_string_equal(why, bad[i].why);
        assert_int_equal(line, bad[i].line);
    }
}

/* CRC-32C of "cwd=/a\nuid=7\n" is what another program computed. */
static void sealed(void **state)
{
    static const char body[] = "cwd=/a\nuid=7\n";
    (void)state;
    char good[128];
    snprintf(good, sizeof good, HEAD OPS_MANIFEST_SEAL "%08x\n%s", 0xcb795560u, body);
    assert_int_equal(parse(good), 0);
    assert_string_equal(m.cwd, "/a");
    for (size_t i = strlen(HEAD OPS_MANIFEST_SEAL); i < strlen(good); i++) {
        for (int bit = 0; bit < 8; bit++) {
            good[i] = (char)(good[i] ^ 1 << bit);
            bool same = i < strlen(HEAD OPS_MANIFEST_SEAL) + 8 && bit == 5; /* a letter's case */
            if (!(same && ((good[i] | 32) >= 'a' && (good[i] | 32) <= 'f')))
                assert_int_equal(parse(good), -22);
            good[i] = (char)(good[i] ^ 1 << bit);
        }
    }
    for (size_t n = strlen(HEAD OPS_MANIFEST_SEAL); n < strlen(good); n++) { /* cut off */
        memcpy(text, good, n);
        assert_int_equal(manifest_parse(&m, text, n, alloc, &line, &why), -22);
    }
}

static void limits(void **state)
{
    (void)state;
    assert_int_equal(parse(HEAD "uid=9223372036854775807\n"), 0);
    memcpy(text, HEAD "cwd=a\0b\n", sizeof HEAD + 7);
    assert_int_equal(manifest_parse(&m, text, sizeof HEAD + 7, alloc, &line, &why), -22);
    strcpy(text, HEAD);
    for (int i = 0; i < 5000; i++)
        strcpy(text + strlen(HEAD) + 6 * (size_t)i, "arg=x\n");
    assert_int_equal(manifest_parse(&m, text, strlen(text), alloc, &line, &why), 0);
    assert_int_equal(m.arg.count, 5000);
}

static void *no_memory(size_t n)
{
    (void)n;
    return NULL;
}

static void out_of_memory(void **state)
{
    (void)state;
    strcpy(text, HEAD "arg=x\n");
    assert_int_equal(manifest_parse(&m, text, strlen(text), no_memory, &line, &why), -12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),      cmocka_unit_test(values), cmocka_unit_test(escapes),
        cmocka_unit_test(refused),       cmocka_unit_test(sealed), cmocka_unit_test(limits),
        cmocka_unit_test(out_of_memory),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    while (block_count)
        free(blocks[--block_count]);
    return failed;
}
