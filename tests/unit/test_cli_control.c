/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the control channel, whole, in pieces and as nonsense. */
#include "cli_test.h"

#include "control_lines.h"

static struct control c;
static struct err err;

static int teardown(void **state)
{
    (void)state;
    control_free(&c);
    c = (struct control){0};
    err_free(&err);
    return 0;
}

static void feed(const char *text)
{
    control_feed(&c, text, strlen(text));
}

static void test_exit_in_pieces(void **state)
{
    (void)state;
    feed("ex");
    feed("it 7");
    assert_false(c.exited);
    feed("7\n");
    assert_true(c.exited);
    assert_int_equal(c.status, 77);
    assert_true(control_verdict(&c, 0, &err));
}

static void test_killed(void **state)
{
    (void)state;
    feed("killed 6 abort\\x21\nexit 134\n");
    assert_false(control_verdict(&c, 0, &err));
    assert_err(&err, 134, "ended by SIGABRT: abort!");
    assert_true(control_verdict(&c, 6, &err)); /* we passed it on: no news */
}

static void test_killed_without_reason(void **state)
{
    (void)state;
    feed("killed 11\nkilled 11 \nexit 139\n");
    assert_false(control_verdict(&c, 0, &err));
    assert_err(&err, 139, "ended by SIGSEGV");
}

static void test_crash_report(void **state)
{
    (void)state;
    feed("crash rip 0000\nframe pc 401136 1136 /nowhere/app\nframe scan 402000 0 \n"
         "frame nonsense\nkilled 11 x\nexit 139\n");
    buf_add(&c.crash.text, "", 0);
    assert_string_equal(c.crash.text.data, "  rip 0000\n"
                                           "  #0    0x000000401136 (/nowhere/app+0x1136)\n"
                                           "  #1  ? 0x000000402000\n"
                                           "  nonsense\n");
}

/* A second process asked for: told at once, and no call that is missing. */
static void test_refused(void **state)
{
    (void)state;
    feed("refused vfork 0x7f0012345678\nrefused\nrefused vfork\nexit 1\n");
    assert_int_equal(c.unsupported.count, 0);
    assert_true(control_verdict(&c, 0, &err));
}

static void test_unsupported(void **state)
{
    (void)state;
    feed("unsupported bpf\nunsupported bpf\nunsupported kexec_load\nexit 3\n");
    assert_int_equal(c.unsupported.count, 2);
    assert_false(control_verdict(&c, 0, &err));
    assert_err(&err, 3, "bpf, kexec_load");
}

static void test_started(void **state)
{
    (void)state;
    feed("log info x\nstarted");
    assert_false(c.started);
    feed(" /a\\nb\n");
    assert_true(c.started);
}

static void test_panic(void **state)
{
    (void)state;
    feed("panic out of\\x20frames\n");
    assert_string_equal(c.panic, "out of frames");
}

static void test_nonsense(void **state)
{
    (void)state;
    char *long_line = malloc(100000);
    memset(long_line, 'x', 99999);
    long_line[99999] = 0;
    feed("\n\n \nfoo bar\nexit\ntermios zz\ntermios 17 2 3 4 5\nlog\nlog x\nkilled\n");
    feed(long_line);
    feed("\n");
    control_feed(&c, "exit\0 5\n", 8);
    assert_string_equal(c.termios, " 2 3 4 5");
    assert_int_equal(c.termios_at, 17);
    assert_true(c.exited);
    assert_int_equal(c.status, 5);
    feed("killed x\n");
    assert_false(control_verdict(&c, 0, &err) && false);
    free(long_line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_exit_in_pieces, teardown),
        cmocka_unit_test_teardown(test_killed, teardown),
        cmocka_unit_test_teardown(test_killed_without_reason, teardown),
        cmocka_unit_test_teardown(test_crash_report, teardown),
        cmocka_unit_test_teardown(test_unsupported, teardown),
        cmocka_unit_test_teardown(test_refused, teardown),
        cmocka_unit_test_teardown(test_started, teardown),
        cmocka_unit_test_teardown(test_panic, teardown),
        cmocka_unit_test_teardown(test_nonsense, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
