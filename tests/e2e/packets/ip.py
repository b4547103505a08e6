# SPDX-License-Identifier: Apache-2.0
"""ARP, IP, ICMP, fragments, UDP, neighbour discovery, as the wire sees them."""
import sys

from machine import *

LINK6, PEER6 = None, "fe80::5054:ff:feaa:bb01"


def own6(m):
    """The machine's link-local address: it answers the all-nodes group."""
    global LINK6
    if not LINK6:
        p = None
        for _ in range(20):  # its address is tentative at first
            m.wire.raw(bytes.fromhex("333300000001") + MAC + b"\x86\xdd" +
                       icmp(PEER6, "ff02::1", 128, 0, struct.pack("!HHI", 1, 1, 1)))
            try:
                p = m.wire.expect(lambda p: p.protocol == 58 and p.payload[0] == 129, "answer", 0.5)
                break
            except AssertionError:
                pass
        if not p:  # LWIP_MULTICAST_PING, icmp_echo_ignore_multicast
            mac = bytearray(m.wire.guest_mac)
            p = Packet(bytes(14))
            p.src = socket.inet_ntop(socket.AF_INET6, bytes.fromhex("fe80000000000000") +
                                     bytes([mac[0] ^ 2, mac[1], mac[2], 255, 254, mac[3], mac[4], mac[5]]))
        LINK6 = p.src
    return LINK6


def test_arp(m):
    """Who has our address is told; nobody else's."""
    m.wire.raw(b"\xff" * 6 + MAC + b"\x08\x06" + arp(1, MAC, HOST4, bytes(6), GUEST4))
    p = m.wire.expect(lambda p: p.kind == 0x806 and p.frame[21] == 2, "ARP answer")
    assert p.frame[22:28] == p.from_mac and p.frame[28:32] == packed(GUEST4), p.frame.hex()
    assert p.to_mac == MAC and p.frame[32:38] == MAC and p.frame[38:42] == packed(HOST4), p.frame.hex()
    m.wire.raw(b"\xff" * 6 + MAC + b"\x08\x06" + arp(1, MAC, HOST4, bytes(6), "10.0.2.99"))
    assert not [p for p in m.wire.ping() if p.kind == 0x806 and p.frame[21] == 2]


def test_arp_short(m):
    """An ARP frame without its end is nothing (lwIP reads on)."""
    whole = b"\xff" * 6 + MAC + b"\x08\x06" + arp(1, MAC, HOST4, bytes(6), GUEST4)
    for n in range(15, len(whole)):
        m.wire.raw(whole[:n])
    assert not [p for p in m.wire.ping() if p.kind == 0x806 and p.frame[21] == 2]


def test_arp_follows(m):
    """A neighbour's new Ethernet address is taken from its request."""
    neighbour = "10.0.2.77"
    m.wire.ping(neighbour)
    moved = bytes.fromhex("525400aabb77")
    m.wire.raw(b"\xff" * 6 + moved + b"\x08\x06" + arp(1, moved, neighbour, bytes(6), GUEST4))
    m.wire.send(icmp(neighbour, GUEST4, 8, 0, struct.pack("!HHI", 7, 7, 7)))
    p = m.wire.expect(lambda p: p.protocol == 1 and p.dst == neighbour, "answer")
    assert p.to_mac == moved, p.to_mac.hex()


def test_arp_unanswered(m):
    """Nobody has that address: EHOSTUNREACH, or silence until the time is up; the machine asks more than once."""
    m.wire.hidden.add("10.0.2.88")
    fd = m.ask("udpto", "10.0.2.88", 9)
    assert m.ask("send", fd, 10) == 10
    for _ in range(2):
        p = m.wire.expect(lambda p: p.kind == 0x806 and p.frame[38:42] == packed("10.0.2.88"), "ARP request")
        assert p.frame[21] == 1
    m.ask("close", fd)


def test_ping(m):
    """Echo of all sizes, and of a wrong checksum none."""
    for n in 0, 1, 56, 1471, 1472:
        data = bytes(i & 255 for i in range(n))
        m.wire.send(icmp(HOST4, GUEST4, 8, 0, struct.pack("!HH", 5, n) + data))
        p = m.wire.expect(lambda p: p.protocol == 1 and p.payload[0] == 0, f"answer of {n} bytes")
        assert p.payload[8:] == data
    bad = bytearray(icmp(HOST4, GUEST4, 8, 0, b"\0\5\0\1abcd"))
    bad[-1] ^= 1
    m.wire.send(bytes(bad))
    assert not [p for p in m.wire.ping() if p.protocol == 1]


def fragments(packet, size, ident=77):
    """A packet in fragments of so many bytes."""
    data, out = packet[20:], []
    for at in range(0, len(data), size):
        more = 0x2000 if at + size < len(data) else 0
        out.append(ip4(socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20]), packet[9],
                       data[at:at + size], ident, more | at // 8))
    return out


