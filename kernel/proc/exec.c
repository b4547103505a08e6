/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Program start: places of everything (with ASLR as Linux has it: 28 bits for
 * program, interpreter, mmap and vDSO, 22 pages-bits for the stack, 32 MiB for
 * the break), the two ELF images, and the first stack (System V ABI §3.4.1).
 */
#include "ops/image.h"
#include "proc/exec.h"

#include <asm/mman.h>
#include <linux/mman.h>
#include <linux/auxvec.h>
#include <linux/errno.h>
#include <linux/fcntl.h>

#include "arch/x86_64/features.h"
#include "arch/x86_64/fpu.h"
#include "arch/x86_64/layout.h"
#include "core/log.h"
#include "core/random.h"
#include "file/fdtable.h"
#include "file/tty.h"
#include "fs/fs.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "proc/control.h"
#include "proc/elf.h"
#include "proc/exit.h"
#include "proc/process.h"
#include "proc/signal.h"
#include "proc/task.h"
#include "proc/vdso.h"
#include "vm/map.h"
#include "vm/uaccess.h"

#define MMAP_BITS     28
#define STACK_BITS    22
#define BRK_RANGE     (32ull << 20)
#define STACK_RESERVE (16ull << 30) /* random offset and growth of the stack stay within */
#define STACK_INITIAL (132ull << 10)
#define ARGS_MAX      (6ull << 20)
#define SIGFRAME_ROOM 1200 /* ucontext, siginfo, alignment; the xstate comes on top */

static bool aslr;

static uint64_t random_pages(unsigned bits)
{
    return aslr ? (random_u64() & ((1ull << bits) - 1)) << PAGE_SHIFT : 0;
}

static _Noreturn void fail(const char *path, const char *why)
{
    char text[256];
    snprintf(text, sizeof text, "cannot run %s: %s", path, why);
    log_error("%s", text);
    process_exit(127);
}

static const char *error_text(int err)
{
    switch (err) {
    case -ENOENT:
        return "no such file in the image";
    case -EACCES:
        return "it is not executable";
    case -ENOMEM:
        return "not enough memory; give the machine more (-m)";
    case -EIO:
        return "it cannot be read";
    case -ENOTDIR:
        return "a part of the path is not a directory";
    case -ELOOP:
        return "too many symbolic links";
    default:
        return "it cannot be opened";
    }
}

static struct file *open_program(const char *path)
{
    struct file *f;
    int err = fs_open(process.fs, NULL, path, O_RDONLY, 0, 0, &f);
    if (!err && (!f->vnode || !S_ISREG(f->vnode->mode)))
        err = -EACCES;
    if (!err)
        err = vnode_access(f->vnode, &process.fs->cred, MAY_EXEC);
    if (err)
        fail(path, error_text(err));
    return f;
}

static uint64_t program_bias(const struct elf *e)
{
    if (e->header.e_type == ET_EXEC)
        return 0;
    return ALIGN_DOWN(OPS_PIE_BASE + random_pages(MMAP_BITS), e->align) - e->low;
}

/* The interpreter goes where mmap would put it. */
static void load_interpreter(const char *path, struct elf_image *out)
{
    struct elf *e = kmalloc(sizeof *e);
    if (!e)
        fail(path, error_text(-ENOMEM));
    struct file *f = open_program(path);
    const char *why;
    int err = elf_read(f, e, &why);
    if (err)
        fail(path, why);
    mutex_lock(&vm.lock);
    uint64_t base = vma_find_gap(e->high - e->low + e->align, vm.mmap_top);
    mutex_unlock(&vm.lock);
    err = base ? elf_map(f, e, ALIGN_UP(base, e->align) - e->low, out) : -ENOMEM;
    if (err)
        fail(path, error_text(err));
    file_put(f);
    kfree(e);
}

struct stack {
    uint64_t sp;
    int err;
};

static void push_bytes(struct stack *s, const void *data, size_t n)
{
    s->sp -= n;
    if (!s->err)
        s->err = copy_to_user((struct uptr){s->sp}, data, n);
}

/* Strings from the last to the first, so that they lie in order; addresses go to `out`. */
static void push_strings(struct stack *s, const struct manifest_list *l, uint64_t *out)
{
    for (unsigned i = l->count; i-- > 0;) {
        push_bytes(s, l->item[i], strlen(l->item[i]) + 1);
        out[i] = s->sp;
    }
}

static void aux(uint64_t type, uint64_t value)
{
    process.auxv[process.auxv_count++] = type;
    process.auxv[process.auxv_count++] = value;
}

static void build_auxv(const struct elf *e, const struct elf_image *prog,
                       const struct elf_image *interp, uint64_t random, uint64_t platform,
                       uint64_t execfn)
{
    aux(AT_SYSINFO_EHDR, vdso_base());
    aux(AT_HWCAP, cpu_hwcap);
    aux(AT_PAGESZ, PAGE_SIZE);
    aux(AT_CLKTCK, 100);
    aux(AT_PHDR, prog->phdr);
    aux(AT_PHENT, sizeof(Elf64_Phdr));
    aux(AT_PHNUM, e->count);
    aux(AT_BASE, interp ? interp->bias : 0);
    aux(AT_FLAGS, 0);
    aux(AT_ENTRY, prog->entry);
    aux(AT_UID, process.uid);
    aux(AT_EUID, process.euid);
    aux(AT_GID, process.gid);
    aux(AT_EGID, process.egid);
    aux(AT_SECURE, 0);
    aux(AT_RANDOM, random);
    aux(AT_HWCAP2, cpu_has(CPU_FSGSBASE) ? 2 : 0);
    aux(AT_EXECFN, execfn);
    aux(AT_PLATFORM, platform);
    aux(AT_MINSIGSTKSZ, ALIGN_UP(fpu_area_size + SIGFRAME_ROOM, 16));
    aux(AT_NULL, 0);
}

