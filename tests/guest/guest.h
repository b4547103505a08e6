/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Harness of the guest tests: ordinary Linux programs that must pass on the host
 * before they judge the kernel. A file is a family of system calls:
 *
 *     TEST(name) { CHECK(condition); }
 *
 * Included once per program; it holds main(). Each case prints `ok name` or
 * `not ok name: file:line: expression`; the last line is `N passed, N failed`;
 * exit status 0 only if all passed. Arguments select cases by name. CHECK ends
 * the case and may only be used by the thread that runs it.
 */
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct guest_test {
    const char *name;
    void (*run)(void);
    struct guest_test *next;
};

static struct guest_test *guest_first, **guest_last = &guest_first;
static jmp_buf guest_out;

#define TEST(test)                                                                                 \
    static void test_##test(void);                                                                 \
    static struct guest_test guest_##test = {#test, test_##test, NULL};                            \
    __attribute__((constructor)) static void guest_add_##test(void)                                \
    {                                                                                              \
        *guest_last = &guest_##test;                                                               \
        guest_last = &guest_##test.next;                                                           \
    }                                                                                              \
    static void test_##test(void)

#define CHECK(cond) ((cond) ? (void)0 : guest_fail(__FILE__, __LINE__, #cond))
/* The call fails with this error. */
#define FAILS(call, err) (errno = 0, (call) == -1 && errno == (err))

static const char *guest_name;

__attribute__((noreturn, unused)) static void guest_fail(const char *file, int line,
                                                         const char *expr)
{
    int err = errno;
    const char *slash = strrchr(file, '/');
    printf("not ok %s: %s:%d: %s (errno %d)\n", guest_name, slash ? slash + 1 : file, line, expr,
           err);
    longjmp(guest_out, 1);
}

/* A path in the read-only tree that tests/run-guest makes; good until the next call but three. */
__attribute__((unused)) static const char *data_path(const char *name)
{
    static char buf[4][512];
    static unsigned turn;
    const char *dir = getenv("GUEST_DATA");
    char *p = buf[turn++ % 4];
    snprintf(p, sizeof buf[0], "%s/%s", dir ? dir : ".", name);
    return p;
}

/* A path in /tmp (or GUEST_TMP) of this process's own; likewise. */
__attribute__((unused)) static const char *tmp_path(const char *name)
{
    static char buf[4][128];
    static unsigned turn;
    char *p = buf[turn++ % 4];
    const char *dir = getenv("GUEST_TMP");
    snprintf(p, sizeof buf[0], "%s/guest-%d-%s", dir ? dir : "/tmp", (int)getpid(), name);
    return p;
}

/* Nanoseconds of CLOCK_MONOTONIC. */
__attribute__((unused)) static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

#define MS 1000000ll

/* Polls for a condition for at most ten seconds. */
#define SOON(cond)                                                                                 \
    ({                                                                                             \
        int64_t soon_end = now_ns() + 10000 * MS;                                                  \
        while (!(cond) && now_ns() < soon_end)                                                     \
            sched_yield();                                                                         \
        (cond);                                                                                    \
    })
int sched_yield(void);

static bool guest_selected(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], name))
            return true;
    return argc < 2;
}

int main(int argc, char **argv)
{
    static volatile int passed, failed;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (struct guest_test *volatile t = guest_first; t; t = t->next) {
        if (!guest_selected(t->name, argc, argv))
            continue;
        guest_name = t->name;
        if (setjmp(guest_out)) {
            failed++;
            continue;
        }
        t->run();
        printf("ok %s\n", t->name);
        passed++;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed || !passed;
}
