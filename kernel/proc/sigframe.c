/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame a handler finds on its stack: Linux' layout (asm/ucontext.h,
 * asm/sigcontext.h), with the extended state and its magic words behind it.
 * What comes back through rt_sigreturn is checked: no kernel selector, flag or
 * reserved bit can come in with it.
 */
#include <linux/signal.h>
#include <asm/sigcontext.h>
#include <asm/ucontext.h>
#include <linux/errno.h>

#include "arch/x86_64/fpu.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/usercopy.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "proc/process.h"
#include "proc/task.h"
#include "vm/uaccess.h"

#define REDZONE         128
#define FLAGS_SETTABLE  0x50dd5ull /* AC OF DF TF SF ZF AF PF CF RF */
#define MXCSR_OFFSET    24
#define SW_BYTES_OFFSET 464 /* in the FXSAVE image */
#define HEADER_OFFSET   512 /* of XSAVE's header, behind it */
#define HEADER_SIZE     64
#define INFO_OFFSET     ALIGN_UP(sizeof(struct frame), 8)
#define UC_FLAGS        (UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS)

struct frame {
    uint64_t restorer;
    struct ucontext uc;
    /* siginfo_t follows */
};

static bool on_altstack(const struct task *t, uint64_t sp)
{
    return sp > t->altstack && sp - t->altstack <= t->altstack_size;
}

static uint64_t stack_choose(const struct task *t, const struct trap_frame *f, uint64_t sa_flags)
{
    bool alt = sa_flags & SA_ONSTACK && t->altstack_size && !on_altstack(t, f->rsp);
    return alt ? t->altstack + t->altstack_size : f->rsp - REDZONE;
}

static void fill_context(struct sigcontext *c, const struct trap_frame *f, const struct task *t,
                         uint64_t mask)
{
    c->r8 = f->r8, c->r9 = f->r9, c->r10 = f->r10, c->r11 = f->r11;
    c->r12 = f->r12, c->r13 = f->r13, c->r14 = f->r14, c->r15 = f->r15;
    c->rdi = f->rdi, c->rsi = f->rsi, c->rbp = f->rbp, c->rbx = f->rbx;
    c->rdx = f->rdx, c->rax = f->rax, c->rcx = f->rcx, c->rsp = f->rsp;
    c->rip = f->rip, c->eflags = f->rflags;
    c->cs = USER_CS, c->gs = 0, c->fs = 0, c->ss = USER_DS;
    c->err = f->vector == VECTOR_SYSCALL ? 0 : f->error;
    c->trapno = f->vector == VECTOR_SYSCALL ? 0 : f->vector;
    c->oldmask = mask;
    c->cr2 = t->thread->fault_addr;
}

/* The live extended state goes straight to the stack, with the words that tell its size around it.
 */
static int push_fpu(uint64_t fp)
{
    const struct _fpx_sw_bytes sw = {
        .magic1 = FP_XSTATE_MAGIC1,
        .extended_size = fpu_area_size + FP_XSTATE_MAGIC2_SIZE,
        .xfeatures = fpu_mask,
        .xstate_size = fpu_area_size,
    };
    const uint32_t magic2 = FP_XSTATE_MAGIC2;
    const bool xsave = fpu_area_size > HEADER_OFFSET;
    if (!user_range_ok((struct uptr){fp}, fpu_area_size))
        return -EFAULT;
    /* XSAVE writes only the first word of the header. */
    if (xsave && zero_user((struct uptr){fp + HEADER_OFFSET}, HEADER_SIZE))
        return -EFAULT;
    if (xsave ? userxsave((void *)fp, fpu_mask) : userfxsave((void *)fp, fpu_mask))
        return -EFAULT;
    int err = copy_to_user((struct uptr){fp + SW_BYTES_OFFSET}, &sw, sizeof sw);
    return err ? err : copy_to_user((struct uptr){fp + fpu_area_size}, &magic2, sizeof magic2);
}