/* Everything above argc; returns the program's first stack pointer. */
static uint64_t build_stack(uint64_t top, const struct elf *e, const struct elf_image *prog,
                            const struct elf_image *interp)
{
    const struct manifest *m = process.manifest;
    const char *self = m->program;
    struct manifest_list args = m->arg.count ? m->arg : (struct manifest_list){1, &self};
    uint64_t *ptr = kmalloc((args.count + m->env.count + 2) * sizeof *ptr);
    struct stack s = {.sp = top - 8};
    if (!ptr)
        fail(self, error_text(-ENOMEM));
    push_bytes(&s, self, strlen(self) + 1);
    uint64_t execfn = s.sp;
    process.env_end = s.sp;
    push_strings(&s, &m->env, ptr + args.count + 1);
    process.env_start = process.arg_end = s.sp;
    push_strings(&s, &args, ptr);
    process.arg_start = s.sp;
    ptr[args.count] = ptr[args.count + 1 + m->env.count] = 0;

    push_bytes(&s, "x86_64", 7);
    uint64_t platform = s.sp;
    uint8_t seed[16];
    random_bytes(seed, sizeof seed);
    s.sp = ALIGN_DOWN(s.sp, 16) - (random_pages(4) >> PAGE_SHIFT) * 16;
    push_bytes(&s, seed, sizeof seed);
    build_auxv(e, prog, interp, s.sp, platform, execfn);

    size_t words = 1 + args.count + 1 + m->env.count + 1 + process.auxv_count;
    s.sp = ALIGN_DOWN(s.sp - words * 8, 16) + words * 8;
    push_bytes(&s, process.auxv, process.auxv_count * 8);
    push_bytes(&s, ptr, (args.count + m->env.count + 2) * 8);
    uint64_t argc = args.count;
    push_bytes(&s, &argc, sizeof argc);
    kfree(ptr);
    if (s.err || top - s.sp > ARGS_MAX)
        fail(self, s.err ? error_text(-ENOMEM) : "arguments and environment are too long");
    return s.sp;
}

static void open_standard_streams(void)
{
    const struct manifest *m = process.manifest;
    const char *const kinds[3] = {m->stdin, m->stdout, m->stderr};
    int err = tty_init(kinds, (unsigned)m->rows, (unsigned)m->columns);
    for (int i = 0; i < 3 && !err; i++) {
        struct file *f;
        err = tty_open_standard(i, &f);
        if (!err)
            err = MIN(fd_install(process.fds, f, 0, false), 0);
    }
    if (err)
        fail(m->program, "its standard streams cannot be opened");
    tty_set_pid(PROCESS_PID);
}

static void enter_directory(const char *cwd)
{
    struct path *p;
    int err = path_walk(process.fs, NULL, cwd, WALK_DIR, NULL, &p);
    if (!err) {
        err = fs_chdir(process.fs, p);
        path_put(p);
    }
    if (err)
        log_warn("no directory %s in the image: starting in /", cwd);
}

/* The break starts behind the image; a static PIE's at a place of its own, as Linux does. */
static void place_brk(const struct elf_image *prog)
{
    uint64_t gap = aslr ? ALIGN_DOWN(random_u64() % BRK_RANGE, PAGE_SIZE) : 0;
    vm.brk_start = vm.brk = prog->brk + gap;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

void exec_program(void)
{
    const char *path = process.manifest->program;
    aslr = process.manifest->aslr;
    uint64_t stack_top = USER_END - random_pages(STACK_BITS);
    vm_init(ALIGN_DOWN(USER_END - STACK_RESERVE - STACK_RESERVE / 2, PAGE_SIZE) -
            random_pages(MMAP_BITS));
    process_apply_limit(RLIMIT_STACK);
    process_apply_limit(RLIMIT_AS);
    process_apply_limit(RLIMIT_DATA);

    open_standard_streams();
    enter_directory(process.manifest->cwd);
    struct elf *e = kmalloc(sizeof *e);
    if (!e)
        fail(path, error_text(-ENOMEM));
    process.exe = open_program(path);
    const char *why;
    struct elf_image prog, interp;
    if (elf_read(process.exe, e, &why))
        fail(path, why);
    int err = elf_map(process.exe, e, program_bias(e), &prog);
    if (err)
        fail(path, error_text(err));
    if (e->interp[0])
        load_interpreter(e->interp, &interp);
    place_brk(&prog);
    uint32_t stack_prot = PROT_READ | PROT_WRITE | (e->exec_stack ? PROT_EXEC : 0);
    err = vm_map_kernel(stack_top - STACK_INITIAL, STACK_INITIAL, stack_prot,
                        VMA_STACK | VMA_GROWSDOWN);
    if (!err)
        err = vdso_map(vm.mmap_top - random_pages(MMAP_BITS));
    if (err)
        fail(path, error_text(err));
    process.stack_top = stack_top;
    process.code_start = prog.code_start, process.code_end = prog.code_end;
    process.data_start = prog.data_start, process.data_end = prog.data_end;

    struct trap_frame f = {
        .cs = USER_CS, .ss = USER_DS, .rflags = RFLAGS_IF | 2, .orig_rax = UINT64_MAX};
    f.rsp = build_stack(stack_top, e, &prog, e->interp[0] ? &interp : NULL);
    f.rip = e->interp[0] ? interp.entry : prog.entry;
    kfree(e);
    struct task *t;
    err = task_create(&t, &f, base_name(path));
    if (err)
        fail(path, error_text(err));
    control_send("started", path);
    signal_recheck(t); /* the host may have sent one while there was nobody to take it */
    task_start(t);
}
