#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a developer sees when a program dies, and gdb on cores and on a running machine.
. "$(dirname "$0")/lib.sh"

# A program that crashes on thread 1, called through two functions, with an idle second thread.
crasher() { # NAME [OPTION...]
    cc_program "$@" -g -pthread <<'C'
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int *volatile target;
char *heap;
__attribute__((noinline)) void inner(int x) { *target = x; __asm__ volatile(""); }
__attribute__((noinline)) void middle(int x) { inner(x + 1); __asm__ volatile(""); }
static volatile int ready;
static void *idle(void *arg) { for (ready = 1;;) sleep(1); return arg; }
int main(int argc, char **argv) {
    pthread_t t;
    heap = strdup("kept in the core");
    pthread_create(&t, NULL, idle, NULL);
    while (!ready) sched_yield();
    if (argc > 1 && *argv[1] == 'a') abort();
    if (argc > 1 && *argv[1] == 'j') ((void (*)(void))0x1234)();
    if (argc > 1 && *argv[1] == 'r') target = (int *)main;
    if (argc > 1 && *argv[1] == 'e') _exit(3);
    middle(41);
    return 0;
}
C
}

test_backtrace_by_frames() {
    crasher crash -fno-omit-frame-pointer
    ops run ./crash
    want_error 139 'ended by SIGSEGV: write to 0 \(nothing is mapped there\)'
    want_err '^  rip [0-9a-f]{16}  rsp '
    want_err '#0 +0x[0-9a-f]+ inner\+0x[0-9a-f]+ \(.*/crash\+0x'
    want_err '#[12] .* main\+0x'
    want_err 'middle\+0x'
}

test_backtrace_by_scan() {
    crasher crash -O2 -fomit-frame-pointer
    ops run ./crash
    want_err '#0 +0x[0-9a-f]+ inner\+'
    want_err '\? 0x[0-9a-f]+ main\+0x'
    want_err 'found on the stack, perhaps not a caller'
}

test_backtrace_static() {
    crasher crash -static
    ops run ./crash
    want_err '#0 .* inner\+0x'
}

test_touched_mapping() {
    crasher crash
    ops run ./crash r
    want_error 139 'not allowed'
    want_err '^  [0-9a-f]+-[0-9a-f]+ r-xp .*/crash$'
}

test_jump_to_nowhere() {
    crasher crash
    ops run ./crash j
    want_error 139 'jump to 0x1234'
    want_err 'main\+0x'
}

test_abort_has_backtrace() {
    crasher crash
    ops run ./crash a
    want_error 134 'SIGABRT'
    want_err 'abort\+0x'
    want_err 'main\+0x'
}

test_killed_has_none() {
    cc_program term <<<'#include <signal.h>
int main(void) { raise(SIGTERM); return 0; }'
    ops run ./term
    want_status 143
    ! grep -q '#0' err || fail "a backtrace for SIGTERM: $(said)"
}

test_core_in_gdb() {
    command -v gdb >/dev/null || skip "no gdb"
    crasher crash
    for smp in 1 2; do
        rm -f core
        ops run --smp $smp --core core ./crash
        want_status 139
        want_err '^ops: core file: gdb .*crash core'
        gdb -q -batch -ex bt -ex 'info threads' -ex 'p heap' -ex 'thread apply all bt' \
            crash core >gdb.out 2>&1
        grep -q '#0 .* in inner (x=' gdb.out || fail "no inner in $(cat gdb.out)"
        grep -q 'in main (argc=1' gdb.out || fail "no main in $(cat gdb.out)"
        grep -q '"kept in the core"' gdb.out || fail "no heap in $(cat gdb.out)"
        grep -q 'in idle (arg=' gdb.out || fail "no second thread in $(cat gdb.out)"
    done
}

test_core_static() {
    command -v gdb >/dev/null || skip "no gdb"
    crasher crash -static
    ops run --core core ./crash
    gdb -q -batch -ex bt crash core >gdb.out 2>&1
    grep -q 'in main (argc=1' gdb.out || fail "no main in $(cat gdb.out)"
}

