# SPDX-License-Identifier: Apache-2.0
"""Data of TCP connections: loss, order, windows (RFC 9293, 5681, 2018, 6298)."""
import sys

from machine import *


def blocks(p):
    raw = p.options.get(5, b"")
    return [struct.unpack("!II", raw[i:i + 8]) for i in range(0, len(raw), 8)]


def test_segments(m):
    """Segments of our MSS, PSH at the end of what was written, our window kept."""
    c = Peer(m, 8080)
    c.window = 4000
    c.open(b"\2\4" + struct.pack("!H", 1000))
    assert c.ask("send", 10000) == 10000
    got = []
    while len(got) < 10:
        p = c.expect(ACK, seq=c.ack, size=1000)
        got.append(p)
        c.ack += 1000
        c.send(ACK)
    assert got[-1].flags & PSH, got[-1]
    c.reset()


def test_window_kept(m):
    """Not a byte beyond the window."""
    c = Peer(m, 8080)
    c.window = 3000
    c.open(b"\2\4" + struct.pack("!H", 1000))
    assert c.ask("send", 10000) == 10000
    end = c.ack + 3000
    first = [c.expect(ACK, size=1000) for _ in range(3)]
    assert [p.seq for p in first] == [(c.ack + i * 1000) & 0xFFFFFFFF for i in range(3)]
    for p in c.drain():
        assert p.seq + len(p.data) <= end, p
    c.reset()


def test_rto(m):
    """Unacknowledged data is repeated, each time later."""
    c = Peer(m, 8080)
    c.open()
    assert c.ask("send", 500) == 500
    times = [c.expect(ACK, seq=c.ack, ack=c.seq, size=500).time for _ in range(4)]
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert gaps[0] >= 0.15, gaps
    for a, b in zip(gaps, gaps[1:]):
        assert 1.5 <= b / a <= 2.7, gaps
    c.ack += 500
    c.send(ACK)
    c.silent()
    c.reset()


def lose_first(m, options):
    c = Peer(m, 8080)
    c.open(options)
    assert c.ask("send", 8000) == 8000
    first = c.expect(ACK, seq=c.ack)
    more = []
    while sum(len(p.data) for p in more) < 8000 - len(first.data):
        more.append(c.expect(ACK))
    return c, first, more


def test_fast_retransmit(m):
    """Three duplicate ACKs: the missing segment comes at once, before a timeout."""
    c, first, more = lose_first(m, b"\2\4" + struct.pack("!H", 1000))
    for p in more:
        c.send(ACK)
    again = c.expect(ACK, seq=first.seq)
    assert len(again.data) == len(first.data)
    assert again.time - more[-1].time < 0.19, again.time - more[-1].time
    c.ack += 8000
    c.send(ACK)
    c.drain()
    c.reset()


def test_two_duplicates(m):
    """Two of them are not enough."""
    c, first, more = lose_first(m, b"\2\4" + struct.pack("!H", 1000))
    c.send(ACK)
    c.send(ACK)
    c.silent()
    c.ack += 8000
    c.send(ACK)
    c.reset()


def test_partial_ack(m):
    """A part acknowledged: the rest, and only that, comes again."""
    c, first, more = lose_first(m, b"\2\4" + struct.pack("!H", 1000))
    c.ack += 4000
    c.send(ACK)
    c.expect(ACK, seq=c.ack)
    c.ack += 4000
    c.send(ACK)
    c.drain()
    c.silent()
    c.reset()


def test_hole(m):
    """Data after a hole: duplicate ACKs with SACK blocks, newest first; the hole filled, one ACK for all."""
    c = Peer(m, 8080)
    c.open(MSS + SACK_OK)
    c.send(ACK | PSH, b"c" * 100, seq=c.seq + 200)
    p = c.expect(ACK, ack=c.seq)
    assert blocks(p) == [(c.seq + 200, c.seq + 300)], p
    c.send(ACK | PSH, b"e" * 100, seq=c.seq + 400)
    p = c.expect(ACK, ack=c.seq)
    assert blocks(p) == [(c.seq + 400, c.seq + 500), (c.seq + 200, c.seq + 300)], p
    c.send(ACK | PSH, b"d" * 100, seq=c.seq + 300)
    p = c.expect(ACK, ack=c.seq)
    assert blocks(p) == [(c.seq + 200, c.seq + 500)], p
    c.send(ACK | PSH, b"a" * 200)
    p = c.expect(ACK, ack=c.seq + 500)
    assert not blocks(p), p
    assert c.ask("recv", 500).split()[0] == "500"
    c.seq += 500
    c.reset()