def whole(m, timeout=PATIENCE):
    """A datagram from the machine, of its fragments; none may be too long or overlap."""
    parts, total = {}, None
    while total is None or sum(map(len, parts.values())) < total:
        p = m.wire.expect(lambda p: p.protocol == 1, "fragment", timeout)
        assert len(p.ip) <= 1500, len(p.ip)
        at = (p.frag & 0x1FFF) * 8
        parts[at] = p.payload
        if not p.frag & 0x2000:
            total = at + len(p.payload)
    out = b""
    for at in sorted(parts):
        assert at == len(out), (at, len(out))
        out += parts[at]
    return out


def test_fragments(m):
    """In order, in reverse, twice, with the last first: one datagram, and its answer in fragments."""
    data = bytes(i * 7 & 255 for i in range(5000))
    packet = icmp(HOST4, GUEST4, 8, 0, struct.pack("!HH", 5, 1) + data)
    for i, order in enumerate((lambda f: f, lambda f: f[::-1], lambda f: f[-1:] + f[:-1])):
        for f in order(fragments(packet, 1000, 100 + i)):
            m.wire.send(f)
        assert whole(m)[8:] == data


def test_fragments_overlap(m):
    """Overlapping fragments (teardrop) give no datagram of mixed content."""
    packet = icmp(HOST4, GUEST4, 8, 0, struct.pack("!HH", 6, 1) + b"a" * 3000)
    parts = fragments(packet, 1000, 200)
    evil = ip4(HOST4, GUEST4, 1, b"EVIL" * 100, 200, 0x2000 | 500 // 8)
    for f in (parts[0], evil, *parts[1:]):
        m.wire.send(f)
    for p in m.wire.ping():
        assert b"EVIL" not in p.payload, "overlap was taken"
    assert not [p for p in m.wire.ping() if b"EVIL" in p.payload]


def test_fragments_too_long(m):
    """Beyond 65535 bytes (the ping of death) is nothing."""
    for ident in range(20):
        for at in (0, 8000, 65528):
            m.wire.send(ip4(HOST4, GUEST4, 1, b"x" * 1400, 300 + ident, (0x2000 if at < 65528 else 0) | at // 8))
    m.wire.ping()


def test_fragments_unfinished(m):
    """Reassembly of what never ends keeps nothing from arriving (lwIP 2.1.0 was dead after five), and its memory is bounded."""
    before = m.ask("memory")
    for ident in range(3000):
        m.wire.send(ip4(HOST4, GUEST4, 1, b"x" * 1400, ident, 0x2000 | (ident % 7) * 200))
    m.wire.ping()
    lost = before - m.ask("memory")
    assert lost < 16384, f"{lost} KiB"
    if m.on_host:
        return  # Linux' memory for fragments is full now, for half a minute
    data = bytes(i * 3 & 255 for i in range(4000))
    for f in fragments(icmp(HOST4, GUEST4, 8, 0, struct.pack("!HH", 5, 9) + data), 1400, 60000):
        m.wire.send(f)
    assert whole(m)[8:] == data


def test_udp(m):
    fd = m.ask("udp", 5000)
    m.wire.send(udp(HOST4, GUEST4, 777, 5000, b"abc"))
    assert m.ask("recv", fd, 3).split()[0] == "3"
    bad = bytearray(udp(HOST4, GUEST4, 777, 5000, b"abd"))
    bad[-1] ^= 1
    m.wire.send(bytes(bad))
    m.wire.send(udp(HOST4, GUEST4, 777, 5000, b"xyz"))
    want = (ord("x") * 31 + ord("y")) * 31 + ord("z")
    assert m.ask("recv", fd, 3) == f"3 {want}"
    m.ask("close", fd)


def test_udp_closed(m):
    """Port unreachable, with what we sent quoted; the same from others reaches the program as ECONNREFUSED."""
    m.wire.send(udp(HOST4, GUEST4, 777, 5999, b"abc"))
    p = m.wire.expect(lambda p: p.protocol == 1, "ICMP error")
    assert p.payload[:2] == b"\3\3" and p.payload[8 + 16:8 + 20] == packed(GUEST4), p
    assert p.payload[8 + 20:8 + 24] == struct.pack("!HH", 777, 5999), p
    fd = m.ask("udpto", HOST4, 4444)
    for code, name in ((3, "-ECONNREFUSED"), (1, "-EHOSTUNREACH"), (2, "-ENOPROTOOPT")):
        assert m.ask("send", fd, 10) == 10
        q = m.wire.expect(lambda p: p.protocol == 17 and p.dport == 4444, "datagram")
        m.wire.send(icmp(HOST4, GUEST4, 3, code, b"\0\0\0\0" + q.ip[:28]))
        m.wire.ping()
        got = m.ask("error", fd)
        assert got == name or code == 1 and got == 0, (code, got)
    m.ask("close", fd)


def test_udp_lengths(m):
    """UDP lengths that lie."""
    fd = m.ask("udp", 5001)
    for length in 0, 4, 7, 100, 65535:
        m.wire.send(udp(HOST4, GUEST4, 777, 5001, b"abc", length=length))
    m.wire.send(udp(HOST4, GUEST4, 777, 5001, b"end"))
    want = (ord("e") * 31 + ord("n")) * 31 + ord("d")
    assert m.ask("recv", fd, 3) == f"3 {want}"
    m.ask("close", fd)


def test_broadcast_tcp(m):
    """TCP to a broadcast or group address is nothing; nor are ICMP errors about broadcasts."""
    m.listener(8080)
    for to in "10.0.2.255", "255.255.255.255", "224.0.0.1":
        m.wire.raw(b"\xff" * 6 + MAC + b"\x08\x00" + tcp(HOST4, to, 5, 8080, 1, 0, SYN, options=MSS))
        m.wire.raw(b"\xff" * 6 + MAC + b"\x08\x00" + udp(HOST4, to, 5, 5998, b"x"))
    assert not [p for p in m.wire.ping() if p.protocol in (1, 6)]


def test_martians(m):
    """Packets from addresses that nobody can have are nothing."""
    for src in "0.0.0.0", "127.0.0.1", "255.255.255.255", "224.0.0.1":
        m.wire.send(tcp(src, GUEST4, 5, 9, 1, 0, SYN, options=MSS))
        m.wire.send(udp(src, GUEST4, 5, 5998, b"x"))
    bad = [str(p) for p in m.wire.ping() if p.protocol in (1, 6)]
    assert not bad, bad


def test_protocol_unknown(m):
    m.wire.send(ip4(HOST4, GUEST4, 200, b"what is it"))
    p = m.wire.expect(lambda p: p.protocol == 1, "ICMP error")
    assert p.payload[:2] == b"\3\2", p


def test_nd(m):
    """A solicitation of our address is answered, hop limit 255, with our Ethernet address."""
    me = own6(m)
    m.wire.send(icmp(PEER6, me, 135, 0, bytes(4) + packed(me) + b"\1\1" + MAC))
    p = m.wire.expect(lambda p: p.protocol == 58 and p.payload[0] == 136, "advertisement")
    assert p.ip[7] == 255 and p.payload[8:24] == packed(me), p
    assert p.payload[4] & 0x40 and p.payload[24:32] in (b"", b"\2\1" + p.from_mac), p


def test_nd_forwarded(m):
    """One with another hop limit came from elsewhere: nothing (RFC 4861 7.1.1)."""
    me = own6(m)
    good = icmp(PEER6, me, 135, 0, bytes(4) + packed(me) + b"\1\1" + MAC)
    m.wire.send(good[:7] + b"\x40" + good[8:])
    assert not [p for p in m.wire.ping(PEER6, me) if p.protocol == 58 and p.payload[0] == 136]


def test_tcp6(m):
    c = Peer(m, 8080, src=PEER6, dst=own6(m))
    c.open(b"\2\4" + struct.pack("!H", 1440))
    c.alive()
    assert c.ask("send", 3000) == 3000
    assert max(len(p.data) for p in c.take(3000)) <= 1440
    c.reset()


def test_tcp6_closed(m):
    c = Peer(m, 9, src=PEER6, dst=own6(m))
    c.send(SYN, ack=0)
    c.expect(RST | ACK, seq=0, ack=c.seq + 1)


def test_udp6_closed(m):
    me = own6(m)
    m.wire.send(udp(PEER6, me, 777, 5999, b"abc"))
    p = m.wire.expect(lambda p: p.protocol == 58 and p.payload[0] == 1, "ICMPv6 error")
    assert p.payload[1] == 4, p


def test_too_big6(m):
    """"Packet too big": shorter segments, but none below what 1280 bytes take."""
    c = Peer(m, 8080, src=PEER6, dst=own6(m))
    c.open(b"\2\4" + struct.pack("!H", 1440))
    assert c.ask("send", 4000) == 4000
    first = c.expect(ACK, seq=c.ack, size=1440)
    c.drain()
    m.wire.send(icmp(PEER6, c.dst, 2, 0, struct.pack("!I", 1300) + first.ip[:60]))
    end = c.ack + 4000
    while c.ack != end:
        p = c.next()
        assert len(p.data) <= 1240, p
        if p.seq == c.ack & 0xFFFFFFFF:
            c.ack += len(p.data)
            c.send(ACK)
    c.reset()


if __name__ == "__main__":
    run(globals(), sys.argv[1:])
