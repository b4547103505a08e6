/* SPDX-License-Identifier: Apache-2.0 */
/* Faults of the program as signals: numbers, codes, addresses, registers, recovery. */
#include "guest.h"

#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#define PAGE 4096ul

static volatile int got_signal;
static siginfo_t info;
static greg_t trapno, error, cr2;
static void *resume; /* where the handler continues; NULL: longjmp */
static sigjmp_buf out;

static void on_fault(int sig, siginfo_t *si, void *ucv)
{
    ucontext_t *uc = ucv;
    got_signal = sig;
    info = *si;
    trapno = uc->uc_mcontext.gregs[REG_TRAPNO];
    error = uc->uc_mcontext.gregs[REG_ERR];
    cr2 = uc->uc_mcontext.gregs[REG_CR2];
    if (!resume)
        siglongjmp(out, 1);
    uc->uc_mcontext.gregs[REG_RIP] = (greg_t)resume;
}

static void catch_all(int extra_flags)
{
    static const int sigs[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | extra_flags};
    for (unsigned i = 0; i < COUNT(sigs); i++)
        sigaction(sigs[i], &sa, NULL);
    got_signal = 0;
    resume = NULL;
}

/* Runs the statement; the fault it raises lands in got_signal, info and so on. */
#define FAULT(statement)                                                                           \
    do {                                                                                           \
        catch_all(0);                                                                              \
        if (!sigsetjmp(out, 1)) {                                                                  \
            statement;                                                                             \
        }                                                                                          \
    } while (0)

static void read_at(const void *p)
{
    (void)*(const volatile char *)p;
}

static void write_at(void *p)
{
    *(volatile char *)p = 1;
}

TEST(null_pointer)
{
    FAULT(read_at((void *)16));
    CHECK(got_signal == SIGSEGV && info.si_code == SEGV_MAPERR && info.si_addr == (void *)16);
    CHECK(trapno == 14 && error == 4 && cr2 == 16);
    FAULT(write_at((void *)8));
    CHECK(got_signal == SIGSEGV && info.si_addr == (void *)8 && error == 6);
}

TEST(unmapped)
{
    char *p = mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(p, 2 * PAGE);
    FAULT(read_at(p + 123));
    CHECK(got_signal == SIGSEGV && info.si_code == SEGV_MAPERR && info.si_addr == p + 123);
}

TEST(protection)
{
    char *p = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    read_at(p);
    FAULT(write_at(p + 5));
    CHECK(got_signal == SIGSEGV && info.si_code == SEGV_ACCERR && info.si_addr == p + 5);
    CHECK(error == 7);
    mprotect(p, PAGE, PROT_NONE);
    FAULT(read_at(p));
    CHECK(got_signal == SIGSEGV && info.si_code == SEGV_ACCERR);
    munmap(p, PAGE);
}

TEST(no_execute)
{
    static unsigned char code[16] __attribute__((aligned(16))) = {0xc3}; /* ret, in data */
    FAULT(((void (*)(void))(uintptr_t)code)());
    CHECK(got_signal == SIGSEGV && info.si_code == SEGV_ACCERR && info.si_addr == (void *)code);
    CHECK(error & 0x10);
}

TEST(execute_mapping)
{
    unsigned char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(p, "\xb8\x2a\x00\x00\x00\xc3", 6); /* mov eax, 42; ret */
    CHECK(mprotect(p, PAGE, PROT_READ | PROT_EXEC) == 0);
    CHECK(((int (*)(void))(uintptr_t)p)() == 42);
    munmap(p, PAGE);
}

TEST(kernel_address)
{
    FAULT(read_at((void *)0xffffffff81000000));
    CHECK(got_signal == SIGSEGV);
    FAULT(read_at((void *)0xffff800000000000));
    CHECK(got_signal == SIGSEGV);
}

TEST(non_canonical)
{
    FAULT(read_at((void *)0x1234000000000000));
    CHECK(got_signal == SIGSEGV && info.si_code == SI_KERNEL && info.si_addr == NULL);
    CHECK(trapno == 13);
}

TEST(divide_by_zero)
{
    FAULT(__asm__ volatile("xorl %%ecx, %%ecx; movl $1, %%eax; cltd; idivl %%ecx" ::
                               : "eax", "ecx", "edx", "cc"));
    CHECK(got_signal == SIGFPE && info.si_code == FPE_INTDIV && trapno == 0);
}

TEST(illegal_instruction)
{
    FAULT(__asm__ volatile("ud2"));
    CHECK(got_signal == SIGILL && info.si_code == ILL_ILLOPN && trapno == 6);
}

TEST(privileged_instruction)
{
    FAULT(__asm__ volatile("hlt"));
    CHECK(got_signal == SIGSEGV && trapno == 13);
    FAULT(__asm__ volatile("cli"));
    CHECK(got_signal == SIGSEGV);
    FAULT(__asm__ volatile("outb %%al, $0x80" ::"a"(0)));
    CHECK(got_signal == SIGSEGV);
}

TEST(breakpoint)
{
    FAULT(__asm__ volatile("int3"));
    CHECK(got_signal == SIGTRAP && trapno == 3);
}

TEST(sse_exception)
{
    unsigned old, on;
    volatile double zero = 0, r;
    __asm__ volatile("stmxcsr %0" : "=m"(old));
    on = old & ~(1u << 9); /* unmask division by zero */
    FAULT({
        __asm__ volatile("ldmxcsr %0" ::"m"(on));
        r = 1 / zero;
    });
    __asm__ volatile("ldmxcsr %0" ::"m"(old));
    (void)r;
    CHECK(got_signal == SIGFPE && info.si_code == FPE_FLTDIV && trapno == 19);
}

TEST(handler_moves_rip)
{
    catch_all(0);
    int after = 0;
    __asm__ volatile("leaq 1f(%%rip), %%rax; movq %%rax, %1; movl $5, (%%rcx); 1: movl $1, %0"
                     : "=r"(after), "=m"(resume)
                     : "c"(24)
                     : "rax", "memory");
    CHECK(got_signal == SIGSEGV && info.si_addr == (void *)24 && after == 1);
}

static char *guarded;

static void open_guard(int sig, siginfo_t *si, void *uc)
{
    (void)uc;
    got_signal = sig;
    mprotect((void *)((uintptr_t)si->si_addr & ~(PAGE - 1)), PAGE, PROT_READ | PROT_WRITE);
}

TEST(handler_repairs_page)
{
    struct sigaction sa = {.sa_sigaction = open_guard, .sa_flags = SA_SIGINFO};
    guarded = mmap(NULL, 16 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sigaction(SIGSEGV, &sa, NULL);
    got_signal = 0;
    for (unsigned i = 0; i < 16; i++)
        guarded[i * PAGE + i] = (char)i;
    CHECK(got_signal == SIGSEGV && guarded[15 * PAGE + 15] == 15);
    munmap(guarded, 16 * PAGE);
}

static volatile bool enough; /* never */

static int recurse(volatile char *outer)
{
    volatile char frame[8192];
    frame[0] = outer ? outer[0] : 0;
    if (enough)
        return 0;
    return recurse(frame) + frame[0];
}

TEST(stack_overflow)
{
    static char alternate[65536];
    stack_t ss = {.ss_sp = alternate, .ss_size = sizeof alternate};
    CHECK(sigaltstack(&ss, NULL) == 0);
    catch_all(SA_ONSTACK);
    if (!sigsetjmp(out, 1))
        recurse(NULL);
    CHECK(got_signal == SIGSEGV);
    ss.ss_flags = SS_DISABLE;
    CHECK(sigaltstack(&ss, NULL) == 0);
}
