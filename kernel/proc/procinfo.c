/* SPDX-License-Identifier: Apache-2.0 */
/* /proc files of the process and its threads: formats of proc(5). */
#include "proc/procinfo.h"

#include <linux/errno.h>

#include "arch/x86_64/boot.h"
#include "file/file.h"
#include "fs/path.h"
#include "fs/procfs.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mem/page.h"
#include "proc/process.h"
#include "proc/task.h"
#include "sched/clock.h"
#include "vm/range.h"
#include "vm/vma.h"

#define TICKS_PER_SEC 100
#define NS_PER_TICK   (NSEC_PER_SEC / TICKS_PER_SEC)

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

/* What is told of one thread. */
struct task_view {
    int tid;
    char name[16];
    char state;
    uint64_t cpu_time, switches, preemptions;
    uint64_t sigmask, pending, affinity;
    unsigned cpu;
};

/* Of the thread with that id; below 0: of the process, by its first thread. -ESRCH. */
static int task_look(int id, struct task_view *out)
{
    irqflags_t flags = spin_lock_irq(&process.lock);
    const struct task *t = task_find_locked(id < 0 ? PROCESS_PID : id);
    if (!t && id < 0) /* the first thread has ended */
        t = task_current();
    if (t) {
        const struct thread *th = t->thread;
        *out = (struct task_view){.tid = t->tid,
                                  .state = th->state == THREAD_BLOCKED ? 'S' : 'R',
                                  .cpu_time = thread_cpu_time(th),
                                  .switches = th->switches,
                                  .preemptions = th->preemptions,
                                  .sigmask = t->sigmask,
                                  .pending = t->pending.set,
                                  .affinity = th->affinity,
                                  .cpu = th->cpu};
        memcpy(out->name, th->name, sizeof out->name);
    }
    spin_unlock_irq(&process.lock, flags);
    return t ? 0 : -ESRCH;
}

static int task_next(int after)
{
    int best = -1;
    irqflags_t flags = spin_lock_irq(&process.lock);
    LIST_FOR_EACH(l, &process.tasks)
    {
        int tid = LIST_ENTRY(l, struct task, link)->tid;
        if (tid > after && (best < 0 || tid < best))
            best = tid;
    }
    spin_unlock_irq(&process.lock, flags);
    return best;
}

static int gen_comm(struct seq *out)
{
    struct task_view t;
    int err = task_look(out->id, &t);
    if (!err)
        seq_printf(out, "%s\n", t.name);
    return err;
}

void procinfo_threads(struct seq *out)
{
    struct task_view t;
    for (int id = task_next(0); id > 0; id = task_next(id)) {
        if (task_look(id, &t))
            continue;
        for (char *c = t.name; *c; c++)
            *c = (unsigned char)*c < ' ' ? '?' : *c; /* it shall stay one line */
        seq_printf(out, "%d %c %u %lu %lu %s\n", t.tid, t.state, t.cpu, t.cpu_time,
                   t.switches + t.preemptions, t.name);
    }
}

static int set_comm(int id, const char *text)
{
    irqflags_t flags = spin_lock_irq(&process.lock);
    const struct task *t = task_find_locked(id < 0 ? PROCESS_PID : id);
    if (t) {
        size_t n = MIN(strlen(text), sizeof t->thread->name - 1);
        memset(t->thread->name, 0, sizeof t->thread->name);
        memcpy(t->thread->name, text, n);
    }
    spin_unlock_irq(&process.lock, flags);
    return t ? 0 : -ESRCH;
}

static int oom_score_adj;

static int gen_oom_score_adj(struct seq *out)
{
    seq_printf(out, "%d\n", oom_score_adj);
    return 0;
}

static int set_oom_score_adj(int id, const char *text)
{
    int value = 0, sign = *text == '-' ? -1 : 1;
    (void)id;
    text += *text == '-';
    if (!*text)
        return -EINVAL;
    for (; *text >= '0' && *text <= '9' && value <= 1000; text++)
        value = value * 10 + (*text - '0');
    if (*text || value > 1000)
        return -EINVAL;
    oom_score_adj = value * sign;
    return 0;
}

