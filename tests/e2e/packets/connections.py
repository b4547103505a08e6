# SPDX-License-Identifier: Apache-2.0
"""How TCP connections come and go, segment by segment (RFC 9293, RFC 5961)."""
import sys

from machine import *

TIME_WAIT_STATE, ESTABLISHED_STATE = 6, 1


def test_handshake_options(m):
    """What a SYN offers, the SYN|ACK answers; what it does not offer stays out."""
    m.listener(8080)
    c = Peer(m, 8080)
    p = c.syn(MSS + SACK_OK + TIMESTAMPS + struct.pack("!II", 77, 0) + scale(7))
    assert p.options[2] == struct.pack("!H", 1460), p
    assert 3 in p.options and 4 in p.options, p
    assert p.options[8][4:] == struct.pack("!I", 77), p
    c.send(RST)
    d = Peer(m, 8080)
    p = d.syn(MSS)
    assert set(p.options) == {2}, p
    d.send(RST)
    c.silent()


def test_handshake_guest(m):
    """The machine's own SYN: MSS, SACK, timestamps, window scale; then data both ways."""
    c = Peer(m, m.new_port())
    p = c.connect(MSS + SACK_OK + scale(7))
    assert p.options[2] == struct.pack("!H", 1460) and {3, 4, 8} <= set(p.options), p
    c.push(b"hello")
    assert c.ask("recv", 5).split()[0] == "5"
    assert c.ask("send", 3000) == 3000
    assert max(len(s.data) for s in c.take(3000)) == 1460
    c.reset()


def test_syn_again(m):
    """The SYN is repeated after a second, five times; then the time doubles (Linux since 6.5)."""
    c = Peer(m, m.new_port())
    c.fd = m.ask("connect", c.src, c.port, c.guest_port)
    times = [c.expect(SYN).time for _ in range(7)]
    gaps = [b - a for a, b in zip(times, times[1:])]
    for gap, want in zip(gaps, (1, 1, 1, 1, 1, 2)):
        assert want * 0.8 <= gap <= want * 1.4, gaps
    m.ask("close", c.fd)


def test_syn_ack_again(m):
    """The SYN|ACK is repeated after 1, 2 seconds, and at once when the SYN comes again."""
    m.listener(8080)
    c = Peer(m, 8080)
    first = c.syn()
    second = c.expect(SYN | ACK, seq=first.seq, ack=c.seq)
    third = c.expect(SYN | ACK, seq=first.seq, ack=c.seq)
    assert 0.8 <= second.time - first.time <= 1.4, second.time - first.time
    assert 1.6 <= third.time - second.time <= 2.8, third.time - second.time
    c.send(SYN, seq=c.seq - 1, ack=0, options=MSS)
    again = c.expect(SYN | ACK, seq=first.seq, ack=c.seq)
    assert again.time - third.time < 1, again.time - third.time
    c.send(RST)


def test_refused(m):
    """RST|ACK to our SYN: ECONNREFUSED. Without an ACK, or with a wrong one, it is nothing."""
    c = Peer(m, m.new_port())
    c.fd = m.ask("connect", c.src, c.port, c.guest_port)
    p = c.expect(SYN)
    c.send(RST, seq=0, ack=p.seq + 1)
    c.send(RST | ACK, seq=0, ack=p.seq)
    c.send(RST | ACK, seq=0, ack=p.seq + 2)
    assert m.ask("info", c.fd).split()[0] == "2"
    c.send(RST | ACK, seq=0, ack=p.seq + 1)
    assert c.ask("connected") == "-ECONNREFUSED"
    m.ask("close", c.fd)


