#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Programs on a terminal, driven through a pseudo-terminal: line editing, Ctrl-C, Ctrl-D, Ctrl-Z,
# the window's size. Each script passes on the host first.
. "$(dirname "$0")/lib.sh"

# session PROGRAM...: the script on stdin, with the host's program and in a machine; HOST=no: only there.
session() {
    cat >script
    unset PYTHONSTARTUP
    export TERM=xterm LC_ALL=C.UTF-8
    [ "${HOST-}" = no ] || timeout 120 python3 "$E2E_DIR/terminal.py" script "$@" 2>why || fail "on the host: $(cat why)"
    timeout 300 python3 "$E2E_DIR/terminal.py" script "$OPS" run "$@" 2>why || fail "$(cat why)"
}

test_python() {
    session /usr/bin/python3 -q <<'END'
expect(">>> ")
send("6*7\r")
expect(r"\n42\r?\n")
expect(">>> ")
send("print('abX')\x1b[D\x1b[D\x7fc\r")      # cursor left twice, delete, insert
expect(r"\nabc\r?\n|\nacX\r?\n|\nab.*\r?\n")
expect(">>> ")
send("\x1b[A\r")                             # the line before
expect(r"\nab.*\r?\n")
expect(">>> ")
send("exec(\"print('lo' + 'op')\\nwhile True: pass\")\r")
expect(r"\nloop\r?\n")                      # it runs: readline may lose a signal at its prompt
send("\x03")
expect("KeyboardInterrupt")
expect(">>> ")
send("import os; print(os.get_terminal_size())\r")
expect(r"columns=80, lines=24")
expect(">>> ")
resize(40, 123)
send("[print(os.get_terminal_size()) for _ in iter(lambda: os.get_terminal_size().columns, 123)] and 0; print('wide', os.get_terminal_size().columns)\r")
expect(r"\nwide 123\r?\n")
expect(">>> ")
send("\x04")
finish(0)
END
}

test_sqlite() {
    [ -x /usr/bin/sqlite3 ] || skip "no sqlite3"
    session /usr/bin/sqlite3 <<'END'
expect("sqlite> ")
send("select 40 + 2;\r")
expect(r"[\r\n]42\r?\n")
expect("sqlite> ")
send("select 'pasX\x7f\x7fst';\r")
expect(r"[\r\n]past\r?\n")
expect("sqlite> ")
send("select 'not', \r")
expect(r"\.\.\.> ")
send("'done';\r")
expect(r"not\|done")
expect("sqlite> ")
send("\x04")
finish(0)
END
}

test_vi() {
    [ -x /bin/busybox ] || skip "no busybox"
    printf 'one\ntwo\nthree\n' >text
    echo '{"Files": ["$PWD/text"]}' >ops.json
    session /bin/busybox vi "$T/text" <<'END'
expect("three")
send("jddihello ")                           # the second line away, text before the third
expect("hello")
send("\x1b")
expect("- ")                                 # the status line: no longer inserting
resize(30, 100)
expect(r"hello three(.|\n)*\x1b\[30;1H")     # drawn anew, to the new last line
send(":q!\r")
finish(0)
END
}

# Cooked: the host's terminal makes the signals.
test_interrupt() {
    session /usr/bin/python3 -c 'import signal, time
signal.signal(signal.SIGINT, signal.SIG_DFL)
print("ready", flush=True)
time.sleep(1000)' <<'END'
expect("ready")
send("\x03")
finish(130 if sys.argv[2].endswith("/ops") else -2)
END
    session /bin/cat <<'END'
send("line\r")
expect("line\r?\nline\r?\n")
send("gone\x15kept\r")                       # the line is edited by the terminal
expect(r"\nkept\r?\n")
send("\x04")
finish(0)
END
}

test_suspend_is_refused() {
    HOST=no session /bin/cat <<'END'
send("a\r")
expect("a\r?\na\r?\n")
send("\x1a")
expect("ops: a machine cannot be suspended; Ctrl-C ends its program\r?\n")
send("b\r")
expect("b\r?\nb\r?\n")
send("\x1a\x04")
finish(0)
if heard.count("cannot be suspended") != 1:
    sys.exit("said more than once")
END
}

# Who types on after a Ctrl-C wants the program to live.
test_interrupts_of_a_shell() {
    session /usr/bin/python3 -q <<'END'
expect(">>> ")
for i in range(10):
    send("exec(\"print('lo' + 'op')\\nwhile True: pass\")\r")
    expect(r"\nloop\r?\n")
    send("\x03")
    expect("KeyboardInterrupt")
    expect(">>> ")
send("6*7\r")
expect(r"\n42\r?\n")
expect(">>> ")
send("\x04")
finish(0)
END
}

# Output and error that are one file keep their order: a pipe, a file, the terminal.
test_one_output() {
    cc_program both <<'END'
#include <stdio.h>
#include <unistd.h>
int main(void)
{
    for (int i = 0; i < 2000; i++)
        dprintf(1 + i % 2, "%d\n", i);
    return 0;
}
END
    seq 0 1999 >want
    "$OPS" run ./both 2>&1 | cat >pipe
    cmp want pipe || fail "through a pipe"
    "$OPS" run ./both >file 2>&1 || fail "into a file"
    cmp want file || fail "into a file"
    "$OPS" run ./both >>twice 2>>twice || fail "into a file opened twice"
    sort -n twice | cmp want - || fail "into a file opened twice"
    session ./both <<'END'
finish(0)
if heard != "".join("%d\r\n" % i for i in range(2000)):
    sys.exit("out of order")
END
}

# What was typed before a password is asked for is no part of it.
test_typed_ahead_is_flushed() {
    session /usr/bin/python3 -c 'import sys, termios, time
def said():
    print("got", sys.stdin.readline(), flush=True)
print("type", flush=True)
time.sleep(2)
termios.tcflush(0, termios.TCIFLUSH)
print("go", flush=True)
said()
print("type", flush=True)
time.sleep(2)
t = termios.tcgetattr(0)
t[3] &= ~termios.ECHO
termios.tcsetattr(0, termios.TCSAFLUSH, t)
print("secret", flush=True)
said()
t[3] |= termios.ECHO
termios.tcsetattr(0, termios.TCSANOW, t)' <<'END'
expect("type")
send("lost\r")
expect("go")
send("kept\r")
expect("got kept")
expect("type")
send("lost too\r")
expect("secret")
send("word\r")
expect("\ngot word")
if heard.count("word") != 1:
    sys.exit("the word was echoed: %r" % heard)
finish(0)
END
}

# A program that is killed in raw mode leaves the terminal as it was.
test_modes_come_back() {
    HOST=no session --timeout 100 /usr/bin/python3 -c 'import tty, sys, os
tty.setraw(0)
print("raw", flush=True)
os.read(0, 1)
os.kill(os.getpid(), 9)' <<'END'
expect("raw")
send("x")
finish(137)
END
}

# SIGWINCH reaches the program by itself.
test_window_signal() {
    cc_program winch <<'END'
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>
int main(void)
{
    sigset_t set;
    int number;
    struct winsize w;
    sigemptyset(&set);
    sigaddset(&set, SIGWINCH);
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (int i = 0; i < 2; i++) {
        ioctl(0, TIOCGWINSZ, &w);
        printf("%d x %d\n", w.ws_row, w.ws_col);
        fflush(stdout);
        if (i == 0)
            sigwait(&set, &number);
    }
    return number == SIGWINCH ? 0 : 1;
}
END
    session ./winch <<'END'
expect("24 x 80")
resize(50, 132)
expect("50 x 132")
finish(0)
END
}

e2e_main "$@"
