# SPDX-License-Identifier: Apache-2.0
"""Hostile frames while a client is served: fuzz.py [--host] DIRECTORY SECONDS SEED.

Each frame is made by one of the makers below and often mutated afterwards. Nothing may
end the machine, stall the client, or keep memory. Classes of lwIP's history: CVE-2020-22283
(ICMPv6), CVE-2020-22284-like option parsing, the reassembly leak of 2.1.0, IPv6 reassembly
use-after-free, ARP frames shorter than their content, CVE-2014-4883 (forged DNS answers).
"""
import random
import sys

from service import *

ANY6 = "ff02::1"


class Maker:
    def __init__(self, seed, service):
        self.r, self.s = random.Random(seed), service
        self.me6 = None

    def bytes(self, most):
        return self.r.randbytes(self.r.randrange(most + 1))

    def src(self):
        r = self.r
        return r.choice((HOST4, "10.0.2.4", FAR4, f"10.{r.randrange(256)}.{r.randrange(256)}.{r.randrange(256)}",
                         "0.0.0.0", "127.0.0.1", "255.255.255.255", "224.0.0.1", GUEST4, "10.0.2.255"))

    def dst(self):
        return self.r.choice((GUEST4,) * 12 + ("10.0.2.255", "255.255.255.255", "224.0.0.1", "127.0.0.1", "0.0.0.0"))

    def src6(self):
        r = self.r
        return r.choice(("fe80::1", "::", "::1", "ff02::1", f"fe80::{r.randrange(65536):x}", f"2001:db8::{r.randrange(65536):x}"))

    def dst6(self):
        return self.r.choice((self.me6, self.me6, self.me6, ANY6, "ff02::2", "ff02::1:ff00:1", "::1"))

    def number(self, near):
        r = self.r
        return r.choice((near, near, near + 1, near - 1, near + r.randrange(70000), near - r.randrange(70000),
                         r.getrandbits(32), near + 0x7FFFFFFF)) & 0xFFFFFFFF

    def options(self):
        """TCP options, many of them broken: lengths 0, 1, beyond the end, twice, too many SACK blocks."""
        r, out = self.r, b""
        while len(out) < 40 and r.random() < 0.8:
            kind = r.choice((0, 1, 2, 3, 4, 5, 8, 30, 34, r.randrange(256)))
            length = r.choice((2, 3, 4, 10, 0, 1, 18, 34, 40, r.randrange(256)))
            out += bytes([kind]) if kind < 2 else bytes([kind, length]) + r.randbytes(max(0, min(length, 38) - 2))
        return out[:40]

    def tcp_victim(self):
        """Inside a connection that exists: flags, numbers, windows, urgent pointers at random."""
        r = self.r
        if not self.s.victims:
            return self.tcp_stranger()
        v = r.choice(list(self.s.victims.values()))
        flags = r.choice((ACK, ACK, ACK, ACK | PSH, ACK | FIN, ACK | RST, SYN, SYN | ACK, RST, URG | ACK, 0, 255, r.randrange(256)))
        if r.random() < 0.3:
            flags |= 0x40  # ECE
        data = self.bytes(r.choice((0, 1, 100, 1460)))
        offset = r.randrange(16) if r.random() < 0.1 else None
        if r.random() < 0.3 and flags & ACK and not flags & (SYN | RST):  # in order: it is echoed
            v.send(flags & ~FIN, data, window=r.choice((0, 1, 100, 65535)))
            v.seq += len(data)
            return None
        return tcp(v.src, GUEST4, v.port, ECHO, self.number(v.seq), self.number(v.ack), flags,
                   r.choice((0, 1, 2, 1000, 65535)), self.options(), data, r.randrange(65536), offset)

    def tcp_client(self):
        """Into the client's connection, blindly: no number of these is one that counts (RFC 5961)."""
        r, c = self.r, self.s.client
        far = c.seq + 0x10000000 + r.getrandbits(29)
        return tcp(CLIENT, GUEST4, c.port, ECHO, far, self.number(c.ack), r.randrange(256), r.randrange(65536),
                   b"", self.bytes(100))

    def tcp_stranger(self):
        r = self.r
        return tcp(self.src(), self.dst(), r.randrange(65536), r.choice((ECHO, 8080, 9, r.randrange(65536))),
                   r.getrandbits(32), r.getrandbits(32), r.choice((SYN, SYN, r.randrange(256))), r.randrange(65536),
                   self.options(), self.bytes(60), r.randrange(65536), r.randrange(16) if r.random() < 0.1 else None)

    def udp(self):
        r = self.r
        return udp(self.src(), self.dst(), r.choice((53, 67, 123, r.randrange(65536))),
                   r.choice((68, 5000, 5353, r.randrange(65536))), self.bytes(r.choice((0, 8, 300, 1472))),
                   r.choice((None, None, 0, 7, 8, r.randrange(65536))))

    def dns(self):
        """An answer nobody asked for, with names that point in circles."""
        r = self.r
        name = r.choice((b"\xc0\x0c", b"\3www\xc0\x0c", b"\x3f" + r.randbytes(20), b"\xff\xff", b"\0"))
        body = struct.pack("!HHHHHH", r.getrandbits(16), 0x8180, 1, r.randrange(65536), 0, 0) + name + b"\0\1\0\1" + \
            name + struct.pack("!HHIH", 1, 1, 60, r.randrange(65536)) + self.bytes(30)
        return udp(r.choice(("10.0.2.3", HOST4)), GUEST4, 53, r.randrange(1024, 65536), body)

    def dhcp(self):
        r = self.r
        options = b"".join(bytes([r.randrange(256), r.choice((0, 1, 4, 8, r.randrange(256)))]) + self.bytes(8) for _ in range(r.randrange(12)))
        body = bytes([r.choice((2, 1, 0)), 1, r.choice((6, 255)), 0]) + r.randbytes(4) + bytes(4) + \
            packed(GUEST4) * 2 + bytes(8) + self.bytes(16).ljust(16, b"\0") + bytes(192) + b"\x63\x82\x53\x63" + options
        return udp(HOST4, r.choice((GUEST4, "255.255.255.255")), 67, 68, body[:r.choice((len(body), r.randrange(len(body))))])

    def icmp(self):
        """All kinds, quoting whatever; also segments of victims."""
        r = self.r
        quote = self.bytes(60)
        if r.random() < 0.6:
            port = r.choice(list(self.s.victims) or [1])
            ack = self.s.victims[port].ack if port in self.s.victims else 0
            quote = ip4(GUEST4, "10.0.2.4", r.choice((6, 17, r.randrange(256))),
                        struct.pack("!HHI", ECHO, port, self.number(ack)) + self.bytes(20), ihl=r.choice((5, 5, 5, r.randrange(16))))
        return icmp(self.src(), self.dst(), r.choice((3, 3, 3, 4, 5, 8, 11, 12, 13, 17, r.randrange(256))),
                    r.choice((0, 1, 3, 4, r.randrange(256))), r.randbytes(2) + struct.pack("!H", r.choice((0, 68, 552, 1400, 65535))) + quote)

    def igmp(self):
        r = self.r
        body = bytes([r.choice((0x11, 0x12, 0x16, 0x17, 0x22, r.randrange(256))), r.randrange(256)]) + b"\0\0" + \
            r.choice((bytes(4), packed("224.0.0.1"), packed("239.1.2.3"), r.randbytes(4))) + self.bytes(20)
        body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
        return ip4(self.src(), r.choice(("224.0.0.1", GUEST4)), 2, body, options=r.choice((b"", b"\x94\4\0\0")), ttl=1)

    def fragment(self):
        """Few identifications, so that pieces meet: overlapping, tiny, huge, never ended."""
        r = self.r
        at = r.choice((0, 0, 1, 2, r.randrange(64), 0x1FFF, r.randrange(0x2000)))
        return ip4(r.choice((HOST4, "10.0.2.4", FAR4)), GUEST4, r.choice((1, 6, 17)),
                   self.bytes(r.choice((1, 7, 8, 64, 1480))), r.randrange(r.choice((4, 65536))), r.choice((0x2000, 0x2000, 0, 0x6000)) | at)

    def ip4_options(self):
        r, n = self.r, self.r.randrange(11)
        return ip4(self.src(), self.dst(), r.randrange(256), self.bytes(80), frag=r.choice((0, 0, r.randrange(65536))),
                   options=r.randbytes(4 * n), ttl=r.randrange(256), total=r.choice((None, None, r.randrange(65536))),
                   ihl=r.choice((None, None, r.randrange(16))))

    def arp(self):
        r = self.r
        frame = struct.pack("!HHBBH6s4s6s4s", r.choice((1, 1, 6)), r.choice((0x800, 0x800, 0x86DD)), r.choice((6, 6, 0, 255)),
                            r.choice((4, 4, 16)), r.choice((1, 2, 2, r.randrange(65536))), r.randbytes(6), packed(self.src()),
                            r.randbytes(6), packed(self.dst()))
        return frame[:r.choice((28, 28, 28, r.randrange(29)))], 0x806

    def extensions(self, following):
        """IPv6 extension headers in any order, of any length."""
        r, out = self.r, b""
        for _ in range(r.randrange(5)):
            kind = r.choice((0, 43, 44, 60, 51, 135))
            length = r.choice((0, 0, 1, 255, r.randrange(256)))
            if kind == 44:
                rest = struct.pack("!HI", r.choice((0, 1, 8, r.randrange(65536))), r.randrange(4))
                length = 0
            else:
                rest = r.choice((r.randbytes(6), b"\1\4" + bytes(4), b"\xc2\4" + r.randbytes(4), b"\5\2\0\0\1\0"))
            out = bytes([following, length]) + rest + r.randbytes(8 * length if length < 4 else 0) + out
            following = kind
        return following, out

    def ip6_any(self):
        r = self.r
        following, head = self.extensions(r.choice((6, 17, 58, 59, r.randrange(256))))
        body = head + self.bytes(200)
        return ip6(self.src6(), self.dst6(), following, body, r.choice((255, 64, 0)), r.choice((None, None, 0, r.randrange(65536))))

    def fragment6(self):
        """IPv6 fragments that meet, overlap, and lie about their upper header."""
        r = self.r
        at = r.choice((0, 0, 8, 16, r.randrange(64) * 8, 65528))
        head = struct.pack("!BBHI", r.choice((58, 17, 6, 44, 0)), 0, at | r.choice((1, 1, 0)), r.randrange(r.choice((3, 1 << 32))))
        return ip6(r.choice(("fe80::1", "2001:db8::1")), self.me6, 44, head + self.bytes(r.choice((1, 8, 64, 1400))), 255)

    def nd(self):
        """Neighbour and router messages, MLD; options of length 0, too long, too many."""
        r = self.r
        kind = r.choice((133, 134, 134, 135, 136, 137, 130, 131, 132, 143, 1, 2, 3, 4, 128, r.randrange(256)))
        body = r.randbytes(4)
        if kind == 134:
            body += r.randbytes(8)
        elif kind in (135, 136, 130, 131, 132):
            body += r.choice((packed(self.me6), r.randbytes(16), packed(self.src6())))
        elif kind == 137:
            body += r.randbytes(32)
        elif kind < 5:
            body += ip6(self.me6, "fe80::1", r.choice((6, 17, 58)), struct.pack("!HHI", ECHO, 5, r.getrandbits(32)) + self.bytes(40))
        for _ in range(r.randrange(5)):
            length = r.choice((0, 1, 1, 2, 4, 4, 255))
            option = r.choice((1, 2, 3, 4, 5, 24, 25, 31, r.randrange(256)))
            if option == 3 and length == 4:
                body += bytes([3, 4, r.choice((64, 64, 0, 255)), 0xC0]) + r.choice((r.randbytes(8), b"\xff" * 8, bytes(8))) + \
                    bytes(4) + r.choice((packed("2001:db8::"), packed("fe80::"), r.randbytes(16)))
            else:
                body += bytes([option, length]) + r.randbytes(min(length, 4) * 8 - 2 if length else 6)
        p = icmp(self.src6(), self.dst6(), kind, r.choice((0, 0, 0, r.randrange(256))), body)
        return p if r.random() < 0.8 else p[:7] + bytes([r.randrange(256)]) + p[8:]

    def ethernet(self):
        """Frames of every length and type."""
        r = self.r
        kind = r.choice((0x800, 0x86DD, 0x806, 0x8100, 0x88A8, 0x8847, r.randrange(1501), r.randrange(65536)))
        return r.randbytes(r.choice((0, 1, r.randrange(64), r.randrange(1501)))), kind

    def mutate(self, packet):
        r = self.r
        if not packet:
            return packet
        out = bytearray(packet)
        for _ in range(r.choice((1, 1, 2, 8))):
            out[r.randrange(min(len(out), r.choice((20, 60, 1500))))] = r.choice((0, 1, 0x7F, 0x80, 0xFF, r.randrange(256)))
        if r.random() < 0.3:
            del out[r.randrange(len(out)):]
        if r.random() < 0.1:
            out += self.bytes(64)
        if len(out) >= 20 and out[0] >> 4 == 4 and r.random() < 0.7:  # past the first check
            n = max(20, min(len(out), (out[0] & 15) * 4))
            out[10:12] = b"\0\0"
            out[10:12] = struct.pack("!H", checksum(bytes(out[:n])))
        return bytes(out)

    def frame(self):
        maker = self.r.choice((self.tcp_victim, self.tcp_victim, self.tcp_victim, self.tcp_client, self.tcp_stranger,
                               self.udp, self.dns, self.dhcp, self.icmp, self.igmp, self.fragment, self.ip4_options,
                               self.arp, self.ip6_any, self.fragment6, self.nd, self.nd, self.ethernet))
        made = maker()
        if made is None:
            return None
        packet, kind = made if isinstance(made, tuple) else (made, 0x800 if made[0] >> 4 == 4 else 0x86DD)
        if self.r.random() < 0.25 and maker != self.tcp_client:
            packet = self.mutate(packet)
        to = self.r.choice((self.s.wire.guest_mac,) * 6 + (b"\xff" * 6, b"\x33\x33\0\0\0\1", b"\1\0\x5e\0\0\1"))
        frame = to + MAC + struct.pack("!H", kind) + packet
        return frame if self.r.random() < 0.99 else frame[:self.r.randrange(1, 20)]


