/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc: what fs/ and the folders above it know about the system: memory,
 * mounts, uptime, version, and the constants under sys/.
 */
#include <linux/errno.h>

#include "core/random.h"
#include "fs/lock.h"
#include "fs/mount.h"
#include "fs/procfs_node.h"
#include "mem/page.h"
#include "sched/clock.h"
#include "sched/thread.h"
#include "vm/huge.h"

#define KIB_PER_PAGE (PAGE_SIZE / 1024)

static int meminfo_text(struct seq *s)
{
    unsigned long total = page_count_total() * KIB_PER_PAGE,
                  free = page_count_free() * KIB_PER_PAGE;
    unsigned long clean = page_cache_reclaimable() * KIB_PER_PAGE;
    unsigned long dirty = page_cache_dirty_total() * KIB_PER_PAGE;
    const struct {
        const char *name;
        unsigned long kib;
    } line[] = {
        {"MemTotal:", total},
        {"MemFree:", free},
        {"MemAvailable:", free + clean},
        {"Buffers:", 0},
        {"Cached:", clean + dirty},
        {"SwapCached:", 0},
        {"Active:", clean + dirty},
        {"Inactive:", 0},
        {"SwapTotal:", 0},
        {"SwapFree:", 0},
        {"Dirty:", dirty},
        {"Shmem:", 0},
        {"CommitLimit:", total},
        {"Committed_AS:", total - free},
        {"AnonHugePages:", huge_bytes() >> 10},
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
    const uint64_t unit = NSEC_PER_SEC / 100;
    uint64_t up = clock_now() / unit, idle = 0;
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++)
        idle += thread_idle_time(cpu) / unit;
    seq_printf(s, "%lu.%02lu %lu.%02lu\n", up / 100, up % 100, idle / 100, idle % 100);
    return 0;
}

static void uuid_line(struct seq *s, uint64_t a, uint64_t b)
{
    seq_printf(s, "%08x-%04x-4%03x-%04x-%04x%08x\n", (unsigned)(a >> 32),
               (unsigned)(a >> 16) & 0xffff, (unsigned)a & 0xfff,
               ((unsigned)(b >> 48) & 0x3fff) | 0x8000, (unsigned)(b >> 32) & 0xffff, (unsigned)b);
}

static int uuid_text(struct seq *s)
{
    uuid_line(s, random_u64(), random_u64());
    return 0;
}

/* The same until the machine ends. */
static int boot_id_text(struct seq *s)
{
    static uint64_t id[2];
    if (!id[0]) {
        id[1] = random_u64();
        id[0] = random_u64() | 1;
    }
    uuid_line(s, id[0], id[1]);
    return 0;
}

static const struct {
    const char *path, *text;
} constants[] = {
    {"version", "Linux version 6.1.0-ops (ops " OPS_VERSION ") #1 SMP\n"},
    {"filesystems", "nodev\tproc\nnodev\ttmpfs\nnodev\tdevtmpfs\n\text4\n"},
    {"cmdline", "\n"},
    {"sys/vm/overcommit_memory", "0\n"},
    {"sys/vm/max_map_count", "65530\n"},
    {"sys/vm/overcommit_ratio", "50\n"},
    {"sys/vm/overcommit_kbytes", "0\n"},
    {"sys/vm/mmap_min_addr", "65536\n"},
    {"sys/vm/swappiness", "60\n"},
    {"sys/vm/nr_hugepages", "0\n"},
    {"sys/fs/pipe-max-size", "1048576\n"},
    {"sys/fs/file-nr", "0\t0\t1048576\n"},
    {"sys/fs/inotify/max_user_watches", "65536\n"},
    {"sys/fs/epoll/max_user_watches", "1048576\n"},
    {"sys/kernel/version", "#1 SMP\n"},
    {"sys/kernel/core_pattern", "core\n"},
    {"sys/kernel/ngroups_max", "65536\n"},
    {"sys/kernel/perf_event_paranoid", "4\n"},
    {"sys/kernel/yama/ptrace_scope", "1\n"},
    {"sys/kernel/random/entropy_avail", "256\n"},
    {"sys/kernel/random/poolsize", "256\n"},
    {"swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"},
    {"self/oom_score", "0\n"},
    {"self/personality", "00000000\n"},
    {"self/coredump_filter", "00000033\n"},
    {"self/setgroups", "allow\n"},
    {"self/uid_map", "         0          0 4294967295\n"},
    {"self/gid_map", "         0          0 4294967295\n"},
    {"/sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n"},
    {"/sys/kernel/mm/transparent_hugepage/defrag", "always defer defer+madvise madvise [never]\n"},
    {"/sys/kernel/mm/transparent_hugepage/shmem_enabled",
     "always within_size advise [never] deny force\n"},
    {"/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", "2097152\n"},
    {"/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n"},
    {"/sys/devices/system/clocksource/clocksource0/available_clocksource", "tsc\n"},
    {"/sys/devices/system/node/online", "0\n"},
    {"/sys/devices/system/node/possible", "0\n"},
    {"/sys/devices/system/node/has_normal_memory", "0\n"},
    {"sys/fs/file-max", "1048576\n"},
    {"sys/fs/nr_open", "1048576\n"},
    {"sys/kernel/pid_max", "4194304\n"},
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
    {"locks", lock_list_text},
    {"uptime", uptime_text},
    {"sys/kernel/random/uuid", uuid_text},
    {"sys/kernel/random/boot_id", boot_id_text},
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
