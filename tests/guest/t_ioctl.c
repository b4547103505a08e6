/* SPDX-License-Identifier: Apache-2.0 */
/* ioctl where there is no terminal: programs look at ENOTTY. */
#include "guest.h"

#include <sys/ioctl.h>
#include <termios.h>

TEST(not_a_terminal)
{
    struct termios t;
    struct winsize w;
    int p[2], file = open(data_path("text.txt"), O_RDONLY), null = open("/dev/null", O_RDWR);
    CHECK(pipe(p) == 0);
    CHECK(FAILS(ioctl(file, TCGETS, &t), ENOTTY));
    CHECK(FAILS(ioctl(p[0], TCGETS, &t), ENOTTY));
    CHECK(FAILS(ioctl(null, TIOCGWINSZ, &w), ENOTTY));
    CHECK(!isatty(file) && errno == ENOTTY);
    close(p[0]);
    close(p[1]);
    close(file);
    close(null);
}

TEST(unknown_request)
{
    int file = open(data_path("text.txt"), O_RDONLY);
    CHECK(FAILS(ioctl(file, 0xdeadbeef, 0), ENOTTY));
    close(file);
}

TEST(bad_descriptor)
{
    struct termios t;
    CHECK(FAILS(ioctl(777, TCGETS, &t), EBADF));
    CHECK(!isatty(777) && errno == EBADF);
}

TEST(nonblocking_on_file)
{
    int on = 1, file = open(data_path("text.txt"), O_RDONLY);
    CHECK(ioctl(file, FIONBIO, &on) == 0 && fcntl(file, F_GETFL) & O_NONBLOCK);
    close(file);
}
