/* SPDX-License-Identifier: Apache-2.0 */
/* Files of /proc and /sys that size heaps and thread pools, or describe threads. */
#include "guest.h"

#include <dirent.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/statfs.h>
#include <sys/utsname.h>

static char text[65536];

/* Reads the whole file; its length, -1 if it cannot be read. */
static ssize_t slurp(const char *path)
{
    int fd = open(path, O_RDONLY);
    ssize_t n, len = 0;
    if (fd < 0)
        return -1;
    while ((n = read(fd, text + len, sizeof text - 1 - (size_t)len)) > 0)
        len += n;
    close(fd);
    text[len] = 0;
    return n < 0 ? -1 : len;
}

static bool has_line(const char *start)
{
    for (const char *p = text; p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
        if (!strncmp(p, start, strlen(start)))
            return true;
    return false;
}

static int gettid_(void)
{
    return (int)syscall(SYS_gettid);
}

TEST(constants)
{
    static const char *const files[] = {
        "/proc/sys/vm/overcommit_memory", "/proc/sys/vm/max_map_count",
        "/proc/sys/kernel/pid_max",       "/proc/sys/kernel/threads-max",
        "/proc/sys/kernel/cap_last_cap",  "/proc/sys/kernel/ngroups_max",
        "/proc/sys/fs/file-max",          "/proc/sys/fs/nr_open",
        "/proc/sys/fs/pipe-max-size",     "/proc/sys/vm/mmap_min_addr",
    };
    for (size_t i = 0; i < COUNT(files); i++) {
        CHECK(slurp(files[i]) > 1);
        CHECK(text[0] >= '0' && text[0] <= '9' && text[strlen(text) - 1] == '\n');
    }
}

TEST(names)
{
    struct utsname u;
    CHECK(uname(&u) == 0);
    CHECK(slurp("/proc/sys/kernel/osrelease") > 0);
    CHECK(!strncmp(text, u.release, strlen(u.release)));
    CHECK(slurp("/proc/sys/kernel/ostype") > 0 && !strcmp(text, "Linux\n"));
    CHECK(slurp("/proc/sys/kernel/hostname") > 0);
    CHECK(!strncmp(text, u.nodename, strlen(u.nodename)));
    CHECK(slurp("/proc/sys/kernel/core_pattern") > 0);
}

TEST(random_ids)
{
    char first[64];
    CHECK(slurp("/proc/sys/kernel/random/boot_id") == 37);
    memcpy(first, text, 38);
    CHECK(slurp("/proc/sys/kernel/random/boot_id") == 37 && !strcmp(first, text));
    CHECK(slurp("/proc/sys/kernel/random/uuid") == 37);
    memcpy(first, text, 38);
    CHECK(slurp("/proc/sys/kernel/random/uuid") == 37 && strcmp(first, text));
    CHECK(text[14] == '4');
}

TEST(cpus)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    char want[32];
    snprintf(want, sizeof want, n > 1 ? "0-%ld\n" : "0\n", n - 1);
    CHECK(slurp("/sys/devices/system/cpu/online") > 0 && !strcmp(text, want));
    CHECK(slurp("/sys/devices/system/cpu/possible") > 0);
    CHECK(slurp("/sys/devices/system/cpu/present") > 0);
    CHECK(slurp("/sys/devices/system/cpu/cpu0/topology/core_id") > 0);
    CHECK(slurp("/sys/devices/system/cpu/cpu0/topology/physical_package_id") > 0);
    snprintf(want, sizeof want, "/sys/devices/system/cpu/cpu%ld", n);
    CHECK(FAILS(access(want, F_OK), ENOENT));
}

TEST(cpu_stat)
{
    CHECK(slurp("/proc/stat") > 0);
    CHECK(has_line("cpu  ") && has_line("cpu0 ") && has_line("btime ") && has_line("ctxt "));
    CHECK(has_line("procs_running ") && has_line("processes "));
    CHECK(slurp("/proc/loadavg") > 0);
    double a, b, c;
    unsigned run, all, last;
    CHECK(sscanf(text, "%lf %lf %lf %u/%u %u", &a, &b, &c, &run, &all, &last) == 6);
    CHECK(run >= 1 && all >= run);
}

