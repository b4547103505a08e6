/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer of core files: see core.h, elf(5). Headers and notes are made in memory,
 * because their sizes stand in front; the pages follow straight from their frames.
 * `struct core` is one core file on its way. All runs with vm.lock held, so that
 * nothing changes between the headers and the pages.
 */
#include "proc/core.h"

#include <asm/mman.h>
#include <linux/elf.h>

#include "arch/x86_64/fpu.h"
#include "arch/x86_64/layout.h"
#include "core/log.h"
#include "dev/stream.h"
#include "fs/seq.h"
#include "lib/string.h"
#include "mem/page.h"
#include "ops/control.h"
#include "proc/process.h"
#include "proc/task.h"
#include "vm/pages.h"
#include "vm/vma.h"

#define SEGMENTS_MAX 60000
#define FXSAVE_SIZE  512

/* elf_prstatus and elf_prpsinfo of Linux on x86-64, which no UAPI header has. */
struct prstatus {
    int32_t signo, code, err;
    int16_t cursig, pad;
    uint64_t pending, held;
    int32_t pid, ppid, pgrp, sid;
    uint64_t times[8];
    uint64_t regs[27]; /* user_regs_struct */
    int32_t fpvalid, pad2;
};

struct prpsinfo {
    char state, sname, zombie, nice;
    uint64_t flag;
    uint32_t uid, gid;
    int32_t pid, ppid, pgrp, sid;
    char name[16], args[80];
};

struct core {
    struct stream *stream;
    struct seq notes, segments; /* the latter: Elf64_Phdr without offsets */
    const struct vma *vma;      /* being walked */
    unsigned count;             /* segments */
};

static void note_add(struct seq *s, uint32_t type, const void *data, size_t n)
{
    const Elf64_Nhdr h = {.n_namesz = 5, .n_descsz = (Elf64_Word)n, .n_type = type};
    seq_write(s, &h, sizeof h);
    seq_write(s, "CORE\0\0\0", 8);
    seq_write(s, data, n);
    seq_write(s, "\0\0\0", ALIGN_UP(n, 4) - n);
}

static void notes_of_task(struct core *c, struct task *t, int sig)
{
    const struct trap_frame *f = task_frame(t);
    struct context *x = &t->thread->context;
    if (t == task_current())
        fpu_save(x->fpu);
    const uint64_t fs = t == task_current() ? context_get_fs(x) : x->fs_base;
    const uint64_t gs = t == task_current() ? context_get_gs(x) : x->gs_base;
    struct prstatus s = {
        .signo = sig,
        .cursig = (int16_t)sig,
        .pending = t->pending.set,
        .held = t->sigmask,
        .pid = t->tid,
        .ppid = PROCESS_PPID,
        .pgrp = PROCESS_PID,
        .sid = PROCESS_PID,
        .regs = {f->r15,    f->r14, f->r13, f->r12, f->rbp, f->rbx, f->r11,      f->r10, f->r9,
                 f->r8,     f->rax, f->rcx, f->rdx, f->rsi, f->rdi, f->orig_rax, f->rip, f->cs,
                 f->rflags, f->rsp, f->ss,  fs,     gs,     0,      0,           0,      0},
        .fpvalid = 1,
    };
    note_add(&c->notes, NT_PRSTATUS, &s, sizeof s);
    note_add(&c->notes, NT_PRFPREG, x->fpu, FXSAVE_SIZE);
}

static void notes_of_process(struct core *c)
{
    struct prpsinfo p = {.sname = 'R',
                         .uid = process.uid,
                         .gid = process.gid,
                         .pid = PROCESS_PID,
                         .ppid = PROCESS_PPID,
                         .pgrp = PROCESS_PID,
                         .sid = PROCESS_PID};
    const char *program = process.manifest->program, *slash = strrchr(program, '/');
    program = slash ? slash + 1 : program;
    memcpy(p.name, program, MIN(strlen(program), sizeof p.name - 1));
    memcpy(p.args, program, MIN(strlen(program), sizeof p.args - 1));
    note_add(&c->notes, NT_PRPSINFO, &p, sizeof p);
    note_add(&c->notes, NT_AUXV, process.auxv, process.auxv_count * sizeof process.auxv[0]);
}

