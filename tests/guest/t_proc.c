/* SPDX-License-Identifier: Apache-2.0 */
/* /proc: what programs read about themselves and the machine. */
#include "guest.h"

#include <dirent.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>

extern char **environ;

static char text[262144];

/* Reads a whole file; its length, -1 if it cannot be opened. */
static ssize_t slurp(const char *path)
{
    int fd = open(path, O_RDONLY);
    size_t n = 0;
    if (fd < 0)
        return -1;
    for (ssize_t k; n < sizeof text - 1 && (k = read(fd, text + n, sizeof text - 1 - n)) > 0;)
        n += (size_t)k;
    text[n] = 0;
    close(fd);
    return (ssize_t)n;
}

TEST(self_exe)
{
    char path[PATH_MAX];
    struct stat a, b;
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    CHECK(n > 0);
    path[n] = 0;
    CHECK(path[0] == '/' && strstr(path, "t_proc"));
    CHECK(stat("/proc/self/exe", &a) == 0 && stat(path, &b) == 0 && a.st_ino == b.st_ino);
    char magic[4];
    int fd = open("/proc/self/exe", O_RDONLY);
    CHECK(fd >= 0 && read(fd, magic, 4) == 4 && !memcmp(magic, "\177ELF", 4));
    close(fd);
}

/* The permissions of the mapping that holds this address, "" if none does. */
static const char *perms_of(const void *p)
{
    static char perms[8];
    unsigned long start, end;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        if (sscanf(line, "%lx-%lx %7s", &start, &end, perms) == 3 && (uintptr_t)p >= start &&
            (uintptr_t)p < end)
            return perms;
    return "";
}

static int variable = 1;

TEST(self_maps)
{
    int on_stack;
    CHECK(slurp("/proc/self/maps") > 0 && strstr(text, "[stack]"));
    CHECK(strstr(text, "t_proc"));
    CHECK(!strcmp(perms_of((void *)(uintptr_t)test_self_exe), "r-xp"));
    slurp("/proc/self/maps");
    CHECK(!strcmp(perms_of(&variable), "rw-p"));
    slurp("/proc/self/maps");
    CHECK(!strncmp(perms_of(&on_stack), "rw", 2));
    slurp("/proc/self/maps");
    CHECK(!strcmp(perms_of((void *)8), ""));
}

TEST(self_fd)
{
    char path[64], target[PATH_MAX];
    int fd = open(data_path("text.txt"), O_RDONLY), seen = 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(path, target, sizeof target - 1);
    CHECK(n > 0);
    target[n] = 0;
    CHECK(strstr(target, "text.txt"));
    DIR *d = opendir("/proc/self/fd");
    CHECK(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        seen += atoi(e->d_name) == fd && e->d_name[0] != '.';
    closedir(d);
    CHECK(seen == 1);
    close(fd);
    CHECK(FAILS(readlink(path, target, sizeof target), ENOENT));
}

TEST(self_cmdline)
{
    CHECK(slurp("/proc/self/cmdline") > 0 && strstr(text, "t_proc"));
}

TEST(self_environ)
{
    ssize_t n = slurp("/proc/self/environ");
    CHECK(n > 0);
    bool found = false;
    for (char *p = text; p < text + n; p += strlen(p) + 1)
        found |= !strncmp(p, "GUEST_DATA=", 11);
    CHECK(found);
}

TEST(self_stat)
{
    int pid;
    char name[64], state;
    CHECK(slurp("/proc/self/stat") > 0);
    CHECK(sscanf(text, "%d (%63[^)]) %c", &pid, name, &state) == 3);
    CHECK(pid == getpid() && !strncmp(name, "t_proc", 6) && state == 'R');
    int fields = 0;
    for (char *p = text; *p; p++)
        fields += *p == ' ';
    CHECK(fields >= 43);
}

TEST(self_status)
{
    CHECK(slurp("/proc/self/status") > 0);
    CHECK(!strncmp(text, "Name:\tt_proc", 12));
    char *pid = strstr(text, "\nPid:"), *threads = strstr(text, "\nThreads:");
    CHECK(pid && atoi(pid + 5) == getpid());
    CHECK(threads && atoi(threads + 9) == 1);
    CHECK(strstr(text, "\nVmRSS:") && strstr(text, "\nVmSize:"));
}

TEST(self_auxv)
{
    ssize_t n = slurp("/proc/self/auxv");
    const ElfW(auxv_t) *aux = (const void *)text;
    CHECK(n > 0 && n % (ssize_t)sizeof *aux == 0);
    char **p = environ;
    while (*p)
        p++;
    CHECK(!memcmp(aux, p + 1, (size_t)n));
    CHECK(aux[n / (ssize_t)sizeof *aux - 1].a_type == AT_NULL);
}

TEST(by_pid)
{
    char path[64];
    struct stat a, b;
    snprintf(path, sizeof path, "/proc/%d/exe", getpid());
    CHECK(stat(path, &a) == 0 && stat("/proc/self/exe", &b) == 0 && a.st_ino == b.st_ino);
    ssize_t n = readlink("/proc/self", path, sizeof path - 1);
    CHECK(n > 0);
    path[n] = 0;
    CHECK(atoi(path) == getpid());
}

TEST(machine)
{
    unsigned long total = 0;
    double up = 0;
    CHECK(slurp("/proc/meminfo") > 0 && sscanf(text, "MemTotal: %lu kB", &total) == 1);
    CHECK(total > 1000 && strstr(text, "MemFree:") && strstr(text, "MemAvailable:"));
    CHECK(slurp("/proc/cpuinfo") > 0 && strstr(text, "processor\t: 0") && strstr(text, "flags"));
    CHECK(slurp("/proc/uptime") > 0 && sscanf(text, "%lf", &up) == 1 && up > 0);
    CHECK(slurp("/proc/version") > 0 && !strncmp(text, "Linux version ", 14));
    CHECK(slurp("/proc/mounts") > 0 && strstr(text, " / "));
    CHECK(slurp("/proc/filesystems") > 0 && strstr(text, "tmpfs"));
}

TEST(small_reads_agree)
{
    static char whole[65536];
    size_t n = 0;
    CHECK(slurp("/proc/filesystems") > 0);
    int fd = open("/proc/filesystems", O_RDONLY);
    for (ssize_t k; n < sizeof whole && (k = read(fd, whole + n, 7)) > 0;)
        n += (size_t)k;
    CHECK(n == strlen(text) && !memcmp(whole, text, n));
    char c;
    CHECK(pread(fd, &c, 1, 3) == 1 && c == text[3]);
    close(fd);
}

TEST(missing)
{
    CHECK(FAILS(open("/proc/self/nothing", O_RDONLY), ENOENT));
    CHECK(FAILS(open("/proc/999999999", O_RDONLY), ENOENT));
}