def test_wrong_syn_ack(m):
    """A SYN|ACK for another SYN is answered with RST, and ours stands."""
    c = Peer(m, m.new_port())
    c.fd = m.ask("connect", c.src, c.port, c.guest_port)
    p = c.expect(SYN)
    c.send(SYN | ACK, ack=p.seq + 5, options=MSS)
    r = c.next()
    assert r.flags & RST and r.seq == p.seq + 5, r
    c.send(SYN | ACK, ack=p.seq + 1, options=MSS)
    assert c.ask("connected") == 0
    c.ack = p.seq + 1
    c.seq += 1
    c.reset()


def test_closed_port(m):
    """RFC 9293 3.10.7.1: to an ACK a RST with its ack as seq; else seq 0, and ack after the segment."""
    c = Peer(m, 9)
    c.send(SYN, ack=0, options=MSS)
    c.expect(RST | ACK, seq=0, ack=c.seq + 1, size=0)
    c.send(ACK, ack=4711)
    c.expect(RST, seq=4711, size=0)
    c.send(ACK | PSH, b"hello", ack=4712)
    c.expect(RST, seq=4712, size=0)
    c.send(FIN, b"abc", ack=99)
    c.expect(RST | ACK, seq=0, ack=c.seq + 4, size=0)
    c.send(RST, ack=0)
    c.send(RST | ACK, ack=5)
    c.silent()


def test_listen_nonsense(m):
    """A listener answers an ACK with RST and everything without SYN with nothing."""
    m.listener(8080)
    c = Peer(m, 8080)
    c.send(ACK, ack=12345)
    c.expect(RST, seq=12345, size=0)
    c.send(RST)
    c.send(0, b"x")
    c.send(FIN)
    c.silent()


def test_ack_of_other_syn(m):
    """In SYN_RECEIVED an ACK of what was not sent is answered with RST; a RST in order ends it."""
    m.listener(8080)
    c = Peer(m, 8080)
    c.syn()
    c.send(ACK, ack=c.ack + 100)
    c.expect(RST, seq=c.ack + 100, size=0)
    c.send(RST)
    c.send(ACK)
    c.expect(RST, seq=c.ack, size=0)


def test_reset_exact(m):
    c = Peer(m, 8080)
    c.open()
    c.send(RST)
    assert c.ask("recv", 1) == "-ECONNRESET"
    c.send(ACK)
    c.expect(RST, seq=c.ack)
    m.ask("close", c.fd)


def test_reset_in_window(m):
    """In the window but not exact: a challenge ACK (RFC 5961 3.2, CVE-2004-0230), and all goes on."""
    c = Peer(m, 8080)
    c.open()
    c.send(RST, seq=c.seq + 100)
    c.expect(ACK, seq=c.ack, ack=c.seq, size=0)
    c.alive()
    c.reset()


def test_challenge_limit(m):
    """Two challenge ACKs a second are enough for a connection, however many it asks for."""
    c = Peer(m, 8080)
    c.open()
    begin = time.monotonic()
    for i in range(30):
        c.send(*((RST,) if i % 2 else (SYN,)), seq=c.seq + 100 + i)
    answers = len([p for p in m.wire.ping() if c.mine(p)])
    assert 1 <= answers <= 1 + (time.monotonic() - begin) / 0.5, f"{answers} challenges"
    c.alive()
    c.reset()


def test_reset_outside(m):
    c = Peer(m, 8080)
    c.open()
    c.send(RST, seq=c.seq - 1)
    c.send(RST, seq=c.seq + (1 << 30))
    c.silent()
    c.alive()
    c.reset()


def test_syn_in_connection(m):
    """RFC 5961 4.2: whatever its number, a challenge ACK."""
    c = Peer(m, 8080)
    c.open()
    c.send(SYN, seq=c.seq + 10, options=MSS)
    c.expect(ACK, seq=c.ack, ack=c.seq, size=0)
    c.alive()
    c.reset()


def test_no_ack_flag(m):
    """A segment without ACK is dropped (RFC 9293 3.10.7.4, fifth)."""
    c = Peer(m, 8080)
    c.open()
    c.send(PSH, b"evil")
    c.silent()
    c.alive()
    c.reset()