static int gen_stat(struct seq *out)
{
    struct task_view t;
    int err = task_look(out->id, &t);
    if (err)
        return err;
    uint64_t ticks = (out->id < 0 ? process_cpu_time() : t.cpu_time) / NS_PER_TICK;
    seq_printf(out, "%d (%s) %c %d %d %d 0 -1 4194304 ", t.tid, t.name, t.state, PROCESS_PPID,
               PROCESS_PID, PROCESS_PID);
    seq_printf(out, "%lu 0 0 0 %lu 0 0 0 20 0 %u 0 %lu %lu %zu 18446744073709551615 ", vm.faults,
               ticks, process.task_count, process.start_time / NS_PER_TICK, vm.mapped, vm.resident);
    seq_printf(out, "%lu %lu %lu 0 0 0 0 0 0 0 0 0 17 %u 0 0 0 0 0 ", process.code_start,
               process.code_end, process.stack_top, t.cpu);
    seq_printf(out, "%lu %lu %lu %lu %lu %lu %lu 0\n", process.data_start, process.data_end,
               vm.brk_start, process.arg_start, process.arg_end, process.env_start,
               process.env_end);
    return 0;
}

static void status_ids(struct seq *out, const struct task_view *t)
{
    seq_printf(out, "Name:\t%s\nUmask:\t%04o\nState:\t%c (%s)\nTgid:\t%d\nNgid:\t0\n", t->name,
               process.fs->umask, t->state, t->state == 'R' ? "running" : "sleeping", PROCESS_PID);
    seq_printf(out, "Pid:\t%d\nPPid:\t%d\nTracerPid:\t0\n", t->tid, PROCESS_PPID);
    seq_printf(out, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\n", process.uid, process.euid,
               process.suid, process.fsuid, process.gid, process.egid, process.sgid, process.fsgid);
    seq_text(out, "FDSize:\t256\nGroups:\t");
    for (uint32_t i = 0; i < process.group_count; i++)
        seq_printf(out, "%u ", process.groups[i]);
    seq_printf(out, "\nNStgid:\t%d\nNSpid:\t%d\n", PROCESS_PID, t->tid);
}

static void status_memory(struct seq *out)
{
    struct vm_usage u;
    vm_usage(0, UINT64_MAX, &u);
    const struct {
        const char *name;
        uint64_t bytes;
    } lines[] = {
        {"VmPeak", vm.mapped_max},
        {"VmSize", vm.mapped},
        {"VmLck", vm.locked},
        {"VmPin", 0},
        {"VmHWM", vm.resident_max << PAGE_SHIFT},
        {"VmRSS", vm.resident << PAGE_SHIFT},
        {"RssAnon", u.anonymous},
        {"RssFile", u.resident - u.anonymous},
        {"RssShmem", 0},
        {"VmData", vm.data},
        {"VmStk", process.stack_top ? vm_stack_size() : 0},
        {"VmExe", process.code_end - process.code_start},
        {"VmLib", 0},
        {"VmPTE", 0},
        {"VmSwap", 0},
        {"HugetlbPages", 0},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++)
        seq_printf(out, "%s:\t%8lu kB\n", lines[i].name, lines[i].bytes >> 10);
}

static void status_signals(struct seq *out, const struct task_view *t)
{
    uint64_t ignored = 0, caught = 0;
    for (int sig = 1; sig <= SIGNAL_COUNT; sig++) {
        uint64_t h = process.signals.action[sig - 1].handler;
        ignored |= h == (uint64_t)SIG_IGN ? SIGNAL_BIT(sig) : 0;
        caught |= h > (uint64_t)SIG_IGN ? SIGNAL_BIT(sig) : 0;
    }
    seq_printf(out, "SigQ:\t0/%lu\nSigPnd:\t%016lx\nShdPnd:\t%016lx\nSigBlk:\t%016lx\n",
               process.limits[RLIMIT_SIGPENDING].soft, t->pending, process.signals.pending.set,
               t->sigmask);
    seq_printf(out, "SigIgn:\t%016lx\nSigCgt:\t%016lx\n", ignored, caught);
}

