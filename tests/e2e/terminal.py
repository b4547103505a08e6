#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Drives a program on a pseudo-terminal: terminal.py SCRIPT COMMAND...

SCRIPT is a file of Python lines that use send(text), expect(regular expression),
resize(rows, columns), modes() and finish(status).
"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

LIMIT = 60  # seconds until something expected is there

heard = ""
seen = 0


def size_set(rows, columns):
    fcntl.ioctl(0 if pid == 0 else fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def listen(until):
    """Reads what is there; False at the end of the terminal or of the time."""
    global heard
    left = until - time.monotonic()
    if left <= 0 or not select.select([fd], [], [], left)[0]:
        return False
    try:
        data = os.read(fd, 65536)
    except OSError:
        return False
    heard += data.decode("utf-8", "replace")
    return bool(data)


def send(text):
    os.write(fd, text.encode())


def expect(pattern):
    """Waits for the pattern behind what was matched before."""
    global seen
    until = time.monotonic() + LIMIT
    while True:
        found = re.search(pattern, heard[seen:])
        if found:
            seen += found.end()
            return found
        if not listen(until):
            sys.exit("not heard: %r; since the last: %r" % (pattern, heard[seen:][-600:]))


def absent(pattern):
    if re.search(pattern, heard):
        sys.exit("heard: %r" % pattern)


def resize(rows, columns):
    size_set(rows, columns)


def modes():
    """The terminal's modes now, as stty would have them."""
    return termios.tcgetattr(fd)


def finish(status):
    """The program ends, with this status, and the terminal is as it was."""
    until = time.monotonic() + LIMIT
    while listen(until):
        pass
    if time.monotonic() >= until:
        os.kill(pid, signal.SIGKILL)
        sys.exit("it does not end; heard last: %r" % heard[-600:])
    got = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if got != status:
        sys.exit("status %d, not %d; heard last: %r" % (got, status, heard[-600:]))
    if modes()[:4] != before[:4]:
        sys.exit("the terminal's modes were not put back")


pid, fd = pty.fork()
if pid == 0:
    size_set(24, 80)
    os.execvp(sys.argv[2], sys.argv[2:])
before = modes()
with open(sys.argv[1], encoding="utf-8") as script:
    exec(compile(script.read(), sys.argv[1], "exec"))