def test_old_ack(m):
    """RFC 5961 5.2: an ACK far below what was sent brings no data in; a challenge ACK answers."""
    c = Peer(m, 8080)
    c.open()
    c.send(ACK | PSH, b"evil", ack=c.ack - (1 << 30))
    c.expect(ACK, seq=c.ack, ack=c.seq, size=0)
    c.alive()
    c.reset()


def test_ack_of_unsent(m):
    """An ACK of what was never sent brings nothing in."""
    c = Peer(m, 8080)
    c.open()
    c.send(ACK | PSH, b"evil", ack=c.ack + 1000)
    c.expect(ACK, seq=c.ack, ack=c.seq, size=0)
    c.alive()
    c.reset()


def test_peer_closes(m):
    """FIN by us, then by the program, then nothing left: LAST_ACK."""
    c = Peer(m, 8080)
    c.open()
    c.push(b"bye", FIN | ACK)
    c.expect(ACK, seq=c.ack, ack=c.seq, size=0)
    assert c.ask("recv", 10).split()[0] == "3"
    c.ask("close")
    c.expect(FIN | ACK, seq=c.ack, ack=c.seq)
    c.ack += 1
    c.send(ACK)
    c.send(ACK)
    c.expect(RST, seq=c.ack)


def test_guest_closes(m):
    """FIN by the program: FIN_WAIT_1, FIN_WAIT_2, TIME_WAIT, which answers a repeated FIN."""
    c = Peer(m, 8080)
    c.open()
    c.ask("close")
    c.expect(FIN | ACK, seq=c.ack, ack=c.seq)
    c.ack += 1
    c.send(ACK)
    c.push(b"", FIN | ACK)
    c.expect(ACK, seq=c.ack, ack=c.seq, size=0)
    c.send(FIN | ACK, seq=c.seq - 1)
    c.expect(ACK, seq=c.ack, ack=c.seq, size=0)


def test_both_close(m):
    """FINs cross: CLOSING, TIME_WAIT."""
    c = Peer(m, 8080)
    c.open()
    c.ask("close")
    c.expect(FIN | ACK, seq=c.ack, ack=c.seq)
    c.push(b"", FIN | ACK)
    c.expect(ACK, seq=c.ack + 1, ack=c.seq, size=0)
    c.ack += 1
    c.send(ACK)
    c.silent()
    c.send(FIN | ACK, seq=c.seq - 1)
    c.expect(ACK, seq=c.ack, ack=c.seq, size=0)


def test_fin_again(m):
    """An unanswered FIN is repeated."""
    c = Peer(m, 8080)
    c.open()
    c.ask("close")
    c.expect(FIN | ACK, seq=c.ack, ack=c.seq)
    c.expect(FIN | ACK, seq=c.ack, ack=c.seq)
    c.expect(FIN | ACK, seq=c.ack, ack=c.seq)
    c.ack += 1
    c.send(RST)


def test_half_close(m):
    """shutdown(SHUT_WR): data still comes in."""
    c = Peer(m, 8080)
    c.open()
    assert c.ask("shut", 1) == 0
    c.expect(FIN | ACK, seq=c.ack, ack=c.seq)
    c.ack += 1
    c.send(ACK)
    c.push(b"still here")
    c.expect(ACK, ack=c.seq)
    assert c.ask("recv", 10).split()[0] == "10"
    c.push(b"", FIN | ACK)
    c.expect(ACK, seq=c.ack, ack=c.seq)
    assert c.ask("recv", 1).split()[0] == "0"
    c.ask("close")


def test_half_close_by_peer(m):
    """Our FIN: the program may go on sending."""
    c = Peer(m, 8080)
    c.open()
    c.push(b"", FIN | ACK)
    c.expect(ACK, ack=c.seq)
    assert c.ask("recv", 1).split()[0] == "0"
    assert c.ask("send", 2000) == 2000
    c.take(2000)
    c.ask("close")
    c.expect(FIN | ACK, seq=c.ack)
    c.ack += 1
    c.send(ACK)
    c.silent()


