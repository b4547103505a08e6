/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers and backtrace of the dying program: see crash.h. Frames are followed by
 * frame pointers while they make sense; where a program has none, the words on
 * the stack that point behind a call instruction are given instead.
 */
#include "proc/crash.h"

#include <asm/mman.h>

#include "arch/x86_64/trap.h"
#include "dev/crashlog.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "proc/control.h"
#include "proc/procinfo.h"
#include "vm/map.h"
#include "vm/uaccess.h"

#define FRAMES_MAX 48
#define SCAN_BYTES 16384 /* of the stack */
#define CALL_MAX   7     /* bytes of the longest call instruction looked for */

/* True if an instruction that calls may end right before addr. */
static bool follows_call(uint64_t addr)
{
    uint8_t b[CALL_MAX];
    struct vma v;
    if (addr < CALL_MAX || !vm_lookup(addr, &v) || !(v.prot & PROT_EXEC) ||
        copy_from_user(b, (struct uptr){addr - CALL_MAX}, sizeof b))
        return false;
    if (b[CALL_MAX - 5] == 0xe8) /* call rel32 */
        return true;
    for (unsigned len = 2; len <= CALL_MAX; len++) { /* call r/m: ff /2 with any operand */
        const uint8_t *p = b + CALL_MAX - len;
        if (p[0] == 0xff && (p[1] >> 3 & 7) == 2)
            return true;
    }
    return false;
}

/* To the host, and onto the disk. */
static void report(const char *kind, const char *text)
{
    control_send(kind, text);
    crashlog_line(kind, text);
}

static void send_frame(const char *how, uint64_t addr)
{
    char text[320], path[256] = "";
    uint64_t offset = 0, dev, ino;
    struct vma v;
    if (vm_lookup(addr, &v) && v.object &&
        !v.object->ops->describe(v.object, path, sizeof path, &dev, &ino))
        offset = addr - v.start + (v.pgoff << PAGE_SHIFT);
    else
        path[0] = '\0';
    snprintf(text, sizeof text, "%s %lx %lx %s", how, addr, offset, path);
    report("frame", text);
}

/* Follows the chain of frame pointers from rbp; how many callers it gave. */
static unsigned walk_frames(const struct trap_frame *f, uint64_t stack_end, uint64_t *callers)
{
    uint64_t at = f->rbp, low = f->rsp, frame[2];
    unsigned n = 0;
    while (n < FRAMES_MAX && at >= low && at < stack_end && !(at & 7) &&
           !copy_from_user(frame, (struct uptr){at}, sizeof frame) && follows_call(frame[1])) {
        callers[n++] = frame[1];
        low = at + sizeof frame;
        at = frame[0];
    }
    return n;
}

static void scan_stack(uint64_t sp, uint64_t stack_end)
{
    uint64_t end = MIN(stack_end, sp + SCAN_BYTES), word;
    unsigned n = 0;
    for (uint64_t at = ALIGN_UP(sp, 8); at < end && n < FRAMES_MAX; at += sizeof word) {
        if (copy_from_user(&word, (struct uptr){at}, sizeof word))
            return;
        if (follows_call(word)) {
            send_frame("scan", word);
            n++;
        }
    }
}

static void backtrace(const struct trap_frame *f, uint64_t stack_end)
{
    uint64_t callers[FRAMES_MAX], top;
    struct vma code;
    unsigned n = walk_frames(f, stack_end, callers);
    if (n < 2) {
        scan_stack(f->rsp, stack_end);
        return;
    }
    /* A jump to nowhere has left its return address on top of the stack; a function without a
     * frame of its own has it there, too. */
    bool lost = !vm_lookup(f->rip, &code) || !(code.prot & PROT_EXEC);
    if (f->rsp != f->rbp && !copy_from_user(&top, (struct uptr){f->rsp}, sizeof top) &&
        follows_call(top))
        send_frame(lost ? "call" : "scan", top);
    for (unsigned i = 0; i < n; i++)
        send_frame("call", callers[i]);
}

static void send_registers(const struct trap_frame *f)
{
    const struct {
        const char *name;
        uint64_t value;
    } regs[] = {
        {"rip", f->rip}, {"rsp", f->rsp}, {"rbp", f->rbp}, {"flg", f->rflags}, {"rax", f->rax},
        {"rbx", f->rbx}, {"rcx", f->rcx}, {"rdx", f->rdx}, {"rsi", f->rsi},    {"rdi", f->rdi},
        {"r8 ", f->r8},  {"r9 ", f->r9},  {"r10", f->r10}, {"r11", f->r11},    {"r12", f->r12},
        {"r13", f->r13}, {"r14", f->r14}, {"r15", f->r15},
    };
    char line[128];
    for (size_t i = 0, len = 0; i < ARRAY_SIZE(regs); i++) {
        len += (size_t)snprintf(line + len, sizeof line - len, "%s%s %016lx", len ? "  " : "",
                                regs[i].name, regs[i].value);
        if (i % 4 == 3 || i + 1 == ARRAY_SIZE(regs)) {
            report("crash", line);
            len = 0;
        }
    }
}

void crash_report(const struct trap_frame *f, const uint64_t *touched)
{
    char line[384];
    struct vma v;
    send_registers(f);
    if (touched && procmem_describe(*touched, line, sizeof line))
        report("crash", line);
    send_frame("pc", f->rip);
    if (vm_lookup(f->rsp, &v))
        backtrace(f, v.end);
}
