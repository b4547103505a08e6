/* SPDX-License-Identifier: Apache-2.0 */
/* Bad pointers to every call that takes one: EFAULT, never a signal and never worse. */
#include "guest.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/uio.h>
#include <sys/utsname.h>

#define PAGE 4096ul

static void *bad[4]; /* unmapped, PROT_NONE, the kernel's half, not canonical */

static void bad_make(void)
{
    char *p = mmap(NULL, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(p + PAGE, PAGE);
    bad[0] = p + PAGE;
    bad[1] = p;
    bad[2] = (void *)0xffffffff80100000;
    bad[3] = (void *)0x8123456789abc000;
}

#define ALL_EFAULT(call)                                                                           \
    do {                                                                                           \
        bad_make();                                                                                \
        for (unsigned i = 0; i < COUNT(bad); i++) {                                                \
            void *p = bad[i];                                                                      \
            CHECK(FAILS(call, EFAULT));                                                            \
        }                                                                                          \
        munmap(bad[1], PAGE);                                                                      \
    } while (0)

static int text_open(void)
{
    return open(data_path("text.txt"), O_RDONLY);
}

TEST(paths)
{
    struct stat st;
    ALL_EFAULT(syscall(SYS_openat, AT_FDCWD, p, O_RDONLY));
    ALL_EFAULT(syscall(SYS_newfstatat, AT_FDCWD, p, &st, 0));
    ALL_EFAULT(syscall(SYS_access, p, F_OK));
    ALL_EFAULT(syscall(SYS_chdir, p));
    ALL_EFAULT(syscall(SYS_unlink, p));
    ALL_EFAULT(syscall(SYS_mkdir, p, 0700));
    ALL_EFAULT(syscall(SYS_rename, p, "/tmp/x"));
    ALL_EFAULT(syscall(SYS_readlink, p, &st, 4));
}

/* A string that runs into an unmapped page. */
TEST(unterminated_path)
{
    char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(p + PAGE, PAGE);
    memset(p + PAGE - 20, 'a', 20);
    CHECK(FAILS(open(p + PAGE - 20, O_RDONLY), EFAULT));
    p[PAGE - 1] = 0; /* and one that just does not */
    CHECK(FAILS(open(p + PAGE - 20, O_RDONLY), ENOENT));
    munmap(p, PAGE);
}

TEST(read_buffers)
{
    int fd = text_open(), zero = open("/dev/zero", O_RDONLY);
    ALL_EFAULT(read(fd, p, 10));
    ALL_EFAULT(pread(fd, p, 10, 5));
    ALL_EFAULT(read(zero, p, 10));
    ALL_EFAULT(readv(fd, p, 1));
    ALL_EFAULT(readv(fd, (&(struct iovec){p, 8}), 1));
    CHECK(lseek(fd, 0, SEEK_CUR) == 0);
    close(fd);
    close(zero);
}

TEST(write_buffers)
{
    int p2[2], fd = open(tmp_path("w"), O_RDWR | O_CREAT, 0600);
    CHECK(pipe(p2) == 0);
    ALL_EFAULT(write(fd, p, 10));
    ALL_EFAULT(pwrite(fd, p, 10, 0));
    ALL_EFAULT(write(p2[1], p, 10));
    ALL_EFAULT(writev(fd, (&(struct iovec){p, 8}), 1));
    CHECK(lseek(fd, 0, SEEK_END) == 0);
    close(fd);
    close(p2[0]);
    close(p2[1]);
    unlink(tmp_path("w"));
}

/* What fits before the bad page is transferred. */
TEST(partial_transfer)
{
    int fd = text_open();
    char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(p + PAGE, PAGE);
    struct iovec v[] = {{p, 4}, {p + PAGE, 4}};
    CHECK(readv(fd, v, 2) == 4 && !memcmp(p, "0123", 4));
    close(fd);
    munmap(p, PAGE);
}

TEST(results)
{
    int fd = text_open(), dir = open(data_path("dir"), O_RDONLY);
    ALL_EFAULT(syscall(SYS_fstat, fd, p));
    ALL_EFAULT(syscall(SYS_newfstatat, AT_FDCWD, "/", p, 0));
    ALL_EFAULT(syscall(SYS_statx, AT_FDCWD, "/", 0, STATX_BASIC_STATS, p));
    ALL_EFAULT(syscall(SYS_getdents64, dir, p, 1024));
    ALL_EFAULT(syscall(SYS_getcwd, p, 1024));
    ALL_EFAULT(syscall(SYS_readlink, data_path("link"), p, 10));
    ALL_EFAULT(syscall(SYS_pipe2, p, 0));
    ALL_EFAULT(syscall(SYS_uname, p));
    ALL_EFAULT(syscall(SYS_sysinfo, p));
    ALL_EFAULT(syscall(SYS_getrandom, p, 16, 0));
    ALL_EFAULT(syscall(SYS_getrusage, RUSAGE_SELF, p));
    ALL_EFAULT(syscall(SYS_sched_getaffinity, 0, 128, p));
    close(fd);
    close(dir);
}

TEST(time_calls)
{
    ALL_EFAULT(syscall(SYS_clock_gettime, CLOCK_REALTIME, p));
    ALL_EFAULT(syscall(SYS_clock_getres, CLOCK_REALTIME, p));
    ALL_EFAULT(syscall(SYS_gettimeofday, p, 0));
    ALL_EFAULT(syscall(SYS_nanosleep, p, 0));
    ALL_EFAULT(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, p, 0));
}

TEST(signal_calls)
{
    ALL_EFAULT(syscall(SYS_rt_sigaction, SIGUSR1, p, 0, 8));
    ALL_EFAULT(syscall(SYS_rt_sigaction, SIGUSR1, 0, p, 8));
    ALL_EFAULT(syscall(SYS_rt_sigprocmask, SIG_BLOCK, p, 0, 8));
    ALL_EFAULT(syscall(SYS_rt_sigprocmask, SIG_BLOCK, 0, p, 8));
    ALL_EFAULT(syscall(SYS_sigaltstack, p, 0));
    ALL_EFAULT(syscall(SYS_sigaltstack, 0, p));
}

TEST(other_calls)
{
    uint32_t word = 0;
    ALL_EFAULT(syscall(SYS_futex, p, 0, 0, 0, 0, 0));
    ALL_EFAULT(syscall(SYS_futex, &word, 0, 0, p, 0, 0));
    ALL_EFAULT(syscall(SYS_prlimit64, 0, RLIMIT_STACK, p, 0));
    ALL_EFAULT(syscall(SYS_prlimit64, 0, RLIMIT_STACK, 0, p));
    ALL_EFAULT(syscall(SYS_poll, p, 1, 0));
    ALL_EFAULT(syscall(SYS_prctl, 15, p, 0, 0, 0));
    ALL_EFAULT(syscall(SYS_clone3, p, 64));
}

/* A read-only page is as bad a place for a result as none. */
TEST(read_only_page)
{
    void *p = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int fd = text_open();
    CHECK(FAILS(read(fd, p, 10), EFAULT));
    CHECK(FAILS(syscall(SYS_uname, p), EFAULT));
    CHECK(FAILS(syscall(SYS_pipe, p), EFAULT));
    CHECK(*(char *)p == 0);
    close(fd);
    munmap(p, PAGE);
}