TEST(machine_files)
{
    CHECK(slurp("/proc/vmstat") > 0 && has_line("pgfault "));
    CHECK(slurp("/proc/swaps") > 0 && has_line("Filename"));
    CHECK(slurp("/proc/cmdline") > 0);
    CHECK(slurp("/proc/self/cgroup") > 0 && strchr(text, ':'));
    CHECK(slurp("/proc/self/mountinfo") > 0 && strstr(text, " / / "));
    CHECK(slurp("/proc/self/limits") > 0 && has_line("Max open files"));
}

/* slabinfo(5): objects in use are no more than there are. */
static long slab_used(const char *name)
{
    char line[512], slab[64];
    unsigned long used, all, size, each, pages;
    long found = -1;
    FILE *f = fopen("/proc/slabinfo", "r");
    CHECK(f && fgets(line, sizeof line, f) && !strcmp(line, "slabinfo - version: 2.1\n"));
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "%63s %lu %lu %lu %lu %lu :", slab, &used, &all, &size, &each, &pages) !=
            6)
            continue;
        CHECK(used <= all && size && each && pages && each * size <= pages * 4096);
        if (!strcmp(slab, name))
            found = (long)used;
    }
    fclose(f);
    return found;
}

TEST(slabs)
{
    CHECK(slab_used("kmalloc-64") > 0);
    CHECK(slab_used("kmalloc-1k") >= 0 && slab_used("kmalloc-8k") >= 0);
    CHECK(slurp("/proc/meminfo") > 0 && has_line("Slab: ") && has_line("SUnreclaim: "));
}

TEST(sysfs_is_sysfs)
{
    struct statfs s;
    CHECK(statfs("/sys/devices/system", &s) == 0 && s.f_type == 0x62656572);
    CHECK(statfs("/proc", &s) == 0 && s.f_type == 0x9fa0);
}

TEST(clocksource)
{
    CHECK(slurp("/sys/devices/system/clocksource/clocksource0/current_clocksource") > 1);
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(text, "\n"), text);
    CHECK(slurp("/sys/devices/system/clocksource/clocksource0/available_clocksource") > 1);
    CHECK(strstr(text, name));
}

