/* SPDX-License-Identifier: Apache-2.0 */
/* Generators of /proc files: formats of proc(5). */
#include "proc/procinfo.h"

#include <asm/mman.h>
#include <linux/errno.h>

#include "arch/x86_64/features.h"
#include "arch/x86_64/msr.h"
#include "file/file.h"
#include "fs/path.h"
#include "fs/procfs.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "mem/page.h"
#include "proc/process.h"
#include "proc/task.h"
#include "proc/vdso.h"
#include "sched/clock.h"
#include "vm/map.h"

#define TICKS_PER_SEC 100
#define NS_PER_TICK   (NSEC_PER_SEC / TICKS_PER_SEC)

static const char *vma_label(const struct vma *v)
{
    if (v->flags & VMA_STACK)
        return "[stack]";
    if (v->flags & VMA_HEAP)
        return "[heap]";
    if (v->flags & VMA_VVAR)
        return "[vvar]";
    return v->flags & VMA_FIXED_PAGES ? "[vdso]" : "";
}

static void maps_line(struct seq *out, const struct vma *v)
{
    char name[256];
    uint64_t dev = 0, ino = 0;
    if (!v->object || v->object->ops->describe(v->object, name, sizeof name, &dev, &ino))
        snprintf(name, sizeof name, "%s", vma_label(v));
    char head[96];
    int n = snprintf(head, sizeof head, "%08lx-%08lx %c%c%c%c %08lx %02x:%02x %lu ", v->start,
                     v->end, v->prot & PROT_READ ? 'r' : '-', v->prot & PROT_WRITE ? 'w' : '-',
                     v->prot & PROT_EXEC ? 'x' : '-', v->flags & VMA_SHARED ? 's' : 'p',
                     v->object ? v->pgoff << PAGE_SHIFT : 0, (unsigned)(dev >> 8 & 0xfff),
                     (unsigned)(dev & 0xff), ino);
    seq_text(out, head);
    for (; *name && n < 73; n++)
        seq_text(out, " ");
    seq_text(out, name);
    seq_text(out, "\n");
}

/* A copy of the mapping at or above addr, its object referenced; false at the end. */
static bool vma_copy_next(uint64_t addr, struct vma *out)
{
    mutex_lock(&vm.lock);
    struct vma *v = vma_find(addr);
    if (v) {
        *out = *v;
        if (v->object)
            v->object->ops->get(v->object);
    }
    mutex_unlock(&vm.lock);
    return v;
}

static int gen_maps(struct seq *out)
{
    struct vma v;
    for (uint64_t at = 0; vma_copy_next(at, &v); at = v.end) {
        maps_line(out, &v);
        if (v.object)
            v.object->ops->put(v.object);
    }
    return 0;
}

static int gen_user_bytes(struct seq *out, uint64_t start, uint64_t end)
{
    char buf[256];
    for (uint64_t at = start; at < end; at += sizeof buf) {
        size_t n = MIN(end - at, sizeof buf);
        if (copy_from_user(buf, (struct uptr){at}, n))
            return -EIO;
        seq_write(out, buf, n);
    }
    return 0;
}

static int gen_cmdline(struct seq *out)
{
    return gen_user_bytes(out, process.arg_start, process.arg_end);
}

static int gen_environ(struct seq *out)
{
    return gen_user_bytes(out, process.env_start, process.env_end);
}

static int gen_auxv(struct seq *out)
{
    seq_write(out, process.auxv, process.auxv_count * sizeof process.auxv[0]);
    return 0;
}

static int gen_comm(struct seq *out)
{
    seq_printf(out, "%s\n", thread_current()->name);
    return 0;
}

static int gen_stat(struct seq *out)
{
    uint64_t ticks = process_cpu_time() / NS_PER_TICK;
    seq_printf(out, "%d (%s) R %d %d %d 0 -1 4194304 ", PROCESS_PID, thread_current()->name,
               PROCESS_PPID, PROCESS_PID, PROCESS_PID);
    seq_printf(out, "0 0 0 0 %lu 0 0 0 20 0 %u 0 %lu %lu %zu 18446744073709551615 ", ticks,
               process.task_count, process.start_time / NS_PER_TICK, vm.mapped, vm.resident);
    seq_printf(out, "%lu %lu %lu 0 0 0 0 0 0 0 0 0 17 %u 0 0 0 0 0 ", process.code_start,
               process.code_end, process.stack_top, percpu()->id);
    seq_printf(out, "%lu %lu %lu %lu %lu %lu %lu 0\n", process.data_start, process.data_end,
               vm.brk_start, process.arg_start, process.arg_end, process.env_start,
               process.env_end);
    return 0;
}