def main(arguments):
    host = "--host" in arguments
    directory, seconds, seed = [a for a in arguments if a != "--host"]
    print(f"seed {seed}", flush=True)
    m = Machine(host, directory, ("-m", "128M")).start()
    s = Service(m)
    maker, count = Maker(int(seed), s), 0
    mac = m.wire.guest_mac
    maker.me6 = socket.inet_ntop(socket.AF_INET6, bytes.fromhex("fe80000000000000") +
                                 bytes([mac[0] ^ 2, mac[1], mac[2], 255, 254, mac[3], mac[4], mac[5]]))
    managed = icmp("fe80::1", "ff02::1", 134, 0, bytes([64, 0x80, 0, 0]) + bytes(8))
    m.wire.raw(mac + MAC + b"\x86\xdd" + ip6("fe80::1", "ff02::1", 58, managed, 255))  # DHCPv6 begins, for good
    s.settle()
    before = s.memory()
    exact = not host and s.objects() and s.objects()  # files that were never read before cost objects
    for _ in range(8):
        s.victim()
    end = time.monotonic() + float(seconds)
    try:
        while time.monotonic() < end:
            for _ in range(16):
                frame = maker.frame()
                if frame:
                    m.wire.raw(frame)
                count += 1
            s.turn()
        s.settle()
        for v in list(s.victims.values()):
            v.send(RST | ACK)
        s.victims = {}
        lost = memory_back(m, s, before, 4096)
        if exact:  # connections whose other end went without a word are for the program to end
            m.ask("drop", CLIENT)
            objects_back(m, s, exact)
        assert m.process.poll() is None
    except AssertionError as e:
        print(f"not ok after {count} frames, seed {seed}: {e}{s.ended()}")
        sys.exit(1)
    status = m.end()
    print(f"ok {count} frames, {s.rounds} rounds served, the longest {s.worst * 1000:.0f} ms, {lost} KiB less free, seed {seed}")
    sys.exit(1 if status else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
