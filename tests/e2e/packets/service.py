# SPDX-License-Identifier: Apache-2.0
"""A client that is served all the time while hostile frames go in between."""
import time

from machine import *

ECHO, CLIENT = 7000, "10.0.2.3"
STALL = 2.0  # seconds; or what fifty undisturbed rounds last, on a slow machine


class Service:
    """Rounds of one echo connection, and victims: connections that the hostile frames may know."""

    def __init__(self, m, victims=0, other=None):
        """other: a service that goes on meanwhile."""
        self.m, self.wire, self.other, self.limit = m, m.wire, other, None
        self.client = self.open(CLIENT if not other else "10.0.2.5")
        self.sent = self.since = self.best = 0.0
        self.rounds, self.worst, self.got = 0, 0.0, b""
        self.victims = {}
        self.begin()
        start = time.monotonic()
        while self.rounds < 50:
            self.turn(0.05)
        self.limit = max(STALL, time.monotonic() - start)
        self.worst = 0.0
        for _ in range(victims):
            self.victim()

    def open(self, src):
        c = Peer(self.m, ECHO, src=src)
        c.send(SYN, ack=0, options=MSS + SACK_OK)
        c.seq += 1
        end, again = time.monotonic() + PATIENCE, time.monotonic() + 1
        while not c.ack:
            p = self.wire.receive(0.05)
            if p and c.mine(p):
                assert p.flags == SYN | ACK, p
                c.ack = p.seq + 1
            elif p and self.other:
                self.other.take(p)
            if time.monotonic() > again:  # as a client would
                c.send(SYN, seq=c.seq - 1, ack=0, options=MSS + SACK_OK)
                again += 1
            assert time.monotonic() < end, "a new client is not let in"
        c.send(ACK)
        return c

    def begin(self):
        self.data = f"round {self.rounds} ".encode() * (1 + self.rounds % 90)
        self.got, self.since = b"", time.monotonic()
        self.repeat()

    def repeat(self):
        self.sent = time.monotonic()
        self.client.send(ACK | PSH, self.data)

    def victim(self):
        """Its handshake goes on as frames come."""
        c = Peer(self.m, ECHO, src="10.0.2.4")
        c.send(SYN, ack=0, options=MSS + SACK_OK)
        c.seq += 1
        self.victims[c.port] = c

    def take(self, p):
        if p.protocol != 6 or p.frag & 0x3FFF or p.sport != ECHO:
            return
        c = self.client
        if c.mine(p):
            assert not p.flags & (RST | FIN), f"the client's connection ended: {p}"
            if p.data and p.seq == c.ack & 0xFFFFFFFF:
                c.ack += len(p.data)
                self.got += p.data
                assert self.data.startswith(self.got), "wrong bytes came back"
                c.send(ACK, seq=c.seq + len(self.data))
        elif p.dport in self.victims and p.dst == "10.0.2.4":
            v = self.victims[p.dport]
            if p.flags & RST:
                del self.victims[p.dport]
                self.victim()
            else:
                v.ack = p.seq + len(p.data) + (1 if p.flags & (SYN | FIN) else 0)
                if p.flags & SYN:
                    v.send(ACK)
        elif self.other:
            self.other.take(p)

    def turn(self, timeout=0.0):
        """Frames that are there are taken; the round goes on."""
        p = self.wire.receive(timeout)
        while p:
            self.take(p)
            p = self.wire.receive(0)
        self.advance()
        if self.other:
            self.other.advance()

    def advance(self):
        now = time.monotonic()
        self.worst = max(self.worst, now - self.since)
        if self.got == self.data:
            self.client.seq += len(self.data)
            self.rounds += 1
            self.begin()
        elif now - self.sent > 0.25:
            self.repeat()
        if self.limit:
            assert now - self.since < self.limit, \
                f"no round ended for {self.limit:.1f} s" + self.ended()

    def ended(self):
        status = self.m.process.poll()
        return "" if status is None else f"; the machine ended with {status}: {self.m.said()}"

    def settle(self):
        """The answers to everything are here."""
        for p in self.wire.ping():
            self.take(p)

    def rest(self):
        """The round at hand ends, and no other begins."""
        end = time.monotonic() + PATIENCE
        while self.got != self.data:
            p = self.wire.receive(0.05)
            if p:
                self.take(p)
            elif time.monotonic() - self.sent > 0.25:
                self.repeat()
            assert time.monotonic() < end, "a round does not end" + self.ended()
        self.client.seq += len(self.data)
        self.rounds += 1
        self.settle()

    def objects(self):
        """The kernel's, by size, while this client has nothing under way."""
        self.rest()
        n = self.m.ask("objects")
        while self.wire.late:
            self.take(self.wire.late.pop(0))
        self.begin()
        return n

    def memory(self):
        """What is free; KiB."""
        n = self.m.ask("memory")
        while self.wire.late:
            self.take(self.wire.late.pop(0))
        return n


def objects_back(m, service, before, patience=150):
    """The kernel has the objects that it had, once timers have run out: not one is lost. Two may be new: DHCPv6's client
    begins when a router says so, and stays."""
    def more(now):
        a, b = ([int(n) for n in x.split()] for x in (now, before))
        return [x - y for x, y in zip(a, b) if x != y]
    end = time.monotonic() + patience
    while more(now := service.objects()) not in ([], [1, 1]):
        assert time.monotonic() < end, f"objects by size: {now}, not {before}"
        for _ in range(10):
            service.turn(0.05)


def memory_back(m, service, before, slack, patience=90):
    """What is free comes back, as timers run out."""
    end = time.monotonic() + patience
    while True:
        for _ in range(10):
            service.turn(0.05)
        lost = before - service.memory()
        if lost <= slack:
            return lost
        assert time.monotonic() < end, f"{lost} KiB are gone"