int sigframe_push(struct trap_frame *f, int sig, const siginfo_t *info,
                  const struct signal_action *act, uint64_t mask)
{
    const struct task *t = task_current();
    const size_t fpu_size = fpu_area_size + FP_XSTATE_MAGIC2_SIZE;
    uint64_t fp = ALIGN_DOWN(stack_choose(t, f, act->flags) - fpu_size, 64);
    uint64_t sp = ALIGN_DOWN(fp - INFO_OFFSET - sizeof *info, 16) - 8;

    if (sp >= USER_END || (t->altstack_size && on_altstack(t, f->rsp) && !on_altstack(t, sp)))
        return -EFAULT;

    struct frame fr = {.restorer = act->restorer};
    fr.uc.uc_flags = UC_FLAGS;
    fr.uc.uc_stack.ss_sp = (void *)t->altstack;
    fr.uc.uc_stack.ss_size = t->altstack_size;
    fr.uc.uc_stack.ss_flags = !t->altstack_size        ? SS_DISABLE
                              : on_altstack(t, f->rsp) ? SS_ONSTACK
                                                       : (int)t->altstack_flags;
    fill_context(&fr.uc.uc_mcontext, f, t, mask);
    fr.uc.uc_mcontext.fpstate = (void *)fp;
    memcpy(&fr.uc.uc_sigmask, &mask, sizeof mask);

    if (push_fpu(fp) || copy_to_user((struct uptr){sp}, &fr, sizeof fr) ||
        copy_to_user((struct uptr){sp + INFO_OFFSET}, info, sizeof *info))
        return -EFAULT;
    f->rdi = (uint64_t)sig;
    f->rsi = sp + INFO_OFFSET;
    f->rdx = sp + offsetof(struct frame, uc);
    f->rax = 0;
    f->rsp = sp;
    f->rip = act->handler;
    f->rflags &= ~0x40500ull; /* AC... DF, TF: a function is entered */
    f->cs = USER_CS;
    f->ss = USER_DS;
    return 0;
}

/* An image without the words of push_fpu(): x87 and SSE only, the rest starts anew. */
static int restore_legacy(struct uptr from)
{
    uint8_t *area = kzalloc(fpu_area_size);
    if (!area)
        return -ENOMEM;
    int err = copy_from_user(area, from, HEADER_OFFSET);
    if (fpu_area_size > HEADER_OFFSET)
        area[HEADER_OFFSET] = 3; /* XSTATE_BV */
    memset(area + SW_BYTES_OFFSET, 0, sizeof(struct _fpx_sw_bytes));
    if (!err && !fpu_area_valid(area))
        err = -EFAULT;
    if (!err) {
        irqflags_t flags = irq_save();
        fpu_restore(area);
        irq_restore(flags);
    }
    kfree(area);
    return err;
}

static int pop_fpu(uint64_t fp)
{
    const struct _fpx_sw_bytes *sw = (const void *)(fp + SW_BYTES_OFFSET);
    uint32_t magic, size, mxcsr;
    if (!user_range_ok((struct uptr){fp}, fpu_area_size) || userload32(&sw->magic1, &magic) ||
        userload32(&sw->xstate_size, &size) ||
        userload32((const void *)(fp + MXCSR_OFFSET), &mxcsr) || !fpu_mxcsr_valid(mxcsr))
        return -EFAULT;
    if (magic != FP_XSTATE_MAGIC1 || size != fpu_area_size || size == HEADER_OFFSET)
        return restore_legacy((struct uptr){fp});
    return userxrstor((const void *)fp, fpu_mask) ? -EFAULT : 0;
}

int sigframe_pop(struct trap_frame *f)
{
    struct task *t = task_current();
    struct ucontext uc;
    uint64_t mask;
    /* The handler's `ret` took the restorer's address off. */
    uint64_t sp = f->rsp - 8 + offsetof(struct frame, uc);
    if (copy_from_user(&uc, (struct uptr){sp}, sizeof uc))
        return -EFAULT;
    const struct sigcontext *c = &uc.uc_mcontext;
    if (c->rip >= USER_END) /* would fault in the kernel's iretq if it is not canonical */
        return -EFAULT;
    if (c->fpstate && pop_fpu((uint64_t)c->fpstate))
        return -EFAULT;
    f->r8 = c->r8, f->r9 = c->r9, f->r10 = c->r10, f->r11 = c->r11;
    f->r12 = c->r12, f->r13 = c->r13, f->r14 = c->r14, f->r15 = c->r15;
    f->rdi = c->rdi, f->rsi = c->rsi, f->rbp = c->rbp, f->rbx = c->rbx;
    f->rdx = c->rdx, f->rax = c->rax, f->rcx = c->rcx, f->rsp = c->rsp;
    f->rip = c->rip;
    f->rflags = (f->rflags & ~FLAGS_SETTABLE) | (c->eflags & FLAGS_SETTABLE) | RFLAGS_IF | 2;
    f->cs = USER_CS;
    f->ss = USER_DS;
    f->orig_rax = (uint64_t)-1;
    memcpy(&mask, &uc.uc_sigmask, sizeof mask);
    signal_set_mask(mask);
    if (uc.uc_stack.ss_size && !(uc.uc_stack.ss_flags & SS_DISABLE) && !on_altstack(t, f->rsp)) {
        t->altstack = (uint64_t)uc.uc_stack.ss_sp;
        t->altstack_size = uc.uc_stack.ss_size;
    }
    return 0;
}
