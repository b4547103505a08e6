/* SPDX-License-Identifier: Apache-2.0 */
/* The host's terminal: see terminal.h and termios(3). */
#include "terminal.h"

#include <linux/kcmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

#define TERMINAL_CC 19 /* entries of c_cc in the kernel's struct termios */

static struct termios terminal_before;
static bool terminal_changed;

bool terminal_size(unsigned *rows, unsigned *columns)
{
    for (int fd = 0; fd < 3; fd++) {
        struct winsize w;
        if (ioctl(fd, TIOCGWINSZ, &w) == 0 && w.ws_row && w.ws_col) {
            *rows = w.ws_row;
            *columns = w.ws_col;
            return true;
        }
    }
    return false;
}

const char *terminal_kind(int fd)
{
    struct stat st;
    if (isatty(fd))
        return "tty";
    if (fstat(fd, &st) < 0 || (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3)))
        return "null";
    return "pipe";
}

bool terminal_shared(void)
{
    struct stat out, err;
    if (fstat(STDOUT_FILENO, &out) < 0 || fstat(STDERR_FILENO, &err) < 0 ||
        out.st_dev != err.st_dev || out.st_ino != err.st_ino)
        return false;
    pid_t self = getpid();
    return !S_ISREG(out.st_mode) || /* each file opened twice has a position of its own */
           syscall(SYS_kcmp, self, self, KCMP_FILE, STDOUT_FILENO, STDERR_FILENO) == 0;
}

static void terminal_set(const struct termios *t)
{
    /* From the background tcsetattr would stop us. */
    void (*before)(int) = signal(SIGTTOU, SIG_IGN);
    tcsetattr(STDIN_FILENO, TCSANOW, t); /* what came before was written before */
    signal(SIGTTOU, before);
}

void terminal_apply(const char *text)
{
    static bool registered;
    unsigned flags[4], cc;
    int used;
    struct termios t;
    if (tcgetattr(STDIN_FILENO, &t) < 0 ||
        sscanf(text, "%x %x %x %x %n", &flags[0], &flags[1], &flags[2], &flags[3], &used) != 4)
        return;
    if (!terminal_changed)
        terminal_before = t;
    if (!registered)
        atexit(terminal_restore);
    registered = terminal_changed = true;
    t.c_iflag = flags[0];
    t.c_oflag = flags[1];
    t.c_lflag = flags[3]; /* flags[2] is the line's speed and format: the real terminal's own */
    for (size_t i = 0; i < TERMINAL_CC && sscanf(text + used + 2 * i, "%2x", &cc) == 1; i++)
        t.c_cc[i] = (cc_t)cc;
    terminal_set(&t);
}

void terminal_restore(void)
{
    if (terminal_changed)
        terminal_set(&terminal_before);
    terminal_changed = false;
}