def test_hole_without_sack(m):
    c = Peer(m, 8080)
    c.open(MSS)
    c.send(ACK | PSH, b"c" * 100, seq=c.seq + 200)
    assert not c.expect(ACK, ack=c.seq).options
    c.reset()


def test_overlap(m):
    """Old and new bytes in one segment: the new ones count, the old ones stay as they were."""
    c = Peer(m, 8080)
    c.open()
    c.push(b"abc")
    c.expect(ACK, ack=c.seq)
    c.send(ACK | PSH, b"XXXdef", seq=c.seq - 3)
    c.seq += 3
    c.expect(ACK, ack=c.seq)
    c.seq -= 6
    want = 0
    for byte in b"abcdef":
        want = (want * 31 + byte) & 0xFFFFFFFF
    assert c.ask("recv", 6) == f"6 {want}"
    c.seq += 6
    c.reset()


def test_old_data(m):
    """Data received already is answered with an ACK at once."""
    c = Peer(m, 8080)
    c.open()
    c.push(b"abc")
    c.expect(ACK, ack=c.seq)
    c.send(ACK | PSH, b"abc", seq=c.seq - 3)
    c.expect(ACK, ack=c.seq)
    c.reset()


def test_fin_before_hole(m):
    """A FIN after a hole counts when the hole is filled."""
    c = Peer(m, 8080)
    c.open()
    c.send(FIN | ACK, b"def", seq=c.seq + 3)
    c.expect(ACK, ack=c.seq)
    c.send(ACK | PSH, b"abc")
    c.expect(ACK, ack=c.seq + 7)
    assert c.ask("recv", 10).split()[0] == "6"
    c.seq += 7
    c.reset()


def test_zero_window(m):
    """Our window shut: probes, each time later, until it opens; then the data."""
    c = Peer(m, 8080)
    c.open()
    c.push(b"x")
    c.push(b"x", window=0)
    while c.expect(ACK).ack != c.seq:
        pass
    assert c.ask("send", 5000) == 5000
    times = []
    for _ in range(3):
        p = c.next(what="window probe")
        assert len(p.data) <= 1 and p.seq in (c.ack, c.ack - 1), p
        times.append(p.time)
        c.send(ACK, window=0)
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert gaps[1] > gaps[0] * 1.3, gaps
    c.window = 20000
    c.send(ACK)
    c.take(5000)
    c.reset()


def test_window_update(m):
    """The window shuts as data stays unread, and opens when the program reads."""
    c = Peer(m, 8080)
    listener = m.listener(8080)
    assert m.ask("option", listener, 1, 8, 8192) == 0  # SO_RCVBUF
    c.open()
    assert m.ask("option", listener, 1, 8, 262144) == 0
    total, window, seen = 0, 65535, 0
    while window >= 1000 and total < 1000000:
        c.push(b"d" * 1000)
        total += 1000
        p = c.expect(ACK)
        while p.ack != c.seq:
            p = c.expect(ACK)
        window = p.window
    assert total < 200000, f"{total} bytes and window {window}"
    c.ask("recv", total)
    p = c.next(what="window update")
    while p.window < 2000:
        p = c.next(what="window update")
    c.alive()
    c.reset()


def test_window_cuts_fin(m):
    """A window that ends inside the last segment: the FIN comes after the last byte, not before."""
    c = Peer(m, 8080)
    c.open()
    c.push(b"x")
    c.push(b"x", window=0)
    while c.expect(ACK).ack != c.seq:
        pass
    assert c.ask("send", 1000) == 1000
    assert c.ask("shut", 1) == 0
    c.window = 300
    start, got = c.ack, 0
    c.send(ACK)
    while True:
        p = c.next(what="data and FIN")
        at = p.seq - start & 0xFFFFFFFF
        if at == 0xFFFFFFFF:
            c.send(ACK)
            continue
        assert not p.flags & FIN or at + len(p.data) == 1000, f"FIN at {at}: {p}"
        if at + len(p.data) > got and at <= got:
            got = at + len(p.data)
        c.ack = start + got + (1 if p.flags & FIN else 0)
        c.send(ACK)
        if p.flags & FIN:
            break
    c.reset()


