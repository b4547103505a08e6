#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Memory to its end, in small machines: whatever eats it, the program sees an error
# or is ended with a report, and the kernel lives; and what 2 MiB pages do to it.
# Alone: it looks at the host's memory.
. "$(dirname "$0")/lib.sh"

# eater: ./eat KIND takes memory of one kind until there is no more.
eater() {
    cc_program eat -pthread <<'C'
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MIB (1ul << 20)
static char block[65536], *big;
static size_t size;

static void reserve(size_t n, int advice) {
    size = n;
    big = mmap(0, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (big == MAP_FAILED || madvise(big, n, advice)) exit(3);
}
static void *toucher(void *arg) {
    for (size_t i = (size_t)arg * 4096; i < size; i += 4 * 4096) big[i] = 1;
    return NULL;
}
static void together(int advice) {
    pthread_t t[4];
    reserve(8192 * MIB, advice);
    for (size_t i = 0; i < 4; i++) pthread_create(&t[i], 0, toucher, (void *)i);
    for (size_t i = 0; i < 4; i++) pthread_join(t[i], 0);
}
/* One byte every 2 MiB. */
static long sparse(size_t n, int advice) {
    long sum = 0;
    reserve(n, advice);
    for (size_t i = 0; i < n; i += 2 * MIB) big[i + 8192] = 1;
    for (size_t i = 0; i < n; i += 2 * MIB) sum += big[i + 8192];
    return sum;
}
static long events(void) {
    long n = 0;
    while (eventfd(0, 0) >= 0) n++;
    return n;
}
static long sockets(void) {
    long n = 0;
    for (int p[2]; !socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p); n++) {
        while (write(p[1], block, sizeof block) > 0);
        if (errno != EAGAIN) break;
    }
    return n;
}
static long pieces(void) {
    long n = 0;
    for (char *p; (p = mmap(0, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) != MAP_FAILED; n++)
        if (munmap(p + 4096, 4096)) break;
    return n;
}
static long files(void) {
    char name[64];
    long n = 0;
    for (int fd; sprintf(name, "/tmp/f%ld", n), (fd = open(name, O_CREAT | O_RDWR, 0600)) >= 0; n++) close(fd);
    return n;
}
static void shared(int fd) {
    if (fd < 0 || ftruncate(fd, 256 * MIB)) exit(3);
    big = mmap(0, 256 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    for (size_t i = 0; i < 256 * MIB; i += 4096) big[i] = 1;
}
static long stored(void) {
    int fd = open("/tmp/big", O_CREAT | O_RDWR, 0600);
    long n = 0, part;
    while ((part = write(fd, block, sizeof block)) > 0) n += part;
    return n;
}
int main(int argc, char **argv) {
    struct rlimit many = {1 << 20, 1 << 20};
    const char *kind = argv[1];
    long n = 0;
    setrlimit(RLIMIT_NOFILE, &many);
    if (!strcmp(kind, "threads")) together(MADV_NORMAL);
    if (!strcmp(kind, "huge")) together(MADV_HUGEPAGE);
    if (!strcmp(kind, "tables")) n = sparse(1ul << 40, MADV_NOHUGEPAGE);
    if (!strcmp(kind, "sparse")) n = sparse(1ul << 30, MADV_HUGEPAGE);
    if (!strcmp(kind, "plain")) n = sparse(1ul << 30, MADV_NORMAL);
    if (!strcmp(kind, "events")) n = events();
    if (!strcmp(kind, "sockets")) n = sockets();
    if (!strcmp(kind, "pieces")) n = pieces();
    if (!strcmp(kind, "files")) n = files();
    if (!strcmp(kind, "memfd")) shared(memfd_create("m", 0));
    if (!strcmp(kind, "mapped")) shared(open("/tmp/s", O_CREAT | O_RDWR, 0600));
    if (!strcmp(kind, "stored")) n = stored();
    printf("%ld %s\n", n, strerrorname_np(errno) ? strerrorname_np(errno) : "-");
    return 0;
}
C
}

# The report says how much there was, and what to try.
test_touched_too_much() {
    eater
    for smp in 1 4; do
        for kind in threads huge tables memfd; do
            ops run -m 48M --smp $smp ./eat $kind
            want_error 137 'out of memory: of 4[67] MiB the program has [0-9]+ MiB in use, 0 MiB' -m
            want_err 'try -m 64M'
        done
    done
}

# Objects of the kernel's: the program is told and lives on.
test_too_many_objects() {
    eater
    for smp in 1 2; do
        for kind in events sockets files; do
            ops run -m 20M --smp $smp ./eat $kind
            want_status 0
            want_out_has '^[0-9]{2,} ENOMEM$'
        done
        ops run -m 20M --smp $smp ./eat pieces
        want_status 0
        want_out_has '^[0-9]{4,} ENOMEM$'
    done
}

test_full_tmpfs() {
    eater
    ops run -m 48M ./eat stored
    want_status 0
    want_out_has '^[0-9]{7,} ENOSPC$'
    ops run -m 48M ./eat mapped
    want_error 135 'SIGBUS'
}

# Advice for 2 MiB pages costs nobody his memory: 512 of them do not fit, 512 bytes do.
test_sparse_use_fits() {
    eater
    for kind in sparse plain; do
        ops run -m 64M ./eat $kind
        want_status 0
        want_out_has '^512 '
    done
}

# Zeroes in 2 MiB pages are given back when other memory is needed, for each way to need it.
test_zeroes_are_given_back() {
    cc_program pressed <<'C'
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#define MIB (1ul << 20)
int main(int argc, char **argv) {
    size_t n = 40 * MIB;
    char *p = mmap(0, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(p, n, MADV_HUGEPAGE);
    for (size_t i = 0; i < n; i += 64 * 4096) p[i + 100] = 7;
    if (*argv[1] == 'a') {
        char *q = mmap(0, 40 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (size_t i = 0; i < 40 * MIB; i += 4096) q[i] = 5;
    } else {
        static char block[65536];
        int fd = memfd_create("m", 0);
        for (size_t i = 0; i < 24 * MIB; i += sizeof block)
            if (write(fd, block, sizeof block) != sizeof block) return 4;
    }
    for (size_t i = 0; i < n; i += 4096)
        if (p[i + 100] != (i % (64 * 4096) ? 0 : 7) || p[i + 200]) return 5;
    puts("kept");
    return 0;
}
C
    for smp in 1 2; do
        for kind in a f; do
            ops run -m 64M --smp $smp ./pressed $kind
            want_status 0
            want_out kept
        done
    done
}

test_freed_memory_goes_back_to_the_host() {
    local arg host
    cc_program full <<'C'
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
int main(void) {
    size_t n = 300ul << 20;
    char *p = mmap(0, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(p, 1, n);
    munmap(p, n);
    p = mmap(0, n / 4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(p, 2, n / 4);
    puts("freed"), fflush(stdout);
    sleep(5);
    for (size_t i = 0; i < n / 4; i++) if (p[i] != 2) puts("lost");
    p = mmap(0, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; i < n; i++) if (p[i]) puts("not zero");
    puts("again"), fflush(stdout);
    pause();
}
C
    export XDG_RUNTIME_DIR=$T/run XDG_STATE_HOME=$T/state
    mkdir -p run state
    host() { "$OPS" instance stats --json "m-$arg" | python3 -c 'import json, sys; print(json.load(sys.stdin)["hostMemoryBytes"] >> 20)'; }
    for arg in microvm q35; do
        ops run -d --name m-$arg -m 512M --machine $arg ./full
        want_status 0
        wait_for 60 eval '"$OPS" instance logs m-$arg | grep -q freed' || fail "$("$OPS" instance logs m-$arg)"
        wait_for 20 eval '[ "$(host)" -lt 200 ]' || fail "the host keeps $(host) MiB"
        [ "$(awk '$1 == "VmHWM:" {print $2}' /proc/"$(cat run/ops/m-$arg/pid)"/status)" -gt 300000 ] || fail "it was never full"
        wait_for 60 eval '"$OPS" instance logs m-$arg | grep -q again' || fail "$("$OPS" instance logs m-$arg)"
        [ "$("$OPS" instance logs m-$arg | tr '\n' ' ')" = "freed again " ] || fail "$("$OPS" instance logs m-$arg)"
        ops instance delete -f m-$arg
    done
}

test_core_has_large_pages() {
    command -v gdb >/dev/null || skip "no gdb"
    cc_program large -g <<'C'
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>
char *large;
int main(void) {
    char *p = mmap(0, 8ul << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(p, 8ul << 20, MADV_HUGEPAGE);
    for (unsigned long i = 0; i < 8ul << 20; i += 4096) *(int *)(p + i) = 1000000 + i / 4096;
    munmap(p + (5ul << 20), 4096);
    large = p;
    abort();
}
C
    ops run --core core ./large
    want_status 134
    gdb -q -batch -ex 'p *(int *)(large + 4096 * 1023)' -ex 'p *(int *)(large + 4096 * 1281)' \
        -ex 'p *(int *)(large + 4096 * 1280)' large core >gdb.out 2>&1
    grep -q '= 1001023$' gdb.out && grep -q '= 1001281$' gdb.out || fail "content: $(cat gdb.out)"
    grep -q 'Cannot access memory' gdb.out || fail "the hole: $(cat gdb.out)"
}

e2e_main "$@"