TEST(smaps)
{
    char *p = mmap(NULL, 64 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char want[32], *at;
    CHECK(p != MAP_FAILED && mprotect(p + 60 * 4096, 4096, PROT_NONE) == 0);
    memset(p, 1, 16 * 4096);
    mlock(p + 61 * 4096, 3 * 4096); /* a border, so that nothing merges */
    FILE *f = fopen("/proc/self/smaps", "r");
    CHECK(f);
    snprintf(want, sizeof want, "-%lx ", (unsigned long)p + 60 * 4096);
    long rss = -1, size = -1;
    bool here = false, flags = false;
    while (fgets(text, 512, f)) {
        if (strchr(text, '-') && strstr(text, " rw-p"))
            here = strstr(text, want);
        else if (here && !strncmp(text, "Rss:", 4))
            rss = strtol(text + 4, &at, 10);
        else if (here && !strncmp(text, "Size:", 5))
            size = strtol(text + 5, &at, 10);
        else if (here && !strncmp(text, "VmFlags:", 8)) {
            flags = strstr(text, " rd wr");
            break;
        }
    }
    fclose(f);
    CHECK(size >= 240 && rss >= 64 && rss <= size && flags);
    munmap(p, 64 * 4096);
}

TEST(thread_self)
{
    char link[64], want[64];
    ssize_t n = readlink("/proc/thread-self", link, sizeof link - 1);
    CHECK(n > 0);
    link[n] = 0;
    snprintf(want, sizeof want, "%d/task/%d", (int)getpid(), gettid_());
    CHECK(!strcmp(link, want));
    CHECK(slurp("/proc/thread-self/comm") > 0);
}

static volatile int other_tid;
static volatile bool done;

static void *other(void *arg)
{
    (void)arg;
    prctl(PR_SET_NAME, "second");
    other_tid = gettid_();
    while (!done)
        usleep(1000);
    return NULL;
}

static void start_other(pthread_t *t)
{
    done = false;
    other_tid = 0;
    CHECK(pthread_create(t, NULL, other, NULL) == 0);
    CHECK(SOON(other_tid));
}

static void stop_other(pthread_t t)
{
    done = true;
    pthread_join(t, NULL);
}

TEST(tasks_listed)
{
    pthread_t t;
    start_other(&t);
    bool me = false, it = false;
    DIR *d = opendir("/proc/self/task");
    CHECK(d);
    for (struct dirent *e; (e = readdir(d));) {
        me |= atoi(e->d_name) == gettid_();
        it |= atoi(e->d_name) == other_tid;
    }
    closedir(d);
    stop_other(t);
    CHECK(me && it);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d", other_tid);
    CHECK(SOON(access(path, F_OK) != 0) && errno == ENOENT);
    CHECK(FAILS(access("/proc/self/task/999999", F_OK), ENOENT));
    CHECK(FAILS(access("/proc/self/task/x", F_OK), ENOENT));
}

TEST(task_files)
{
    pthread_t t;
    char path[64], want[64];
    start_other(&t);
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", other_tid);
    CHECK(slurp(path) > 0 && !strcmp(text, "second\n"));
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", other_tid);
    snprintf(want, sizeof want, "%d (second) ", other_tid);
    CHECK(slurp(path) > 0 && !strncmp(text, want, strlen(want)));
    snprintf(path, sizeof path, "/proc/%d/task/%d/status", (int)getpid(), other_tid);
    snprintf(want, sizeof want, "Pid:\t%d\n", other_tid);
    CHECK(slurp(path) > 0 && has_line(want) && has_line("Name:\tsecond\n"));
    snprintf(want, sizeof want, "Tgid:\t%d\n", (int)getpid());
    CHECK(has_line(want));
    stop_other(t);
}

TEST(names_of_others)
{
    pthread_t t;
    char name[32];
    start_other(&t);
    CHECK(pthread_setname_np(t, "renamed") == 0);
    CHECK(pthread_getname_np(t, name, sizeof name) == 0 && !strcmp(name, "renamed"));
    stop_other(t);
}

TEST(comm_write)
{
    char old[32] = "", name[32] = "";
    prctl(PR_GET_NAME, old);
    int fd = open("/proc/self/comm", O_RDWR);
    CHECK(fd >= 0);
    CHECK(write(fd, "a rather long name\n", 19) == 19);
    close(fd);
    CHECK(prctl(PR_GET_NAME, name) == 0 && !strcmp(name, "a rather long n"));
    prctl(PR_SET_NAME, old);
}

TEST(oom_score_adj)
{
    int fd = open("/proc/self/oom_score_adj", O_RDWR);
    CHECK(fd >= 0);
    CHECK(write(fd, "500", 3) == 3);
    close(fd);
    CHECK(slurp("/proc/self/oom_score_adj") > 0 && !strcmp(text, "500\n"));
    fd = open("/proc/self/oom_score_adj", O_RDWR);
    CHECK(FAILS(write(fd, "2000", 4), EINVAL));
    CHECK(FAILS(write(fd, "x", 1), EINVAL));
    close(fd);
}

TEST(status_fields)
{
    static const char *const names[] = {
        "VmPeak:",  "VmSize:", "VmLck:",  "VmHWM:",  "VmRSS:",   "RssAnon:",
        "RssFile:", "VmData:", "VmStk:",  "VmExe:",  "VmSwap:",  "Threads:",
        "SigQ:",    "SigBlk:", "CapEff:", "CapBnd:", "Seccomp:", "Cpus_allowed_list:",
    };
    CHECK(slurp("/proc/self/status") > 0);
    for (size_t i = 0; i < COUNT(names); i++)
        CHECK(has_line(names[i]));
}

TEST(read_only)
{
    CHECK(FAILS(open("/proc/self/nothing", O_RDONLY), ENOENT));
    CHECK(FAILS(open("/sys/nothing", O_RDONLY), ENOENT));
    CHECK(FAILS(open("/proc/self/task/1/x", O_RDONLY), ENOENT));
}