static int gen_statm(struct seq *out)
{
    uint64_t text = (process.code_end - process.code_start) >> PAGE_SHIFT;
    seq_printf(out, "%lu %zu 0 %lu 0 %lu 0\n", vm.mapped >> PAGE_SHIFT, vm.resident, text,
               vm.mapped >> PAGE_SHIFT);
    return 0;
}

static int gen_status(struct seq *out)
{
    const struct task *t = task_current();
    seq_printf(out, "Name:\t%s\nUmask:\t%04o\nState:\tR (running)\nTgid:\t%d\nNgid:\t0\nPid:\t%d\n",
               t->thread->name, process.fs->umask, PROCESS_PID, PROCESS_PID);
    seq_printf(out, "PPid:\t%d\nTracerPid:\t0\nUid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\n",
               PROCESS_PPID, process.uid, process.euid, process.suid, process.fsuid, process.gid,
               process.egid, process.sgid, process.fsgid);
    seq_printf(out,
               "FDSize:\t256\nGroups:\t\nVmPeak:\t%8lu kB\nVmSize:\t%8lu kB\nVmHWM:\t%8zu kB\n",
               vm.mapped >> 10, vm.mapped >> 10, vm.resident_max * 4);
    seq_printf(out, "VmRSS:\t%8zu kB\nThreads:\t%u\n", vm.resident * 4, process.task_count);
    seq_printf(out, "SigPnd:\t%016lx\nShdPnd:\t%016lx\nSigBlk:\t%016lx\n", t->pending.set,
               process.signals.pending.set, t->sigmask);
    uint64_t ignored = 0, caught = 0;
    for (int sig = 1; sig <= SIGNAL_COUNT; sig++) {
        uint64_t h = process.signals.action[sig - 1].handler;
        ignored |= h == (uint64_t)SIG_IGN ? SIGNAL_BIT(sig) : 0;
        caught |= h > (uint64_t)SIG_IGN ? SIGNAL_BIT(sig) : 0;
    }
    uint64_t cpus = cpu_count() == 64 ? UINT64_MAX : (1ull << cpu_count()) - 1;
    seq_printf(out,
               "SigIgn:\t%016lx\nSigCgt:\t%016lx\nCpus_allowed:\t%lx\nCpus_allowed_list:\t0-%u\n",
               ignored, caught, t->thread->affinity & cpus, cpu_count() - 1);
    seq_printf(out, "voluntary_ctxt_switches:\t%lu\nnonvoluntary_ctxt_switches:\t%lu\n",
               t->thread->switches, t->thread->preemptions);
    return 0;
}

