/* SPDX-License-Identifier: Apache-2.0 */
/* Identity and limits: uname, ids, rlimits, sysinfo, prctl, arch_prctl. */
#include "guest.h"

#include <asm/prctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

TEST(system_name)
{
    struct utsname u;
    CHECK(uname(&u) == 0 && !strcmp(u.sysname, "Linux") && !strcmp(u.machine, "x86_64"));
    CHECK(u.nodename[0] && u.version[0] && atoi(u.release) >= 4);
    char host[65];
    CHECK(gethostname(host, sizeof host) == 0 && !strcmp(host, u.nodename));
}

TEST(process_ids)
{
    CHECK(getpid() > 0 && getppid() >= 0 && syscall(SYS_gettid) == getpid());
    CHECK(syscall(SYS_set_tid_address, &(int){0}) == getpid());
}

TEST(user_ids)
{
    uid_t r, e, s;
    gid_t rg, eg, sg;
    CHECK(getresuid(&r, &e, &s) == 0 && r == getuid() && e == geteuid());
    CHECK(getresgid(&rg, &eg, &sg) == 0 && rg == getgid() && eg == getegid());
    CHECK(setuid(getuid()) == 0 && setgid(getgid()) == 0);
    CHECK(getgroups(0, NULL) >= 0);
}

TEST(limits)
{
    struct rlimit l;
    CHECK(getrlimit(RLIMIT_STACK, &l) == 0 && l.rlim_cur >= 1 << 20);
    CHECK(getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur >= 256 && l.rlim_cur <= l.rlim_max);
    struct rlimit lower = {l.rlim_cur - 1, l.rlim_max}, now;
    CHECK(prlimit(0, RLIMIT_NOFILE, &lower, &now) == 0 && now.rlim_cur == l.rlim_cur);
    CHECK(getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur == lower.rlim_cur);
    CHECK(setrlimit(RLIMIT_NOFILE, &l) == 0);
    struct rlimit wrong = {100, 50};
    CHECK(FAILS(setrlimit(RLIMIT_NOFILE, &wrong), EINVAL));
    CHECK(FAILS(getrlimit((__rlimit_resource_t)99, &l), EINVAL));
}

TEST(system_information)
{
    struct sysinfo s;
    CHECK(sysinfo(&s) == 0 && s.mem_unit > 0 && s.totalram > 0 && s.freeram <= s.totalram);
    CHECK(s.uptime >= 0 && s.procs >= 1);
}

TEST(thread_name)
{
    char name[16] = "", old[16];
    CHECK(prctl(PR_GET_NAME, old) == 0 && !strncmp(old, "t_ident", 7));
    CHECK(prctl(PR_SET_NAME, "a-rather-long-thread-name") == 0);
    CHECK(prctl(PR_GET_NAME, name) == 0 && !strcmp(name, "a-rather-long-t"));
    CHECK(prctl(PR_SET_NAME, old) == 0);
}

TEST(prctl_others)
{
    CHECK(FAILS(prctl(123456, 0, 0, 0, 0), EINVAL));
    CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) >= 0);
    CHECK(prctl(PR_CAPBSET_READ, 0, 0, 0, 0) >= 0);
    CHECK(FAILS(prctl(PR_CAPBSET_READ, 1000, 0, 0, 0), EINVAL));
}

TEST(segment_bases)
{
    unsigned long fs = 0, gs = 0, self, word = 0x1122334455667788, read;
    CHECK(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs) == 0);
    __asm__ volatile("movq %%fs:0, %0" : "=r"(self));
    CHECK(fs == self);
    CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, &word) == 0);
    for (int i = 0; i < 1000; i++) /* kept over system calls and switches */
        sched_yield();
    __asm__ volatile("movq %%gs:0, %0" : "=r"(read));
    CHECK(read == word && syscall(SYS_arch_prctl, ARCH_GET_GS, &gs) == 0);
    CHECK(gs == (unsigned long)&word);
    CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, 0) == 0);
    CHECK(FAILS(syscall(SYS_arch_prctl, 0x9999, 0), EINVAL));
    CHECK(FAILS(syscall(SYS_arch_prctl, ARCH_SET_FS, 0xffff800000000000), EPERM));
}

TEST(usage)
{
    struct rusage r;
    CHECK(getrusage(RUSAGE_SELF, &r) == 0 && r.ru_utime.tv_sec >= 0 && r.ru_maxrss > 0);
    CHECK(FAILS(getrusage(99, &r), EINVAL));
}
