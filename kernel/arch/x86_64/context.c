/* SPDX-License-Identifier: Apache-2.0 */
/* Thread switching around context.S: FS and GS bases and extended state. */
#include "arch/x86_64/context.h"

#include "arch/x86_64/features.h"
#include "arch/x86_64/fpu.h"
#include "arch/x86_64/msr.h"

struct thread *context_swap(struct context *from, struct context *to, struct thread *self);
void context_start(void);

static inline uint64_t fs_read(void)
{
    uint64_t v;
    if (!cpu_has(CPU_FSGSBASE))
        return cpu_rdmsr(MSR_FS_BASE);
    __asm__ volatile("rdfsbase %0" : "=r"(v));
    return v;
}

static inline void fs_write(uint64_t v)
{
    if (cpu_has(CPU_FSGSBASE))
        __asm__ volatile("wrfsbase %0" ::"r"(v));
    else
        cpu_wrmsr(MSR_FS_BASE, v);
}

/* The program's GS base waits in KERNEL_GS_BASE while the kernel runs; interrupts are off. */
static inline uint64_t gs_read(void)
{
    uint64_t v;
    if (!cpu_has(CPU_FSGSBASE))
        return cpu_rdmsr(MSR_KERNEL_GS_BASE);
    __asm__ volatile("swapgs; rdgsbase %0; swapgs" : "=r"(v)::"memory");
    return v;
}

static inline void gs_write(uint64_t v)
{
    if (cpu_has(CPU_FSGSBASE))
        __asm__ volatile("swapgs; wrgsbase %0; swapgs" ::"r"(v) : "memory");
    else
        cpu_wrmsr(MSR_KERNEL_GS_BASE, v);
}

void context_init(struct context *c, uint64_t stack_top, void (*fn)(void *), void *arg)
{
    uint64_t *sp = (uint64_t *)stack_top;
    *--sp = 0; /* keeps the stack aligned as after a call */
    *--sp = (uint64_t)context_start;
    *--sp = 0;             /* rbp */
    *--sp = (uint64_t)fn;  /* rbx */
    *--sp = (uint64_t)arg; /* r12 */
    *--sp = 0;             /* r13 */
    *--sp = 0;             /* r14 */
    *--sp = 0;             /* r15 */
    c->rsp = (uint64_t)sp;
    c->stack_top = stack_top;
}

struct thread *context_switch(struct context *from, struct context *to, struct thread *self)
{
    if (from->fpu) {
        from->fs_base = fs_read();
        from->gs_base = gs_read();
        fpu_save(from->fpu);
    }
    if (to->fpu) {
        fs_write(to->fs_base);
        gs_write(to->gs_base);
        fpu_restore(to->fpu);
        percpu()->kernel_rsp = to->stack_top;
        cpu_set_trap_stack(to->stack_top);
    }
    return context_swap(from, to, self);
}

void context_set_fs(struct context *c, uint64_t base)
{
    irqflags_t flags = irq_save();
    c->fs_base = base;
    fs_write(base);
    irq_restore(flags);
}

uint64_t context_get_fs(struct context *c)
{
    (void)c;
    return fs_read();
}

void context_set_gs(struct context *c, uint64_t base)
{
    irqflags_t flags = irq_save();
    c->gs_base = base;
    gs_write(base);
    irq_restore(flags);
}

uint64_t context_get_gs(struct context *c)
{
    (void)c;
    irqflags_t flags = irq_save();
    uint64_t v = gs_read();
    irq_restore(flags);
    return v;
}