static int gen_status(struct seq *out)
{
    const uint64_t all_caps = process_privileged() ? (1ull << 41) - 1 : 0;
    struct task_view t;
    int err = task_look(out->id, &t);
    if (err)
        return err;
    status_ids(out, &t);
    status_memory(out);
    seq_printf(out, "CoreDumping:\t0\nTHP_enabled:\t%d\nThreads:\t%u\n", !vm.huge_disabled,
               process.task_count);
    status_signals(out, &t);
    seq_printf(out, "CapInh:\t%016x\nCapPrm:\t%016lx\nCapEff:\t%016lx\nCapBnd:\t%016lx\n", 0,
               all_caps, all_caps, (1ul << 41) - 1);
    seq_printf(out, "CapAmb:\t%016x\nNoNewPrivs:\t%d\nSeccomp:\t0\nSeccomp_filters:\t0\n", 0,
               process.no_new_privs);
    uint64_t cpus = cpu_count() == 64 ? UINT64_MAX : (1ull << cpu_count()) - 1;
    seq_printf(out, "Cpus_allowed:\t%lx\nCpus_allowed_list:\t", t.affinity & cpus);
    seq_printf(out, cpu_count() > 1 ? "0-%u\n" : "%u\n", cpu_count() - 1);
    seq_text(out, "Mems_allowed:\t1\nMems_allowed_list:\t0\n");
    seq_printf(out, "voluntary_ctxt_switches:\t%lu\nnonvoluntary_ctxt_switches:\t%lu\n", t.switches,
               t.preemptions);
    return 0;
}

static int gen_vmstat(struct seq *out)
{
    seq_printf(out, "nr_free_pages %zu\nnr_mapped %zu\npgfault %lu\npgmajfault 0\n",
               page_count_free(), vm.resident, vm.faults);
    seq_text(out, "pswpin 0\npswpout 0\noom_kill 0\n");
    return 0;
}

static int gen_boot_cmdline(struct seq *out)
{
    seq_printf(out, "%s\n", boot_info.cmdline);
    return 0;
}

static int gen_hostname(struct seq *out)
{
    seq_printf(out, "%s\n", process.hostname);
    return 0;
}

static int gen_domainname(struct seq *out)
{
    seq_printf(out, "%s\n", process.domainname);
    return 0;
}

static int gen_schedstat(struct seq *out)
{
    struct task_view t;
    int err = task_look(out->id, &t);
    if (!err)
        seq_printf(out, "%lu 0 %lu\n", t.cpu_time, t.switches + t.preemptions);
    return err;
}

static int thread_self(char *buf, size_t n)
{
    char text[40];
    int len = snprintf(text, sizeof text, "%d/task/%d", PROCESS_PID, task_current()->tid);
    len = (int)MIN((size_t)len, n);
    memcpy(buf, text, (size_t)len);
    return len;
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

static int link_exe(struct path **out)
{
    if (!process.exe || !process.exe->path)
        return -ENOENT;
    path_get(process.exe->path);
    *out = process.exe->path;
    return 0;
}

struct text_file {
    const char *path;
    procfs_text_fn *fn;
};

static int register_texts(const struct text_file *files, size_t count)
{
    int err = 0;
    for (size_t i = 0; i < count && !err; i++)
        err = procfs_register(files[i].path, files[i].fn);
    return err;
}

int procinfo_init(void)
{
    static const struct text_file files[] = {
        {"self/cmdline", gen_cmdline},
        {"self/environ", gen_environ},
        {"self/auxv", gen_auxv},
        {"self/comm", gen_comm},
        {"self/stat", gen_stat},
        {"self/status", gen_status},
        {"self/limits", gen_limits},
        {"self/oom_score_adj", gen_oom_score_adj},
        {"self/schedstat", gen_schedstat},
        {"vmstat", gen_vmstat},
        {"cmdline", gen_boot_cmdline},
        {"sys/kernel/hostname", gen_hostname},
        {"sys/kernel/domainname", gen_domainname},
    };
    static const struct text_file thread_files[] = {
        {"self/task/[n]/comm", gen_comm},       {"self/task/[n]/stat", gen_stat},
        {"self/task/[n]/status", gen_status},   {"self/task/[n]/schedstat", gen_schedstat},
        {"self/task/[n]/cmdline", gen_cmdline}, {"self/task/[n]/limits", gen_limits},
    };
    int err = procfs_register_link("self/exe", link_exe);
    if (!err)
        err = register_texts(files, ARRAY_SIZE(files));
    if (!err)
        err = procfs_register_numbers("self/task", task_next);
    if (!err)
        err = register_texts(thread_files, ARRAY_SIZE(thread_files));
    if (!err)
        err = procfs_register_write("self/comm", set_comm);
    if (!err)
        err = procfs_register_write("self/task/[n]/comm", set_comm);
    if (!err)
        err = procfs_register_write("self/oom_score_adj", set_oom_score_adj);
    if (!err)
        err = procfs_register_text_link("thread-self", thread_self);
    if (!err)
        err = procmem_init();
    return err ? err : activity_init();
}
