/* SPDX-License-Identifier: Apache-2.0 */
/* x87, SSE and AVX state: kept over switches and signals, present in signal frames. */
#include "guest.h"

#include <pthread.h>
#include <signal.h>
#include <ucontext.h>

static bool has_avx(void)
{
    return __builtin_cpu_supports("avx");
}

/* Fills the vector registers with a pattern of `seed`, spins, and counts what changed. */
__attribute__((target("avx"))) static int avx_round(unsigned seed, bool yield)
{
    unsigned in[8], out[3][8];
    for (unsigned i = 0; i < 8; i++)
        in[i] = seed * 2654435761u + i;
    unsigned long rax = yield ? SYS_sched_yield : SYS_getpid;
    __asm__ volatile("vmovups %1, %%ymm0; vmovups %1, %%ymm9; vmovups %1, %%ymm15;"
                     "movl $2000, %%edx; 1: decl %%edx; jnz 1b; syscall;"
                     "vmovups %%ymm0, %2; vmovups %%ymm9, %3; vmovups %%ymm15, %4"
                     : "+a"(rax)
                     : "m"(in), "m"(out[0]), "m"(out[1]), "m"(out[2])
                     : "rcx", "rdx", "r11", "xmm0", "xmm9", "xmm15", "memory", "cc");
    return memcmp(in, out[0], 32) || memcmp(in, out[1], 32) || memcmp(in, out[2], 32);
}

static int sse_round(unsigned seed, bool yield)
{
    unsigned in[4] = {seed, ~seed, seed * 3, seed ^ 0x5555}, out[2][4];
    unsigned long rax = yield ? SYS_sched_yield : SYS_getpid;
    __asm__ volatile("movups %1, %%xmm1; movups %1, %%xmm14;"
                     "movl $2000, %%edx; 1: decl %%edx; jnz 1b; syscall;"
                     "movups %%xmm1, %2; movups %%xmm14, %3"
                     : "+a"(rax)
                     : "m"(in), "m"(out[0]), "m"(out[1])
                     : "rcx", "rdx", "r11", "xmm1", "xmm14", "memory", "cc");
    return memcmp(in, out[0], 16) || memcmp(in, out[1], 16);
}

static int x87_round(unsigned seed, bool yield)
{
    int in = (int)seed, out = 0;
    unsigned long rax = yield ? SYS_sched_yield : SYS_getpid;
    __asm__ volatile("fildl %1; fildl %1; movl $2000, %%edx; 1: decl %%edx; jnz 1b; syscall;"
                     "faddp; fistpl %2"
                     : "+a"(rax)
                     : "m"(in), "m"(out)
                     : "rcx", "rdx", "r11", "st", "st(1)", "memory", "cc");
    return out != 2 * in;
}

static void *rounds(void *arg)
{
    long bad = 0;
    unsigned seed = (unsigned)(long)arg * 1000;
    for (unsigned i = 0; i < 300; i++) {
        bad += sse_round(seed + i, i & 1);
        bad += x87_round(seed + i, i & 1);
        if (has_avx())
            bad += avx_round(seed + i, i & 1);
    }
    return (void *)bad;
}

TEST(kept_over_switches)
{
    pthread_t t[4];
    for (long i = 0; i < 4; i++)
        CHECK(pthread_create(&t[i], NULL, rounds, (void *)(i + 1)) == 0);
    for (int i = 0; i < 4; i++) {
        void *bad;
        pthread_join(t[i], &bad);
        CHECK(!bad);
    }
}

static void *control_word(void *arg)
{
    long bad = 0;
    unsigned mine = 0x1f80 | (unsigned)(long)arg << 13, mxcsr; /* a rounding mode each */
    unsigned short cw = (unsigned short)(0x37f | (long)arg << 10), now;
    __asm__ volatile("ldmxcsr %0; fldcw %1" ::"m"(mine), "m"(cw));
    for (int i = 0; i < 500; i++) {
        sched_yield();
        __asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(mxcsr), "=m"(now));
        bad += (mxcsr & ~0x3fu) != mine || now != cw;
    }
    return (void *)bad;
}

TEST(control_per_thread)
{
    pthread_t t[4];
    for (long i = 0; i < 4; i++)
        CHECK(pthread_create(&t[i], NULL, control_word, (void *)i) == 0);
    for (int i = 0; i < 4; i++) {
        void *bad;
        pthread_join(t[i], &bad);
        CHECK(!bad);
    }
}

static void clobber(int sig)
{
    unsigned ones[4] = {~0u, ~0u, ~0u, ~0u};
    (void)sig;
    __asm__ volatile(
        "movups %0, %%xmm1; movups %0, %%xmm14; fninit; fldpi; fldpi; fldpi" ::"m"(ones)
        : "xmm1", "xmm14");
    __asm__ volatile("fninit");
}

__attribute__((target("avx"))) static void clobber_avx(int sig)
{
    clobber(sig);
    __asm__ volatile(
        "vxorps %%ymm0, %%ymm0, %%ymm0; vmovaps %%ymm0, %%ymm9; vmovaps %%ymm0, %%ymm15" ::
            : "xmm0", "xmm9", "xmm15");
}

struct target {
    pthread_t thread;
    volatile int stop;
};

static void *bombard(void *arg)
{
    struct target *t = arg;
    while (!t->stop) {
        pthread_kill(t->thread, SIGUSR1);
        sched_yield();
    }
    return NULL;
}

TEST(kept_over_signals)
{
    struct sigaction sa = {.sa_handler = has_avx() ? clobber_avx : clobber};
    struct target me = {pthread_self(), 0};
    pthread_t t;
    CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
    CHECK(pthread_create(&t, NULL, bombard, &me) == 0);
    void *bad = rounds((void *)9l);
    me.stop = 1;
    pthread_join(t, NULL);
    signal(SIGUSR1, SIG_DFL);
    CHECK(!bad);
}

static unsigned frame_xmm3, frame_magic, frame_size;

static void edit_frame(int sig, siginfo_t *si, void *ucv)
{
    ucontext_t *uc = ucv;
    (void)sig;
    (void)si;
    fpregset_t fp = uc->uc_mcontext.fpregs;
    frame_xmm3 = fp->_xmm[3].element[0];
    fp->_xmm[3].element[0] = 0xabcdef01;
    memcpy(&frame_magic, (char *)fp + 464, 4); /* struct _fpx_sw_bytes: magic1, extended_size */
    memcpy(&frame_size, (char *)fp + 468, 4);
}

TEST(signal_frame)
{
    struct sigaction sa = {.sa_sigaction = edit_frame, .sa_flags = SA_SIGINFO};
    unsigned before = 0x12345678, after = 0;
    unsigned long rax = SYS_tgkill;
    CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
    __asm__ volatile("movd %1, %%xmm3; syscall; movd %%xmm3, %2"
                     : "+a"(rax)
                     : "m"(before), "m"(after), "D"(getpid()), "S"(getpid()), "d"(SIGUSR1)
                     : "rcx", "r11", "xmm3", "memory");
    CHECK(frame_xmm3 == before && after == 0xabcdef01);
    if (has_avx())
        CHECK(frame_magic == 0x46505853 && frame_size > 512 + 64); /* FP_XSTATE_MAGIC1 */
}

TEST(arithmetic)
{
    volatile double d = 2;
    volatile long double l = 3;
    CHECK(d * 8 / 5 == 3.2 && l / 2 == 1.5L);
    char buf[64];
    snprintf(buf, sizeof buf, "%.6f %.3Lf", d / 3, l);
    CHECK(!strcmp(buf, "0.666667 3.000"));
}
