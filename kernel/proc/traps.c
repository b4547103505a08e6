/* SPDX-License-Identifier: Apache-2.0 */
/* What arch/ calls for the program: faults become signals, and the work before it runs on. */
#include <asm/siginfo.h>
#include <asm/signal.h>

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/fpu.h"
#include "arch/x86_64/trap.h"
#include "arch/x86_64/upcalls.h"
#include "proc/exit.h"
#include "proc/process.h"
#include "proc/rseq.h"
#include "proc/signal.h"
#include "proc/task.h"
#include "vm/fault.h"

#define PAGE_FAULT 14

struct fault_signal {
    int sig, code;
};

/* Exceptions other than page faults: SIGNAL and si_code as Linux gives them. */
static struct fault_signal exception_signal(unsigned vector)
{
    switch (vector) {
    case 0:
        return (struct fault_signal){SIGFPE, FPE_INTDIV};
    case 1:
        return (struct fault_signal){SIGTRAP, TRAP_TRACE};
    case 3:
        return (struct fault_signal){SIGTRAP, SI_KERNEL};
    case 6:
        return (struct fault_signal){SIGILL, ILL_ILLOPN};
    case 16:
    case 19:
        return (struct fault_signal){SIGFPE, FPE_FLTINV};
    case 17:
        return (struct fault_signal){SIGBUS, BUS_ADRALN};
    case 12:
        return (struct fault_signal){SIGBUS, SI_KERNEL};
    default:
        return (struct fault_signal){SIGSEGV, SI_KERNEL};
    }
}

static struct fault_signal page_signal(int fault)
{
    switch (fault) {
    case FAULT_ACCERR:
        return (struct fault_signal){SIGSEGV, SEGV_ACCERR};
    case FAULT_BUS:
        return (struct fault_signal){SIGBUS, BUS_ADRERR};
    case FAULT_OOM:
        return (struct fault_signal){SIGKILL, SI_KERNEL};
    default:
        return (struct fault_signal){SIGSEGV, SEGV_MAPERR};
    }
}

/* The exact reason of an SSE or x87 exception, from the status words. */
static int fpe_code(unsigned vector)
{
    uint32_t flags = fpu_exceptions(vector == 19);
    return flags & 1    ? FPE_FLTINV
           : flags & 4  ? FPE_FLTDIV
           : flags & 8  ? FPE_FLTOVF
           : flags & 18 ? FPE_FLTUND
           : flags & 32 ? FPE_FLTRES
                        : FPE_FLTINV;
}

void trap_user(struct trap_frame *f, uint64_t addr)
{
    unsigned vector = (unsigned)f->vector;
    struct fault_signal s =
        vector == PAGE_FAULT ? page_signal(thread_current()->fault) : exception_signal(vector);
    if (vector == 16 || vector == 19)
        s.code = fpe_code(vector);
    if (s.sig == SIGKILL)
        process_killed_by_fault(s.sig, s.code, addr, f);
    signal_fault(s.sig, s.code, s.code == SI_KERNEL ? 0 : addr, f);
}

void user_return(struct trap_frame *f)
{
    struct thread *t = thread_current();
    while (percpu()->work) {
        preempt_check();
        if (!(percpu()->work & WORK_NOTIFY))
            continue;
        __atomic_and_fetch(&percpu()->work, ~WORK_NOTIFY, __ATOMIC_SEQ_CST);
        irq_enable();
        if (process.exiting && process.keep_threads)
            task_park();
        if (t->task->rseq)
            rseq_fixup(f);
        if (t->fault == FAULT_OOM)
            process_killed_by_fault(SIGKILL, SI_KERNEL, t->fault_addr, f);
        if (t->interrupted)
            signal_deliver(f);
        irq_disable();
    }
}
