/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc: what fs/ and the folders above it know about the system: memory,
 * mounts, uptime, version, and the constants under sys/.
 */
#include <linux/errno.h>

#include "arch/x86_64/percpu.h"
#include "core/random.h"
#include "fs/mount.h"
#include "fs/procfs_node.h"
#include "mem/page.h"
#include "sched/clock.h"

#define KIB_PER_PAGE (PAGE_SIZE / 1024)

static int meminfo_text(struct seq *s)
{
    unsigned long total = page_count_total() * KIB_PER_PAGE,
                  free = page_count_free() * KIB_PER_PAGE;
    unsigned long cached = page_cache_reclaimable() * KIB_PER_PAGE;
    const struct {
        const char *name;
        unsigned long kib;
    } line[] = {
        {"MemTotal:", total},
        {"MemFree:", free},
        {"MemAvailable:", free + cached},
        {"Buffers:", 0},
        {"Cached:", cached},
        {"SwapCached:", 0},
        {"Active:", cached},
        {"Inactive:", 0},
        {"SwapTotal:", 0},
        {"SwapFree:", 0},
        {"Dirty:", 0},
        {"Shmem:", 0},
        {"CommitLimit:", total},
        {"Committed_AS:", total - free},
        {"HugePages_Total:", 0},
        {"HugePages_Free:", 0},
        {"Hugepagesize:", 2048},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(line); i++)
        seq_printf(s, "%-16s%8lu kB\n", line[i].name, line[i].kib);
    return 0;
}

static int mount_line(void *arg, const char *source, const char *at, const struct fs *fs,
                      const char *options)
{
    seq_printf(arg, "%s %s %s %s 0 0\n", source, at, fs->type, options);
    return 0;
}

static int mounts_text(struct seq *s)
{
    return mount_for_each(mount_line, s);
}

struct mountinfo {
    struct seq *out;
    unsigned id;
};

static int mountinfo_line(void *arg, const char *source, const char *at, const struct fs *fs,
                          const char *options)
{
    struct mountinfo *m = arg;
    seq_printf(m->out, "%u %u 0:%u / %s %s - %s %s %s\n", m->id + 1, m->id ? 1u : 0u,
               (unsigned)fs->dev, at, options, fs->type, source, fs->read_only ? "ro" : "rw");
    m->id++;
    return 0;
}

static int mountinfo_text(struct seq *s)
{
    return mount_for_each(mountinfo_line, &(struct mountinfo){s, 0});
}

static int uptime_text(struct seq *s)
{
    unsigned long long cs = clock_now() / (NSEC_PER_SEC / 100);
    seq_printf(s, "%llu.%02llu 0.00\n", cs / 100, cs % 100);
    return 0;
}

static int stat_text(struct seq *s)
{
    seq_text(s, "cpu  0 0 0 0 0 0 0 0 0 0\n");
    for (unsigned i = 0; i < cpu_count(); i++)
        seq_printf(s, "cpu%u 0 0 0 0 0 0 0 0 0 0\n", i);
    seq_printf(s, "ctxt 0\nbtime %llu\nprocesses 1\nprocs_running 1\nprocs_blocked 0\n",
               (unsigned long long)((clock_wall() - clock_now()) / NSEC_PER_SEC));
    return 0;
}

static int uuid_text(struct seq *s)
{
    uint64_t a = random_u64(), b = random_u64();
    seq_printf(s, "%08x-%04x-4%03x-%04x-%04x%08x\n", (unsigned)(a >> 32),
               (unsigned)(a >> 16) & 0xffff, (unsigned)a & 0xfff,
               ((unsigned)(b >> 48) & 0x3fff) | 0x8000, (unsigned)(b >> 32) & 0xffff, (unsigned)b);
    return 0;
}

static const struct {
    const char *path, *text;
} constants[] = {
    {"version", "Linux version 6.1.0-ops (ops " OPS_VERSION ") #1 SMP\n"},
    {"filesystems", "nodev\tproc\nnodev\ttmpfs\nnodev\tdevtmpfs\n\text4\n"},
    {"loadavg", "0.00 0.00 0.00 1/1 1\n"},
    {"cmdline", "\n"},
    {"sys/vm/overcommit_memory", "0\n"},
    {"sys/vm/max_map_count", "65530\n"},
    {"sys/fs/file-max", "1048576\n"},
    {"sys/fs/nr_open", "1048576\n"},
    {"sys/kernel/pid_max", "32768\n"},
    {"sys/kernel/threads-max", "32768\n"},
    {"sys/kernel/osrelease", "6.1.0-ops\n"},
    {"sys/kernel/ostype", "Linux\n"},
    {"sys/kernel/cap_last_cap", "40\n"},
    {"sys/kernel/randomize_va_space", "2\n"},
    {"sys/net/core/somaxconn", "4096\n"},
    {"self/cgroup", "0::/\n"},
};

static const struct {
    const char *path;
    procfs_text_fn *text;
} texts[] = {
    {"meminfo", meminfo_text},
    {"mounts", mounts_text},
    {"self/mounts", mounts_text},
    {"self/mountinfo", mountinfo_text},
    {"uptime", uptime_text},
    {"stat", stat_text},
    {"sys/kernel/random/uuid", uuid_text},
};

int proc_system_register(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(constants); i++) {
        struct proc_node *n = proc_node_make(constants[i].path, S_IFREG | 0444);
        if (!n)
            return -ENOMEM;
        if (!n->text) /* who registered before us knows better */
            n->constant = constants[i].text;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
        struct proc_node *n = proc_node_make(texts[i].path, S_IFREG | 0444);
        if (!n)
            return -ENOMEM;
        if (!n->text)
            n->text = texts[i].text;
    }
    return 0;
}
