# SPDX-License-Identifier: Apache-2.0
"""Many of one thing, while a client is served (security classes N1, N3, N4, N5)."""
import os
import sys

from service import *

OPTIONS = ("-m", "128M")
SLACK = 4096  # KiB


def served(m, frames, every=16, slack=SLACK):
    """All frames go out while the client's rounds go on; memory comes back. The service goes on."""
    s = Service(m)
    before = s.memory()
    for i, frame in enumerate(frames):
        m.wire.send(frame)
        if i % every == 0:
            s.turn()
    s.settle()
    begin = s.rounds
    while s.rounds < begin + 20:
        s.turn(0.05)
    memory_back(m, s, before, slack)
    s.client.send(RST | ACK)


def test_syn_flood(m):
    """Half-open connections are bounded: the oldest goes; a real client still gets in."""
    s = Service(m)
    before, lowest = s.memory(), None
    for i in range(20000):
        m.wire.send(tcp(f"10.{1 + i % 200}.{i // 200 % 200}.9", GUEST4, 1024 + i % 60000, ECHO, i * 77, 0, SYN, options=MSS))
        if i % 16 == 0:
            s.turn()
        if i % 5000 == 4999:
            s.settle()
            late = Service(m, other=s)  # opens, and is served
            late.client.send(RST | ACK)
            now = s.memory()
            lowest = now if lowest is None else min(lowest, now)
    assert before - lowest < 32768, f"{before - lowest} KiB"
    memory_back(m, s, before, SLACK)
    s.client.send(RST | ACK)


def test_rst_flood(m):
    served(m, (tcp(HOST4, GUEST4, i & 0xFFFF, ECHO, i * 7919, 0, RST) for i in range(10000)))


def test_ack_flood(m):
    """Answered with resets."""
    served(m, (tcp(HOST4, GUEST4, i & 0xFFFF, ECHO, i * 7919, i, ACK) for i in range(10000)))


def test_fragment_flood(m):
    """10000 datagrams that never end, of both families, overlapping in places."""
    def frames():
        for i in range(10000):
            yield ip4(HOST4, GUEST4, 17, b"x" * 1000, i & 0xFFFF, 0x2000 | (i % 5) * 100)
            if i % 4 == 0:
                yield ip6("fe80::1", own(m), 44, struct.pack("!BBHI", 17, 0, (i % 9) * 800 | 1, i) + b"x" * 1000)
    # Each family holds 4 MiB, for up to a minute.
    served(m, frames(), slack=SLACK if os.environ.get("PACKETS_LONG") else SLACK + 8192)


def own(m):
    mac = m.wire.guest_mac
    return socket.inet_ntop(socket.AF_INET6, bytes.fromhex("fe80000000000000") +
                            bytes([mac[0] ^ 2, mac[1], mac[2], 255, 254, mac[3], mac[4], mac[5]]))


def test_arp_flood(m):
    served(m, (udp(f"10.0.2.{20 + i % 230}", GUEST4, 5, 5998, b"") for i in range(5000)))


def test_out_of_order(m):
    """Every second byte of a window: what is held is bounded."""
    s = Service(m)
    before = s.memory()
    v = [Peer(m, ECHO, src="10.0.2.4") for _ in range(2)]
    for c in v:
        c.syn()
        c.send(ACK)
    for i in range(1500):
        for c in v:
            c.send(ACK, b"x", seq=c.seq + 2 * (1500 - i))
        s.turn()
    s.settle()
    lost = before - s.memory()
    assert lost < 40000, f"{lost} KiB held"
    for c in v:
        c.send(RST | ACK)
    memory_back(m, s, before, SLACK)
    s.client.send(RST | ACK)


def test_open_and_reset(m):
    """3000 connections that open, send half of something, and are reset."""
    s = Service(m)
    before = s.memory()
    for i in range(3000):
        c = Peer(m, ECHO, src="10.0.2.4", port=10000 + i)
        c.send(SYN, ack=0, options=MSS)
        while not c.ack:
            p = m.wire.receive(2)
            assert p, "no SYN|ACK"
            if c.mine(p):
                c.ack = p.seq + 1
            else:
                s.take(p)
        c.seq += 1
        c.send(ACK)
        c.push(b"half")
        c.send(RST)
        s.turn()
    memory_back(m, s, before, SLACK)
    s.client.send(RST | ACK)


if __name__ == "__main__":
    run(globals(), sys.argv[1:])