/* All threads stand still: the list does not change. The dying one comes first. */
static void notes_make(struct core *c, int sig)
{
    struct task *self = task_current();
    notes_of_task(c, self, sig);
    notes_of_process(c);
    LIST_FOR_EACH(l, &process.tasks)
    if (LIST_ENTRY(l, struct task, link) != self)
        notes_of_task(c, LIST_ENTRY(l, struct task, link), 0);
}

/* Lengthens the last segment by the page, or begins one. */
static void segment_add(uint64_t va, pte_t *pte, void *arg)
{
    struct core *c = arg;
    Elf64_Phdr *last = c->count ? (Elf64_Phdr *)(c->segments.buf + c->segments.len) - 1 : NULL;
    uint32_t prot = c->vma->prot;
    uint32_t flags = (prot & PROT_READ ? PF_R : 0) | (prot & PROT_WRITE ? PF_W : 0) |
                     (prot & PROT_EXEC ? PF_X : 0);
    uint64_t size = *pte & PTE_LARGE ? LARGE_SIZE : PAGE_SIZE;
    if (!pages_own(va) || c->segments.err)
        return;
    if (last && last->p_vaddr + last->p_filesz == va && last->p_flags == flags) {
        last->p_filesz = last->p_memsz += size;
        return;
    }
    const Elf64_Phdr h = {.p_type = PT_LOAD,
                          .p_flags = flags,
                          .p_vaddr = va,
                          .p_filesz = size,
                          .p_memsz = size,
                          .p_align = PAGE_SIZE};
    if (c->count == SEGMENTS_MAX)
        return;
    seq_write(&c->segments, &h, sizeof h);
    c->count++;
}

static void segments_make(struct core *c)
{
    for (struct vma *v = vma_find(0); v; v = vma_next(v)) {
        c->vma = v;
        if (!(v->flags & (VMA_DONTDUMP | VMA_FIXED_PAGES)))
            paging_walk(v->start, v->end, segment_add, c, false);
    }
}

static void headers_write(struct core *c)
{
    const Elf64_Ehdr e = {
        .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_CORE,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_phoff = sizeof e,
        .e_ehsize = sizeof e,
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = (Elf64_Half)(c->count + 1),
    };
    uint64_t at = sizeof e + (c->count + 1) * sizeof(Elf64_Phdr);
    const Elf64_Phdr note = {
        .p_type = PT_NOTE, .p_offset = at, .p_filesz = c->notes.len, .p_align = 4};
    Elf64_Phdr *h = (Elf64_Phdr *)c->segments.buf;
    uint64_t data = ALIGN_UP(at + c->notes.len, PAGE_SIZE), pad = data - at - c->notes.len;
    for (unsigned i = 0; i < c->count; i++) {
        h[i].p_offset = data;
        data += h[i].p_filesz;
    }
    static const char zeroes[PAGE_SIZE];
    stream_write_all(c->stream, &e, sizeof e);
    stream_write_all(c->stream, &note, sizeof note);
    stream_write_all(c->stream, h, c->count * sizeof *h);
    stream_write_all(c->stream, c->notes.buf, c->notes.len);
    stream_write_all(c->stream, zeroes, pad);
}

static void pages_write(struct core *c)
{
    const Elf64_Phdr *h = (const Elf64_Phdr *)c->segments.buf;
    for (unsigned i = 0; i < c->count; i++)
        for (uint64_t va = h[i].p_vaddr; va < h[i].p_vaddr + h[i].p_filesz; va += PAGE_SIZE)
            stream_write_all(c->stream, pages_own(va), PAGE_SIZE);
}

void core_write(int sig)
{
    struct core c = {.stream = stream_find(OPS_PORT_CORE)};
    if (!c.stream)
        return;
    mutex_lock(&vm.lock);
    notes_make(&c, sig);
    segments_make(&c);
    if (c.notes.err || c.segments.err) {
        log_warn("no core file: no memory for its headers");
    } else {
        headers_write(&c);
        pages_write(&c);
        c.stream->ops->drain(c.stream);
    }
    mutex_unlock(&vm.lock);
    seq_reset(&c.notes);
    seq_reset(&c.segments);
}