def test_close_with_unread_data(m):
    c = Peer(m, 8080)
    c.open()
    c.push(b"unread")
    c.expect(ACK, ack=c.seq)
    c.ask("poll")
    c.ask("close")
    c.expect(RST | ACK, seq=c.ack, ack=c.seq)


def test_data_after_close(m):
    """Data for a closed socket is answered with RST."""
    c = Peer(m, 8080)
    c.open()
    c.ask("close")
    c.expect(FIN | ACK, seq=c.ack, ack=c.seq)
    c.ack += 1
    c.send(ACK)
    c.push(b"nobody reads")
    p = c.next()
    assert p.flags & RST and p.seq == c.ack & 0xFFFFFFFF, p


def test_linger_zero(m):
    c = Peer(m, 8080)
    c.open()
    assert c.ask("linger", 0) == 0
    c.ask("close")
    c.expect(RST | ACK, seq=c.ack, ack=c.seq)
    c.send(ACK)
    c.expect(RST, seq=c.ack)


def reach(m, state):
    """A connection in that state, for what a reset does there."""
    c = Peer(m, 8080)
    if state == "SYN_RECEIVED":
        m.listener(8080)
        c.syn()
        return c
    c.open()
    if state in ("CLOSE_WAIT", "LAST_ACK"):
        c.push(b"", FIN | ACK)
        c.expect(ACK, ack=c.seq)
    if state != "CLOSE_WAIT":
        if state in ("CLOSE_WAIT", "LAST_ACK"):
            c.ask("close")
        else:
            c.ask("shut", 1)
        c.expect(FIN | ACK, seq=c.ack)
        c.ack += 1
        if state == "CLOSING":
            c.send(FIN | ACK, ack=c.ack - 1)
            c.seq += 1
            c.expect(ACK, ack=c.seq)
        if state == "FIN_WAIT_2":
            c.send(ACK)
            c.silent()
    return c


def resets(m, state):
    """Outside: nothing; in the window: a challenge; exact: the end, and then every ACK is answered with RST."""
    c = reach(m, state)
    c.send(RST, seq=c.seq - 7)
    c.silent()
    c.send(RST, seq=c.seq + 7)
    if state == "SYN_RECEIVED":
        c.drain()
    else:
        c.expect(ACK, ack=c.seq, size=0)
    c.send(RST)
    c.drain()
    c.send(ACK, ack=c.ack + 3)
    c.expect(RST, seq=c.ack + 3)
    if c.fd is not None and state != "LAST_ACK":
        m.ask("close", c.fd)


def test_reset_syn_received(m): resets(m, "SYN_RECEIVED")
def test_reset_fin_wait_1(m): resets(m, "FIN_WAIT_1")
def test_reset_fin_wait_2(m): resets(m, "FIN_WAIT_2")
def test_reset_close_wait(m): resets(m, "CLOSE_WAIT")
def test_reset_last_ack(m): resets(m, "LAST_ACK")
def test_reset_closing(m): resets(m, "CLOSING")


def time_wait(m):
    c = Peer(m, 8080)
    c.open()
    c.ask("close")
    c.expect(FIN | ACK, seq=c.ack)
    c.ack += 1
    c.send(ACK)
    c.push(b"", FIN | ACK)
    c.expect(ACK, seq=c.ack, ack=c.seq)
    return c


def test_time_wait_old_syn(m):
    """A SYN with an old number in TIME_WAIT is answered with ACK, no connection and no RST."""
    c = time_wait(m)
    c.send(SYN, seq=c.seq - 100, ack=0, options=MSS)
    c.expect(ACK, seq=c.ack, ack=c.seq, size=0)


