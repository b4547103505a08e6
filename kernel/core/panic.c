/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Panic: see panic.h. The first CPU to panic stops the others by NMI, writes
 * its report straight to the output device and hands over to the hook; a panic
 * inside a panic goes straight to the hook.
 */
#include "core/panic.h"

#include <stdarg.h>

#include "arch/x86_64/apic.h"
#include "arch/x86_64/features.h"
#include "arch/x86_64/trap.h"
#include "core/backtrace.h"
#include "lib/fmt.h"
#include "lib/string.h"

#define BACKTRACE_MAX 24

extern uintptr_t __stack_chk_guard;
uintptr_t __stack_chk_guard = 0x5bd1e995c0debabe; /* main.c replaces it by a random value */
_Noreturn void __stack_chk_fail(void);

static uint32_t panicking; /* the CPU that panics, plus 1 */
static void (*panic_write)(const void *text, size_t n);
static void (*panic_end)(const char *reason);

void panic_set_output(void (*write)(const void *, size_t))
{
    panic_write = write;
}

void panic_set_hook(void (*end)(const char *))
{
    panic_end = end;
}

static void __attribute__((format(printf, 1, 2))) out(const char *fmt, ...)
{
    char line[256];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (panic_write)
        panic_write(line, MIN((size_t)n, sizeof line - 1));
}

static void out_address(const char *label, uint64_t addr)
{
    uint64_t offset = 0;
    const char *name = symbol_find(addr, &offset);
    out("  %s%#018lx %s+%#lx\n", label, addr, name ? name : "?", offset);
}

static void out_registers(const struct trap_frame *f)
{
    out("  rip %016lx rsp %016lx rbp %016lx rflags %08lx cs %lx\n", f->rip, f->rsp, f->rbp,
        f->rflags, f->cs);
    out("  rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", f->rax, f->rbx, f->rcx, f->rdx);
    out("  rsi %016lx rdi %016lx r8  %016lx r9  %016lx\n", f->rsi, f->rdi, f->r8, f->r9);
    out("  r10 %016lx r11 %016lx r12 %016lx r13 %016lx\n", f->r10, f->r11, f->r12, f->r13);
    out("  r14 %016lx r15 %016lx vector %lu error %#lx\n", f->r14, f->r15, f->vector, f->error);
}

static _Noreturn void panic_common(const struct trap_frame *f, uint64_t rbp, const char *reason)
{
    irq_disable();
    uint32_t nobody = 0, self = percpu()->id + 1;
    if (!__atomic_compare_exchange_n(&panicking, &nobody, self, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED)) {
        if (nobody == self && panic_end) /* the report itself failed */
            panic_end(reason);
        cpu_halt();
    }
    if (cpu_count() > 1)
        lapic_nmi_others();
    out("\nops: kernel panic on cpu %u: %s\n", percpu()->id, reason);
    uint64_t trace[BACKTRACE_MAX];
    if (f) {
        out_registers(f);
        out_address("at ", f->rip);
        rbp = f->rbp;
    }
    unsigned n = backtrace(rbp, trace, BACKTRACE_MAX);
    for (unsigned i = 0; i < n; i++)
        out_address("by ", trace[i]);
    if (panic_end)
        panic_end(reason);
    cpu_halt();
}

void panic(const char *fmt, ...)
{
    char reason[160];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(reason, sizeof reason, fmt, ap);
    va_end(ap);
    panic_common(NULL, (uint64_t)__builtin_frame_address(0), reason);
}

void panic_at(const struct trap_frame *frame, const char *fmt, ...)
{
    char reason[160];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(reason, sizeof reason, fmt, ap);
    va_end(ap);
    panic_common(frame, 0, reason);
}

void __stack_chk_fail(void)
{
    panic("stack overflow: a canary was overwritten");
}
