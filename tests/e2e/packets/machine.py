# SPDX-License-Identifier: Apache-2.0
"""The machine under test, a TCP peer spoken by hand, and the runner of scripts."""
import json
import os
import select
import struct
import subprocess
import sys
import time
import traceback

from wire import *

MSS, SACK_OK, TIMESTAMPS = b"\2\4\5\xb4", b"\4\2", b"\x08\x0a"


def scale(n):
    return b"\1\3\3" + bytes([n])


class Machine:
    """The program guest.c, in a machine of ours (OPS) or as a process on this host."""

    def __init__(self, host, directory, options=()):
        program = directory + "/guest-program"
        if host:
            self.wire = Wire(tap="cable")
            command = [program]
        else:
            self.wire = Wire(directory)
            command = [os.environ["OPS"], "run", *options, program]
        self.errors = open(directory + "/guest-err", "w+")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors)
        self.port, self.buffer = 20000 + os.getpid() % 20000, b""
        self.listeners = {}
        self.on_host, self.directory, self.monitor = host, directory, None

    def start(self):
        line = self.line(60)
        assert line == "ready", f"the program said {line}"
        self.wire.ping()
        return self

    def line(self, timeout=PATIENCE):
        """The program's next line; the wire's chores are done meanwhile, other frames kept."""
        end = time.monotonic() + timeout
        while b"\n" not in self.buffer:
            left = end - time.monotonic()
            assert left > 0, "the program says nothing"
            ready = select.select([self.process.stdout, self.wire.fd], [], [], left)[0]
            if self.wire.fd in ready:
                p = self.wire.receive(0)
                if p:
                    self.wire.late.append(p)
            if self.process.stdout in ready:
                piece = os.read(self.process.stdout.fileno(), 65536)
                assert piece, f"the machine ended: {self.said()}"
                self.buffer += piece
        text, _, self.buffer = self.buffer.partition(b"\n")
        return text.decode()

    def tell(self, *words):
        self.process.stdin.write((" ".join(str(w) for w in words) + "\n").encode())
        self.process.stdin.flush()

    def ask(self, *words):
        """What the program answers: a number, or its words."""
        self.tell(*words)
        text = self.line()
        return int(text) if text.lstrip("-").isdigit() else text

    def said(self):
        self.errors.seek(0)
        return self.errors.read()[-2000:]

    def end(self):
        """The status; the program ends with its input."""
        self.process.stdin.close()
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return None

    def qmp(self, command, **arguments):
        """Of QEMU's monitor, which is there when the machine runs."""
        if not self.monitor:
            s = socket.socket(socket.AF_UNIX)
            s.connect(self.directory + "/qmp")
            self.monitor = s.makefile("rw")
            self.qmp("qmp_capabilities")
        self.monitor.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.monitor.flush()
        while '"return"' not in (line := self.monitor.readline()):
            assert line and '"error"' not in line, line

    def listener(self, port, backlog=64):
        if port not in self.listeners:
            self.listeners[port] = self.ask("listen", port, backlog)
        return self.listeners[port]

    def new_port(self):
        self.port += 1
        return self.port