def test_time_wait_new_syn(m):
    """One with a new number begins a new connection."""
    c = time_wait(m)
    c.seq += 1000
    p = c.syn()
    c.send(ACK)
    c.fd = m.ask("accept", m.listener(8080))
    c.push(b"new")
    assert c.ask("recv", 3).split()[0] == "3", p
    c.reset()


def test_time_wait_data(m):
    """Data there is acknowledged as what it is: nothing new."""
    c = time_wait(m)
    c.send(ACK, b"late", seq=c.seq - 5)
    c.expect(ACK, seq=c.ack, ack=c.seq, size=0)
    c.send(ACK)
    c.silent()


def test_keep_alive(m):
    """Probes with an old number; without answers the connection ends."""
    c = Peer(m, 8080)
    c.open()
    for name, value in (4, 1), (5, 3), (6, 2):  # TCP_KEEPIDLE, KEEPINTVL, KEEPCNT
        assert c.ask("option", 6, name, value) == 0
    assert c.ask("option", 1, 9, 1) == 0
    p = c.expect(ACK, seq=c.ack - 1, ack=c.seq)
    c.send(ACK)
    q = c.expect(ACK, seq=c.ack - 1, ack=c.seq)
    assert 0.5 <= q.time - p.time <= 4.5, q.time - p.time
    c.expect(ACK, seq=c.ack - 1, ack=c.seq)
    c.expect(RST | ACK, seq=c.ack, ack=c.seq)
    assert c.ask("recv", 1) == "-ETIMEDOUT"
    m.ask("close", c.fd)


def test_beyond_window(m):
    """Data beyond the window does not come in, nor does its ACK count; an ACK answers."""
    c = Peer(m, 8080)
    c.open()
    assert c.ask("send", 100) == 100
    c.expect(ACK, seq=c.ack, size=100)
    c.send(ACK | PSH, b"evil", seq=c.seq + (1 << 24), ack=c.ack + 100)
    c.expect(ACK, ack=c.seq, size=0)
    c.expect(ACK, seq=c.ack, size=100)
    c.ack += 100
    c.alive()
    c.reset()


def test_timed_out_unreachable(m):
    """What ICMP said is why a connect() fails whose SYNs nobody answers."""
    c = Peer(m, m.new_port(), src=FAR4)
    c.fd = m.ask("connect", c.src, c.port, c.guest_port)
    p = c.expect(SYN)
    m.wire.send(icmp(HOST4, GUEST4, 3, 1, b"\0\0\0\0" + p.ip[:28]))
    assert c.ask("connected") == "-EHOSTUNREACH"
    m.ask("close", c.fd)


def test_syn_count(m):
    """TCP_SYNCNT 2 by a listening-free peer: ETIMEDOUT after the second repetition's time."""
    c = Peer(m, m.new_port(), src=FAR4)
    c.fd = m.ask("connect", c.src, c.port, c.guest_port)
    c.expect(SYN)
    assert c.ask("option", 6, 7, 2) == 0
    c.expect(SYN)
    c.expect(SYN)
    assert c.ask("connected") == "-ETIMEDOUT"
    m.ask("close", c.fd)


def test_land(m):
    """A SYN from the machine to itself (the LAND attack) is nothing."""
    m.listener(8080)
    m.wire.send(tcp(GUEST4, GUEST4, 8080, 8080, 1, 0, SYN, options=MSS))
    m.wire.ping()
    Peer(m, 8080).open()


def test_backlog_full(m):
    """A full accept queue: new SYNs are dropped, not refused."""
    listener = m.listener(8090, 1)
    peers = [Peer(m, 8090) for _ in range(2)]
    for c in peers:
        c.syn()
        c.send(ACK)
    late = Peer(m, 8090)
    late.silent()
    late.send(SYN, ack=0, options=MSS)
    late.silent()
    for c in peers:
        c.fd = m.ask("accept", listener)
        c.reset()
    late.syn()
    late.send(RST)


if __name__ == "__main__":
    run(globals(), sys.argv[1:])