static int gen_limits(struct seq *out)
{
    static const struct {
        const char *name, *unit;
    } rows[RLIM_NLIMITS] = {
        {"Max cpu time", "seconds"},     {"Max file size", "bytes"},
        {"Max data size", "bytes"},      {"Max stack size", "bytes"},
        {"Max core file size", "bytes"}, {"Max resident set", "bytes"},
        {"Max processes", "processes"},  {"Max open files", "files"},
        {"Max locked memory", "bytes"},  {"Max address space", "bytes"},
        {"Max file locks", "locks"},     {"Max pending signals", "signals"},
        {"Max msgqueue size", "bytes"},  {"Max nice priority", ""},
        {"Max realtime priority", ""},   {"Max realtime timeout", "us"},
    };
    seq_printf(out, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    for (unsigned i = 0; i < RLIM_NLIMITS; i++) {
        const struct limit *l = &process.limits[i];
        char soft[24] = "unlimited", hard[24] = "unlimited";
        if (l->soft != UINT64_MAX)
            snprintf(soft, sizeof soft, "%lu", l->soft);
        if (l->hard != UINT64_MAX)
            snprintf(hard, sizeof hard, "%lu", l->hard);
        seq_printf(out, "%-25s %-20s %-20s %-10s\n", rows[i].name, soft, hard, rows[i].unit);
    }
    return 0;
}

static void cpu_brand(char out[49])
{
    uint32_t r[4];
    memset(out, 0, 49);
    for (unsigned i = 0; i < 3; i++) {
        cpu_cpuid(0x80000002 + i, 0, r);
        memcpy(out + 16 * i, r, 16);
    }
}

struct cpu_flag {
    uint32_t leaf;
    uint8_t reg, bit;
    const char *name;
};

/* What programs look for in the flags line; CPUID leaf, register, bit. */
static const struct cpu_flag cpu_flags[] = {
    {1, 3, 0, "fpu"},          {1, 3, 4, "tsc"},
    {1, 3, 8, "cx8"},          {1, 3, 15, "cmov"},
    {1, 3, 19, "clflush"},     {1, 3, 23, "mmx"},
    {1, 3, 24, "fxsr"},        {1, 3, 25, "sse"},
    {1, 3, 26, "sse2"},        {1, 3, 28, "ht"},
    {1, 2, 0, "pni"},          {1, 2, 1, "pclmulqdq"},
    {1, 2, 9, "ssse3"},        {1, 2, 12, "fma"},
    {1, 2, 13, "cx16"},        {1, 2, 19, "sse4_1"},
    {1, 2, 20, "sse4_2"},      {1, 2, 22, "movbe"},
    {1, 2, 23, "popcnt"},      {1, 2, 25, "aes"},
    {1, 2, 26, "xsave"},       {1, 2, 28, "avx"},
    {1, 2, 29, "f16c"},        {1, 2, 30, "rdrand"},
    {1, 2, 31, "hypervisor"},  {7, 1, 0, "fsgsbase"},
    {7, 1, 3, "bmi1"},         {7, 1, 5, "avx2"},
    {7, 1, 8, "bmi2"},         {7, 1, 9, "erms"},
    {7, 1, 16, "avx512f"},     {7, 1, 18, "rdseed"},
    {7, 1, 19, "adx"},         {7, 1, 29, "sha_ni"},
    {0x80000001, 2, 5, "abm"}, {0x80000001, 3, 11, "syscall"},
    {0x80000001, 3, 20, "nx"}, {0x80000001, 3, 27, "rdtscp"},
    {0x80000001, 3, 29, "lm"}, {0x80000001, 2, 0, "lahf_lm"},
};

static int gen_cpuinfo(struct seq *out)
{
    uint32_t id[4], v[4], r[4];
    char vendor[13] = "", brand[49];
    cpu_cpuid(0, 0, v);
    memcpy(vendor, &v[1], 4);
    memcpy(vendor + 4, &v[3], 4);
    memcpy(vendor + 8, &v[2], 4);
    cpu_cpuid(1, 0, id);
    cpu_brand(brand);
    unsigned family = (id[0] >> 8 & 15) + (id[0] >> 20 & 255);
    unsigned model = (id[0] >> 4 & 15) | (id[0] >> 12 & 0xf0);
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++) {
        seq_printf(out, "processor\t: %u\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\n", cpu,
                   vendor, family, model);
        seq_printf(out, "model name\t: %s\nstepping\t: %u\ncpu MHz\t\t: %lu.%03lu\n", brand,
                   id[0] & 15, clock_tsc_hz() / 1000000, clock_tsc_hz() / 1000 % 1000);
        seq_printf(out,
                   "physical id\t: 0\nsiblings\t: %u\ncore id\t\t: %u\ncpu cores\t: %u\nflags\t\t:",
                   cpu_count(), cpu, cpu_count());
        for (unsigned i = 0; i < ARRAY_SIZE(cpu_flags); i++) {
            cpu_cpuid(cpu_flags[i].leaf, 0, r);
            if (r[cpu_flags[i].reg] >> cpu_flags[i].bit & 1)
                seq_printf(out, " %s", cpu_flags[i].name);
        }
        seq_printf(out, "\nclflush size\t: 64\ncache_alignment\t: 64\n\n");
    }
    return 0;
}

static int gen_cpu_stat(struct seq *out)
{
    uint64_t user = process_cpu_time() / NS_PER_TICK;
    uint64_t all = clock_now() / NS_PER_TICK * cpu_count();
    uint64_t idle = all > user ? all - user : 0;
    seq_printf(out, "cpu  %lu 0 0 %lu 0 0 0 0 0 0\n", user, idle);
    for (unsigned i = 0; i < cpu_count(); i++)
        seq_printf(out, "cpu%u %lu 0 0 %lu 0 0 0 0 0 0\n", i, user / cpu_count(),
                   idle / cpu_count());
    seq_printf(out, "btime %lu\nprocesses 1\nprocs_running 1\nprocs_blocked 0\n",
               (clock_wall() - clock_now()) / NSEC_PER_SEC);
    return 0;
}

static int link_exe(struct path **out)
{
    if (!process.exe || !process.exe->path)
        return -ENOENT;
    path_get(process.exe->path);
    *out = process.exe->path;
    return 0;
}

int procinfo_init(void)
{
    static const struct {
        const char *path;
        procfs_text_fn *fn;
    } files[] = {
        {"self/maps", gen_maps},   {"self/cmdline", gen_cmdline}, {"self/environ", gen_environ},
        {"self/auxv", gen_auxv},   {"self/comm", gen_comm},       {"self/stat", gen_stat},
        {"self/statm", gen_statm}, {"self/status", gen_status},   {"self/limits", gen_limits},
        {"cpuinfo", gen_cpuinfo},  {"stat", gen_cpu_stat},
    };
    int err = procfs_register_link("self/exe", link_exe);
    for (unsigned i = 0; i < ARRAY_SIZE(files) && !err; i++)
        err = procfs_register(files[i].path, files[i].fn);
    return err;
}
