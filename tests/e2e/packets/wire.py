# SPDX-License-Identifier: Apache-2.0
"""Frames by hand: building, reading, and a wire to the machine under test.

The wire ends at QEMU (`-netdev dgram` on unix sockets) or, to judge the scripts, at a tap
device of this host's own kernel. It answers ARP and neighbour solicitations for every
address but the machine's, so that a script may speak from any; nothing else is done unasked.
"""
import fcntl
import os
import select
import socket
import struct
import time

GUEST4, HOST4, FAR4 = "10.0.2.15", "10.0.2.2", "192.0.2.7"
MAC = bytes.fromhex("525400aabb01")
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
PATIENCE = 20.0  # seconds for what must come; an emulated machine may be slow


def checksum(data):
    if len(data) & 1:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def is6(ip):
    return ":" in ip


def packed(ip):
    return socket.inet_pton(socket.AF_INET6 if is6(ip) else socket.AF_INET, ip)


def ip4(src, dst, protocol, payload, ident=0, frag=0, ttl=64, options=b"", tos=0, total=None, ihl=None):
    """frag: the field with its flags."""
    n = 20 + len(options)
    head = struct.pack("!BBHHHBBH4s4s", 0x40 | (ihl if ihl is not None else n // 4), tos,
                       (n + len(payload) if total is None else total) & 0xFFFF, ident, frag, ttl, protocol, 0,
                       packed(src), packed(dst)) + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def ip6(src, dst, following, payload, hops=64, length=None):
    return struct.pack("!IHBB16s16s", 6 << 28, len(payload) if length is None else length, following, hops,
                       packed(src), packed(dst)) + payload


def upper(src, dst, protocol, segment, at):
    """The segment with its checksum (over the pseudo header) at `at`, in an IP packet."""
    pseudo = packed(src) + packed(dst) + struct.pack("!II", len(segment), protocol)
    value = checksum(pseudo + segment[:at] + b"\0\0" + segment[at + 2:])
    if protocol == 17 and not value:
        value = 0xFFFF
    segment = segment[:at] + struct.pack("!H", value) + segment[at + 2:]
    return ip6(src, dst, protocol, segment, hops=255 if protocol == 58 else 64) if is6(src) \
        else ip4(src, dst, protocol, segment)


def tcp(src, dst, sport, dport, seq, ack, flags, window=65535, options=b"", data=b"", urgent=0, offset=None):
    options += b"\1" * (-len(options) % 4)
    words = 5 + len(options) // 4 if offset is None else offset
    head = struct.pack("!HHIIBBHHH", sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, words << 4, flags, window,
                       0, urgent)
    return upper(src, dst, 6, head + options + data, 16)


def udp(src, dst, sport, dport, data, length=None):
    return upper(src, dst, 17, struct.pack("!HHHH", sport, dport, 8 + len(data) if length is None else length, 0)
                 + data, 6)


def icmp(src, dst, kind, code, rest):
    """rest: all after the checksum."""
    message = struct.pack("!BBH", kind, code, 0) + rest
    if is6(src):
        return upper(src, dst, 58, message, 2)
    return ip4(src, dst, 1, message[:2] + struct.pack("!H", checksum(message)) + rest)


def arp(operation, mac, ip, to_mac, to_ip):
    return struct.pack("!HHBBH6s4s6s4s", 1, 0x800, 6, 4, operation, mac, packed(ip), to_mac, packed(to_ip))


class Packet:
    """A frame from the machine, taken apart as far as it is understood."""

    def __init__(self, frame):
        self.frame, self.time = frame, time.monotonic()
        self.to_mac, self.from_mac = frame[:6], frame[6:12]
        self.kind = struct.unpack("!H", frame[12:14])[0]
        self.protocol = self.src = self.dst = None
        self.payload = b""
        ip = self.ip = frame[14:]
        if self.kind == 0x800:
            n, total = (ip[0] & 15) * 4, struct.unpack("!H", ip[2:4])[0]
            assert checksum(ip[:n]) == 0, "checksum of an IP header"
            self.src, self.dst = socket.inet_ntop(socket.AF_INET, ip[12:16]), socket.inet_ntop(socket.AF_INET, ip[16:20])
            self.ident, self.frag, self.protocol = *struct.unpack("!HH", ip[4:8]), ip[9]
            self.payload = ip[n:total]
        elif self.kind == 0x86DD:
            self.src, self.dst = socket.inet_ntop(socket.AF_INET6, ip[8:24]), socket.inet_ntop(socket.AF_INET6, ip[24:40])
            self.protocol, self.frag = ip[6], 0
            self.payload = ip[40:40 + struct.unpack("!H", ip[4:6])[0]]
        if self.protocol == 6 and not self.frag & 0x3FFF:
            self.take_tcp()
        elif self.protocol in (17, 58) and not self.frag & 0x3FFF:
            self.verify()
            self.sport, self.dport = struct.unpack("!HH", self.payload[:4])

    def verify(self):
        pseudo = packed(self.src) + packed(self.dst) + struct.pack("!II", len(self.payload), self.protocol)
        assert checksum(pseudo + self.payload) == 0 or self.protocol == 17 and self.payload[6:8] == b"\0\0", \
            f"checksum of protocol {self.protocol}"

    def take_tcp(self):
        self.verify()
        (self.sport, self.dport, self.seq, self.ack, offset, self.flags, self.window, _, self.urgent) = \
            struct.unpack("!HHIIBBHHH", self.payload[:20])
        self.data = self.payload[(offset >> 4) * 4:]
        self.options, raw = {}, self.payload[20:(offset >> 4) * 4]
        while raw:
            if raw[0] < 2:
                raw = raw[1:] if raw[0] else b""
                continue
            self.options[raw[0]] = raw[2:raw[1]]
            raw = raw[raw[1]:]

    def __str__(self):
        if self.protocol == 6 and hasattr(self, "flags"):
            names = "".join(c for i, c in enumerate("FSRPAU") if self.flags >> i & 1)
            return f"TCP {self.sport}>{self.dport} {names} seq {self.seq} ack {self.ack} win {self.window} " \
                   f"len {len(self.data)} options {self.options}"
        return f"frame {self.kind:#x} protocol {self.protocol} {self.src}>{self.dst}: {self.payload[:40].hex()}"


class Wire:
    def __init__(self, directory=None, tap=None):
        self.directory, self.arp_on = directory, True
        self.guest_mac = b"\xff" * 6
        self.late = []  # frames that came while the program was asked
        self.hidden = set()  # addresses that answer no ARP
        self.on_frame = None  # sees each frame first; true: it is done with
        if tap:
            self.fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(self.fd, 0x400454CA, struct.pack("16sH", tap.encode(), 0x1002))
        else:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            self.socket.bind(directory + "/host")
            self.fd = self.socket.fileno()
        self.tap = tap

    def close(self):
        os.close(self.fd) if self.tap else self.socket.close()
        if not self.tap:
            os.unlink(self.directory + "/host")

    def raw(self, frame):
        """A frame, whatever it is. Full: waits, for the machine takes frames at its own speed."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                if self.tap:
                    os.write(self.fd, frame)
                else:
                    self.socket.sendto(frame, socket.MSG_DONTWAIT, self.directory + "/guest")
                return
            except (BlockingIOError, ConnectionRefusedError, FileNotFoundError) as e:
                assert time.monotonic() < end, f"the machine takes no frames: {e}"
                if isinstance(e, BlockingIOError):
                    select.select([], [self.fd], [], 0.01)
                else:
                    time.sleep(0.01)
            except OSError as e:
                if not self.tap or e.errno != 22:
                    raise
                return  # a tap takes no frame without an Ethernet header

    def send(self, packet, kind=None):
        if kind is None:
            kind = 0x800 if packet[0] >> 4 == 4 else 0x86DD
        self.raw(self.guest_mac + MAC + struct.pack("!H", kind) + packet)

    def chores(self, p):
        """ARP and neighbour solicitations for addresses of ours."""
        if p.kind == 0x806 and self.arp_on:
            operation, mac, ip, _, target = struct.unpack("!H6s4s6s4s", p.frame[20:42])
            name = socket.inet_ntop(socket.AF_INET, target)
            if operation == 1 and ip != target and name != GUEST4 and name not in self.hidden:
                self.raw(mac + MAC + b"\x08\x06" + arp(2, MAC, name, mac, socket.inet_ntop(socket.AF_INET, ip)))
                return True
        if p.protocol == 58 and p.payload[:1] == b"\x87" and p.src != "::" and self.arp_on:
            target = socket.inet_ntop(socket.AF_INET6, p.payload[8:24])
            if target not in self.hidden:
                self.send(icmp(target, p.src, 136, 0, struct.pack("!I", 0x60000000) + packed(target) + b"\2\1" + MAC))
                return True
        return False

    def receive(self, timeout):
        """The next frame that is no chore; None: none came."""
        end = time.monotonic() + timeout
        while True:
            left = end - time.monotonic()
            if not select.select([self.fd], [], [], max(0, left))[0]:
                return None
            try:
                frame = os.read(self.fd, 65600) if self.tap else self.socket.recv(65600)
            except BlockingIOError:
                continue
            if len(frame) < 14:
                continue
            p = Packet(frame)
            self.guest_mac = p.from_mac
            if not (self.on_frame and self.on_frame(p)) and not self.chores(p):
                return p

    def expect(self, wanted, what, timeout=PATIENCE):
        """The next frame for which wanted(p); others are passed over."""
        end = time.monotonic() + timeout
        while True:
            p = self.late.pop(0) if self.late else self.receive(max(0, end - time.monotonic()))
            assert p, f"no {what}"
            if wanted(p):
                return p

    def ping(self, src=HOST4, dst=GUEST4, number=[0]):
        """A barrier: what the machine answered at once to frames before is here. The answers."""
        number[0] += 1
        tag = struct.pack("!HHI", 0x4F50, number[0] & 0xFFFF, number[0])
        kind, back = (128, 129) if is6(src) else (8, 0)
        self.send(icmp(src, dst, kind, 0, tag))
        seen, end = [], time.monotonic() + PATIENCE
        while True:
            p = self.receive(max(0, end - time.monotonic()))
            assert p, "no answer to a ping"
            if p.protocol in (1, 58) and p.payload[0] == back and p.payload[4:12] == tag:
                return seen
            seen.append(p)
