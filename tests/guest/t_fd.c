/* SPDX-License-Identifier: Apache-2.0 */
/* The descriptor table: dup, dup2, dup3, fcntl, limits. */
#include "guest.h"

#include <sys/ioctl.h>
#include <sys/resource.h>

static int open_text(void)
{
    return open(data_path("text.txt"), O_RDONLY);
}

TEST(lowest_free_first)
{
    int a = open_text(), b = open_text(), c = open_text();
    CHECK(b == a + 1 && c == b + 1);
    close(b);
    CHECK(dup(a) == b);
    close(a);
    CHECK(open_text() == a);
    close(a);
    close(b);
    close(c);
}

TEST(dup_shares_offset)
{
    char x;
    int a = open_text(), b = dup(a);
    CHECK(read(a, &x, 1) == 1 && x == '0');
    CHECK(read(b, &x, 1) == 1 && x == '1');
    close(a);
    CHECK(read(b, &x, 1) == 1 && x == '2');
    close(b);
}

TEST(dup2_replaces)
{
    char x;
    int a = open_text(), p[2];
    CHECK(pipe(p) == 0);
    CHECK(dup2(a, p[0]) == p[0]);
    CHECK(read(p[0], &x, 1) == 1 && x == '0');
    CHECK(dup2(a, a) == a);
    CHECK(dup2(a, 200) == 200);
    close(200);
    CHECK(FAILS(dup2(a, -1), EBADF));
    CHECK(FAILS(dup2(500, 501), EBADF));
    CHECK(FAILS(dup(500), EBADF));
    close(a);
    close(p[0]);
    close(p[1]);
}

TEST(dup3_flags)
{
    int a = open_text();
    CHECK(dup3(a, 100, O_CLOEXEC) == 100);
    CHECK(fcntl(100, F_GETFD) == FD_CLOEXEC);
    CHECK(FAILS(dup3(a, a, 0), EINVAL));
    CHECK(FAILS(dup3(a, 101, 0x1234), EINVAL));
    close(100);
    close(a);
}

TEST(fcntl_dupfd)
{
    int a = open_text(), b = fcntl(a, F_DUPFD, 50);
    CHECK(b == 50 && fcntl(b, F_GETFD) == 0);
    int c = fcntl(a, F_DUPFD_CLOEXEC, 50);
    CHECK(c == 51 && fcntl(c, F_GETFD) == FD_CLOEXEC);
    CHECK(FAILS(fcntl(a, F_DUPFD, -1), EINVAL));
    close(a);
    close(b);
    close(c);
}

TEST(close_on_exec)
{
    int a = open(data_path("text.txt"), O_RDONLY | O_CLOEXEC), b = dup(a);
    CHECK(fcntl(a, F_GETFD) == FD_CLOEXEC && fcntl(b, F_GETFD) == 0);
    CHECK(fcntl(a, F_SETFD, 0) == 0 && fcntl(a, F_GETFD) == 0);
    CHECK(ioctl(a, FIOCLEX) == 0 && fcntl(a, F_GETFD) == FD_CLOEXEC);
    CHECK(ioctl(a, FIONCLEX) == 0 && fcntl(a, F_GETFD) == 0);
    close(a);
    close(b);
}

TEST(status_flags)
{
    int p[2];
    CHECK(pipe(p) == 0);
    CHECK((fcntl(p[0], F_GETFL) & O_ACCMODE) == O_RDONLY);
    CHECK((fcntl(p[1], F_GETFL) & O_ACCMODE) == O_WRONLY);
    CHECK(fcntl(p[0], F_SETFL, O_NONBLOCK) == 0);
    CHECK(fcntl(p[0], F_GETFL) & O_NONBLOCK);
    int zero = 0;
    CHECK(ioctl(p[0], FIONBIO, &zero) == 0 && !(fcntl(p[0], F_GETFL) & O_NONBLOCK));
    int fd = open(tmp_path("f"), O_RDWR | O_CREAT | O_APPEND, 0600);
    CHECK((fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND)) == (O_RDWR | O_APPEND));
    CHECK(fcntl(fd, F_SETFL, 0) == 0 && !(fcntl(fd, F_GETFL) & O_APPEND));
    close(fd);
    unlink(tmp_path("f"));
    close(p[0]);
    close(p[1]);
}

TEST(fcntl_errors)
{
    int a = open_text();
    CHECK(FAILS(fcntl(a, 9999), EINVAL));
    close(a);
    CHECK(FAILS(fcntl(a, F_GETFD), EBADF));
}

TEST(table_limit)
{
    struct rlimit old, small = {.rlim_cur = 64};
    int fd[64], n = 0;
    CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
    small.rlim_max = old.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &small) == 0);
    while (n < 64 && (fd[n] = open_text()) >= 0)
        n++;
    int err = errno;
    CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
    for (int i = 0; i < n; i++)
        close(fd[i]);
    CHECK(n > 40 && n < 64 && err == EMFILE);
}

TEST(many_descriptors)
{
    int fd[200];
    for (int i = 0; i < 200; i++)
        CHECK((fd[i] = open_text()) >= 0);
    for (int i = 0; i < 200; i++)
        CHECK(close(fd[i]) == 0);
}