def test_window_shut_on_lost_data(m):
    """Data is lost, the window shuts on it, and all is acknowledged after all: probes end (lwIP asserts there)."""
    c = Peer(m, 8080)
    c.open()
    assert c.ask("send", 500) == 500
    c.expect(ACK, seq=c.ack, size=500)
    c.push(b"x")
    c.push(b"y", window=0)
    for _ in range(4):  # acknowledgements, then the repetition or a probe
        p = c.next()
        if p.data:
            break
    c.ack += 500
    c.send(ACK, window=0)
    clock = Peer(m, 8080)
    clock.syn()
    clock.expect(SYN | ACK)  # again: a second has passed, and another two
    clock.expect(SYN | ACK)
    clock.send(RST)
    c.send(ACK)
    assert c.ask("recv", 2).split()[0] == "2"
    c.alive()
    c.reset()


def test_shrinking_window(m):
    """A window that is taken back (RFC 9293 3.8.6): nothing breaks, and the data arrives when it opens."""
    c = Peer(m, 8080)
    c.window = 8000
    c.open(b"\2\4" + struct.pack("!H", 1000))
    assert c.ask("send", 20000) == 20000
    c.expect(ACK, seq=c.ack)
    start = c.ack
    c.ack += 1000
    c.send(ACK, window=0)
    c.send(ACK, window=10)
    c.drain()
    c.window, end = 60000, start + 20000
    c.send(ACK)
    while c.ack != end:
        p = c.next()
        if p.seq == c.ack & 0xFFFFFFFF:
            c.ack += len(p.data)
        c.send(ACK)
    c.reset()


def test_small_mss(m):
    """An MSS of 1 is not believed (Linux sends at least 48 - 20 - 20 bytes): no storm of segments."""
    c = Peer(m, 8080)
    c.open(b"\2\4\0\1")
    assert c.ask("send", 64) == 64
    sizes = [len(p.data) for p in c.take(64)]
    assert len(sizes) <= 10, sizes
    c.reset()


def test_timestamps(m):
    """TSecr is the newest TSval that was in order; an older TSval brings nothing in (PAWS)."""
    c = Peer(m, 8080)

    def stamp(value):
        return b"\1\1" + TIMESTAMPS + struct.pack("!II", value, 0)
    c.open(MSS + TIMESTAMPS + struct.pack("!II", 1000, 0))
    c.push(b"abc", options=stamp(1010))
    p = c.expect(ACK, ack=c.seq)
    assert p.options[8][4:] == struct.pack("!I", 1010), p
    c.send(ACK | PSH, b"evil", options=stamp(900))
    p = c.expect(ACK, ack=c.seq)
    assert p.options[8][4:] == struct.pack("!I", 1010), p
    c.push(b"def", options=stamp(1011))
    c.expect(ACK, ack=c.seq)
    want = 0
    for byte in b"abcdef":
        want = (want * 31 + byte) & 0xFFFFFFFF
    assert c.ask("recv", 6) == f"6 {want}"
    c.send(RST)
    m.ask("close", c.fd)


def test_urgent(m):
    """An urgent pointer anywhere does no harm."""
    c = Peer(m, 8080)
    c.open()
    c.send(ACK | URG, b"u", urgent=65535)
    c.seq += 1
    c.expect(ACK, ack=c.seq)
    c.reset()


def test_urgent_in(m):
    """A pointer to a byte that comes later, or comes again; a second one that is older."""
    c = Peer(m, 8080)
    c.open()
    c.push(b"abc", flags=ACK | PSH | URG, urgent=5)
    c.expect(ACK, ack=c.seq)
    assert c.ask("oob") == "-EAGAIN"
    c.push(b"de")
    c.expect(ACK, ack=c.seq)
    assert c.ask("oob") == f"{ord('e')} 0"
    assert c.ask("oob") == "-EINVAL"
    c.push(b"f", flags=ACK | URG, urgent=0)
    c.expect(ACK, ack=c.seq)
    assert c.ask("oob") == f"{ord('f')} 0"
    c.seq -= 3
    c.push(b"def", flags=ACK | URG, urgent=1)
    c.expect(ACK, ack=c.seq)
    assert c.ask("oob") == "-EINVAL"
    want = 0
    for byte in b"abcde":
        want = (want * 31 + byte) & 0xFFFFFFFF
    assert c.ask("recv", 5) == f"5 {want}"
    c.reset()


