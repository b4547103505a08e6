/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The streams between `ops` and the kernel: ports of one virtio-console
 * (virtio 1.2 §5.3, VIRTIO_CONSOLE_F_MULTIPORT), found by name, each a
 * `virtserialport` of QEMU.
 *
 *   ops.stdin    host to guest: the program's standard input. The host closing
 *                its end (PORT_OPEN 0) is end of file.
 *   ops.stdout   guest to host
 *   ops.stderr   guest to host
 *   ops.core     guest to host, only with the manifest's `core`: an ELF core file
 *   ops.control  both ways: the lines below, each ended by '\n', fields
 *                separated by one space, at most OPS_CONTROL_LINE bytes; text
 *                is the rest of the line with the manifest's escapes.
 *
 *   ops.instance both ways, only in a machine with a name, and there before ops.control:
 *                requests, each answered by a line `ok` or `error TEXT`:
 *                  mount SPEC    as the manifest's `mount`; waits for the disk a while
 *                  unmount NAME  the volume with that label or UUID
 *                  read WHAT     before the `ok` the lines of a text, each behind a space and
 *                                escaped: meminfo, net/dev, net/tcp, net/tcp6, stat, uptime
 *                                or loadavg as in proc(5); `log`, the kernel's last lines;
 *                                `threads`, a line each: id, state (R or S), CPU, ns of CPU
 *                                time, switches, name; `syscalls`, a line `NAME COUNT` for each
 *                                call the program has made, by number
 *                  trace SET     system calls of a set as in the manifest's `trace`: behind
 *                                the `ok` a line ` TEXT` for each, until the host closes its
 *                                end; `lost N` where the host was too slow for N of them
 *
 * Guest to host:
 *   log LEVEL TEXT        one kernel log line; LEVEL as in the manifest's `log`
 *   trace TEXT            one decoded system call
 *   phase NAME NS         with the manifest's `phases`: a part of the boot was done that long
 *                         after power-on (kernel/core/phase.h, in this order)
 *   started PATH          the program is loaded and about to run; before it only `log` and `phase`
 *   unsupported NAME      the program made a system call nobody implements (once a call)
 *   refused NAME ADDRESS  the program asked for a second process (the first time): the call, and
 *                         where in the program, in hexadecimal
 *   listening PORT        the program listens on a TCP port
 *   termios AT I O C L CC the program set the terminal's modes behind byte AT of ops.stdout, whose
 *                         next byte comes after this line: the four flag words in
 *                         hexadecimal, then c_cc as 2 * 19 hexadecimal digits
 *   crash TEXT            before `killed`: registers, and the mapping that was touched
 *   frame HOW ADDRESS OFFSET PATH
 *                         before `killed`: one line of the backtrace, innermost first,
 *                         numbers in hexadecimal. HOW is pc, call (by frame pointers)
 *                         or scan (found on the stack, perhaps not a caller); OFFSET
 *                         is into the file PATH, empty where no file is mapped
 *   killed SIGNAL TEXT    a signal ended the program: its number and the reason
 *   panic TEXT            the kernel gave up: the reason; registers and backtrace
 *                         are on the serial line
 *   exit STATUS           the program ended, 0..255 (killed by signal n: 128 + n).
 *                         The last line; the machine powers off after it.
 *
 * Host to guest:
 *   signal N              deliver signal N to the program (Ctrl-C is 2)
 *   winsize ROWS COLUMNS  the terminal's size changed; SIGWINCH follows
 *
 * Without the device (a disk booted in a cloud) the streams are the serial line
 * and the last line there is `ops: exit status N`; where QEMU's isa-debug-exit
 * (port OPS_DEBUG_EXIT_PORT) exists the kernel ends with it, writing
 * OPS_DEBUG_EXIT_DONE, so that QEMU's own status is DONE * 2 + 1.
 */
#pragma once

#define OPS_PORT_STDIN    "ops.stdin"
#define OPS_PORT_STDOUT   "ops.stdout"
#define OPS_PORT_STDERR   "ops.stderr"
#define OPS_PORT_CONTROL  "ops.control"
#define OPS_PORT_CORE     "ops.core"
#define OPS_PORT_INSTANCE "ops.instance"
#define OPS_CONTROL_LINE  4096

#define OPS_DEBUG_EXIT_PORT  0x501 /* QEMU's default for isa-debug-exit */
#define OPS_DEBUG_EXIT_DONE  0x10  /* the program ended, its status is in `exit` */
#define OPS_DEBUG_EXIT_PANIC 0x11  /* the kernel panicked */