test_no_core_without_crash() {
    crasher crash
    ops run --core core ./crash e
    want_status 3
    want_no_file core
    want_no_err
    ops run --core /nowhere/core ./crash e
    want_error 1 'cannot write /nowhere/core'
}

test_debug_attaches() {
    command -v gdb >/dev/null || skip "no gdb"
    crasher crash
    "$OPS" run --debug ./crash >out 2>err </dev/null &
    local run=$!
    trap "kill $run 2>/dev/null" EXIT
    wait_for 20 grep -q '^gdb ' err || fail "no command: $(cat err)"
    local socket
    socket=$(sed -n "s/.*target remote \([^']*\).*/\1/p" err)
    wait_for 20 test -S "$socket" || fail "no socket $socket"
    eval "$(grep '^gdb ' err) -batch -ex 'hbreak middle' -ex continue -ex 'p x' -ex bt -ex kill" \
        >gdb.out 2>&1 </dev/null
    grep -q 'middle (x=.*41)' gdb.out || fail "no stop in middle: $(cat gdb.out)"
    wait_for 10 test ! -e "$socket" || fail "the socket stays"
}

# The program allocates until the end: it is killed with a report, the kernel lives.
test_out_of_memory() {
    cc_program hog -pthread <<'C'
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
static void *hog(void *arg) {
    for (;;) {
        char *p = malloc(1 << 20);
        if (!p) return arg;
        memset(p, 1, 1 << 20);
    }
}
int main(int argc, char **argv) {
    pthread_t t;
    for (int i = 1; i < argc; i++) pthread_create(&t, NULL, hog, argv[i]);
    hog(NULL);
    return 0;
}
C
    for smp in 1 2; do
        for threads in "" "a b c"; do
            ops run -m 32M --smp $smp ./hog $threads
            want_error 137 'out of memory: of 30 MiB the program has [23][0-9] MiB in use, 0 MiB' -m
            want_err 'try -m 64M'
        done
    done
}

# Kernel objects until the end: errors, or the report; never a panic.
test_kernel_memory_out() {
    cc_program many -pthread <<'C'
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
static void *wait_for_ever(void *arg) { pause(); return arg; }
static char block[65536];
int main(int argc, char **argv) {
    int fds[2], fd;
    long n = 0;
    switch (*argv[1]) {
    case 'f':
        fd = open("/tmp/file", O_CREAT | O_RDWR, 0600);
        while (write(fd, block, sizeof block) > 0) n++;
        break;
    case 'p':
        while (n < 1000 && !pipe2(fds, O_NONBLOCK)) {
            fcntl(fds[1], F_SETPIPE_SZ, 1 << 20);
            while (write(fds[1], block, sizeof block) > 0);
            n++;
        }
        break;
    case 't':
        for (pthread_t t; n < 40000; n++) {
            pthread_attr_t a;
            pthread_attr_init(&a);
            pthread_attr_setstacksize(&a, 16384);
            if (pthread_create(&t, &a, wait_for_ever, NULL)) break;
        }
        break;
    case 'm':
        for (char *p = mmap(0, 1l << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
             n < 70000 && !mprotect(p + n * 8192, 4096, PROT_READ); n++);
        break;
    }
    printf("done %ld\n", n);
    return 0;
}
C
    for smp in 1 2; do
        for kind in f p t m; do
            ops run -m 24M --smp $smp ./many $kind
            case $STATUS in
            0) want_out_has '^done [0-9]' ;;
            137) want_err 'out of memory' ;;
            *) fail "$kind on $smp: status $STATUS: $(said)" ;;
            esac
        done
    done
}

test_small_memory() {
    cc_program hello -static <<<'#include <stdio.h>
int main(void) { puts("hello"); return 0; }'
    ops run -m 4M ./hello
    want_status 0
    want_out hello
}

# More than a gigabyte: the direct map in pages of 1 GiB.
test_large_memory() {
    cc_program hello <<<'#include <stdio.h>
int main(void) { puts("hello"); return 0; }'
    for m in 1G 3G 5G; do
        ops run -m $m ./hello
        want_out hello
    done
}

e2e_main "$@"