def test_urgent_out(m):
    """URG in all segments up to the urgent byte, pointing behind it, sent again too; then no more."""
    c = Peer(m, 8080)
    c.open(b"\2\4" + struct.pack("!H", 1000))
    assert c.ask("urgent", 2500) == 2500
    seen = set()
    while len(seen) < 3:
        p = c.next()
        at = (p.seq - c.ack) & 0xFFFFFFFF
        assert p.flags & URG and p.urgent == 2500 - at, (str(p), p.urgent)
        seen.add(at)
    p = c.next()  # again
    assert p.flags & URG and p.urgent == 2500 - (p.seq - c.ack & 0xFFFFFFFF), (str(p), p.urgent)
    c.ack += 2500
    c.send(ACK)
    c.drain()
    assert c.ask("send", 100) == 100
    p = c.expect(ACK, seq=c.ack, size=100)
    assert not p.flags & URG and not p.urgent, p
    c.reset()


def test_path_mtu(m):
    """"Fragmentation needed" for a segment of ours: it comes again, shorter, and so do all others."""
    c = Peer(m, 8080, src=FAR4)
    c.open()
    assert c.ask("send", 6000) == 6000
    first = c.expect(ACK, seq=c.ack, size=1460)
    assert first.frag & 0x4000, "DF is not set"
    c.drain()
    m.wire.send(icmp(HOST4, GUEST4, 3, 4, struct.pack("!HH", 0, 1000) + first.ip[:28]))
    end = c.ack + 6000
    while c.ack != end:
        p = c.next()
        assert len(p.data) <= 960, p
        if p.seq == c.ack & 0xFFFFFFFF:
            c.ack += len(p.data)
            c.send(ACK)
    c.reset()


def test_path_mtu_forged(m):
    """For a number that is not under way, or a size below 552, it is not believed."""
    c = Peer(m, 8080, src="192.0.2.8")
    c.open()
    assert c.ask("send", 3000) == 3000
    first = c.expect(ACK, seq=c.ack, size=1460)
    c.drain()
    quote = bytearray(first.ip[:28])
    quote[24:28] = struct.pack("!I", c.ack + (1 << 20) & 0xFFFFFFFF)
    m.wire.send(icmp(HOST4, GUEST4, 3, 4, struct.pack("!HH", 0, 600) + bytes(quote)))
    assert c.ask("info").split()[1] == "1460"
    m.wire.send(icmp(HOST4, GUEST4, 3, 4, struct.pack("!HH", 0, 68) + first.ip[:28]))
    c.drain()
    assert c.ask("info").split()[1] == "512"
    c.reset()


def test_bursts(m):
    """What was sent closely together leaves even if the program does nothing but compute then."""
    for times in 1, 2, 3, 7, 8, 9, 30:
        c = Peer(m, 8080)
        c.open()
        assert c.ask("option", 6, 1, 1) == 0  # TCP_NODELAY
        begin = time.monotonic()
        m.tell("burst", c.fd, times, 1500)
        c.take(times, acknowledge=False)
        took = time.monotonic() - begin
        assert took < 1, f"{times} segments took {took:.1f} s"
        assert m.line() == "0"
        c.send(ACK)
        c.reset()


def test_unreachable(m):
    """ICMP about an established connection does not end it."""
    c = Peer(m, 8080)
    c.open()
    assert c.ask("send", 100) == 100
    p = c.expect(ACK, seq=c.ack)
    for code in 0, 1, 2, 3, 13:
        m.wire.send(icmp(HOST4, GUEST4, 3, code, b"\0\0\0\0" + p.ip[:28]))
    c.ack += 100
    c.send(ACK)
    c.alive()
    c.reset()


if __name__ == "__main__":
    run(globals(), sys.argv[1:])