class Peer:
    """One connection's other end. seq and ack are ours: what we send next, what we await."""

    def __init__(self, m, guest_port, port=None, src=HOST4, dst=GUEST4):
        self.m, self.wire, self.src, self.dst = m, m.wire, src, dst
        self.guest_port, self.port = guest_port, port or m.new_port()
        self.seq, self.ack, self.window, self.stamps = 1000000, 0, 65535, False
        self.fd = None

    def send(self, flags, data=b"", seq=None, ack=None, options=b"", window=None, **more):
        seq = self.seq if seq is None else seq
        ack = self.ack if ack is None else ack
        self.wire.send(tcp(self.src, self.dst, self.port, self.guest_port, seq, ack, flags,
                           self.window if window is None else window, options, data, **more))

    def push(self, data, flags=ACK | PSH, **more):
        """Data in order."""
        self.send(flags, data, **more)
        self.seq += len(data) + (flags & FIN)

    def mine(self, p):
        return p.protocol == 6 and (p.sport, p.dport) == (self.guest_port, self.port) and p.src == self.dst

    def next(self, timeout=PATIENCE, what="segment"):
        return self.wire.expect(self.mine, what, timeout)

    def expect(self, flags, seq=None, ack=None, size=None, timeout=PATIENCE, pushed=False):
        """The next segment, which must be this one. PSH counts only if asked for."""
        p = self.next(timeout, f"segment with flags {flags:#x}")
        mask = 0xFF if pushed else 0xFF & ~PSH
        assert p.flags & mask == flags & mask, f"flags, not {flags:#x}: {p}"
        if seq is not None:
            assert p.seq == seq & 0xFFFFFFFF, f"seq, not {seq & 0xFFFFFFFF}: {p}"
        if ack is not None:
            assert p.ack == ack & 0xFFFFFFFF, f"ack, not {ack & 0xFFFFFFFF}: {p}"
        if size is not None:
            assert len(p.data) == size, f"length, not {size}: {p}"
        return p

    def silent(self):
        """Nothing was answered at once."""
        late, self.wire.late = self.wire.late, []
        for p in late + self.wire.ping(self.src, self.dst) if is6(self.src) else late + self.wire.ping():
            assert not self.mine(p), f"not silent: {p}"

    def drain(self):
        self.wire.late = []
        return [p for p in self.wire.ping() if self.mine(p)]

    def syn(self, options=MSS):
        self.send(SYN, options=options, ack=0)
        self.seq += 1
        p = self.expect(SYN | ACK, ack=self.seq, size=0)
        self.ack = p.seq + 1
        return p

    def open(self, options=MSS):
        """We connect; the program has it as self.fd."""
        listener = self.m.listener(self.guest_port)
        p = self.syn(options)
        self.send(ACK)
        self.fd = self.m.ask("accept", listener)
        assert isinstance(self.fd, int), f"accept: {self.fd}"
        return p

    def connect(self, options=MSS, **more):
        """The program connects to us."""
        self.fd = self.m.ask("connect", self.src, self.port, self.guest_port)
        assert isinstance(self.fd, int), f"connect: {self.fd}"
        p = self.expect(SYN, size=0)
        self.ack = p.seq + 1
        self.send(SYN | ACK, options=options, **more)
        self.seq += 1
        self.expect(ACK, seq=self.ack, ack=self.seq, size=0)
        assert self.ask("connected") == 0
        return p

    def ask(self, verb, *words):
        return self.m.ask(verb, self.fd, *words)

    def take(self, size, acknowledge=True):
        """So many bytes in order, acknowledged; the segments."""
        got = []
        while sum(len(p.data) for p in got) < size:
            p = self.next(what=f"data, {size} bytes")
            assert p.seq == self.ack & 0xFFFFFFFF, f"seq, not {self.ack & 0xFFFFFFFF}: {p}"
            got.append(p)
            self.ack += len(p.data)
            if acknowledge:
                self.send(ACK)
        return got

    def alive(self, data=b"alive"):
        """The connection still works: the next bytes that the program reads are these."""
        self.push(data)
        total = 0
        for byte in data:
            total = (total * 31 + byte) & 0xFFFFFFFF
        got = self.ask("recv", len(data))
        assert got == f"{len(data)} {total}", f"the program read {got}, not {data}"

    def reset(self):
        self.send(RST | ACK)
        if self.fd is not None:
            self.m.ask("close", self.fd)


def run(module, arguments):
    """scripts.py [--host] DIRECTORY [NAME...]: every test_ function of the module, on one machine."""
    host = "--host" in arguments
    words = [a for a in arguments if a != "--host"]
    directory, names = words[0], words[1:]
    m = Machine(host, directory, module.get("OPTIONS", ()))
    if "prepare" in module:
        module["prepare"](m)
    m.start()
    failed = 0
    for name, function in list(module.items()):
        if not name.startswith("test_") or names and name[5:] not in names:
            continue
        begin = time.monotonic()
        try:
            function(m)
            print(f"ok {name[5:]} ({time.monotonic() - begin:.1f} s)", flush=True)
        except AssertionError as e:
            failed += 1
            where = traceback.extract_tb(e.__traceback__)
            lines = [f.lineno for f in where if f.filename.endswith(os.path.basename(module["__file__"]))]
            print(f"not ok {name[5:]}, line {lines[-1] if lines else 0}: {e}", flush=True)
            if m.process.poll() is not None:
                print("the machine ended: " + m.said())
                break
    status = m.end()
    if status:
        print(f"the machine ended with {status}: {m.said()}")
        failed += 1
    sys.exit(1 if failed else 0)
