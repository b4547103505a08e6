# SPDX-License-Identifier: Apache-2.0
"""DHCP by hand: the exchange, refusals, lies, and with PACKETS_LONG a lease that is renewed and rebound."""
import os
import sys
import time

from machine import *

OPTIONS = ("--net", "tap:none")  # no address but by DHCP
DISCOVER, OFFER, REQUEST, DECLINE, ACKNOWLEDGE, REFUSE = range(1, 7)
LEASE, T1, T2 = 3600, 60, 120


class Message:
    def __init__(self, p):
        d = p.payload[8:]
        self.packet, self.xid, self.mac = p, d[4:8], d[28:34]
        self.own = socket.inet_ntoa(d[12:16])
        self.options, raw = {}, d[240:]
        assert d[236:240] == b"\x63\x82\x53\x63", d[236:240]
        while raw and raw[0] != 255:
            if raw[0] == 0:
                raw = raw[1:]
                continue
            self.options[raw[0]] = raw[2:2 + raw[1]]
            raw = raw[2 + raw[1]:]
        self.kind = self.options[53][0]


def reply(m, q, kind, address=GUEST4, xid=None, mac=None, options=None, cut=None, server=HOST4, more=b""):
    if options is None:
        options = b"\x36\4" + packed(server)
        if kind != REFUSE:
            options += struct.pack("!BBI", 51, 4, LEASE) + struct.pack("!BBI", 58, 4, T1) + \
                struct.pack("!BBI", 59, 4, T2) + b"\1\4\xff\xff\xff\0" + b"\3\4" + packed(HOST4) + b"\6\4" + packed("10.0.2.3")
    body = b"\2\1\6\0" + (xid or q.xid) + bytes(8) + packed(address) + bytes(8) + (mac or q.mac).ljust(16, b"\0") + \
        bytes(192) + b"\x63\x82\x53\x63" + bytes([53, 1, kind]) + options + more + b"\xff"
    m.wire.raw(m.wire.guest_mac + MAC + b"\x08\x00" + udp(server, "255.255.255.255", 67, 68, body[:cut]))


def is_dhcp(p):
    return p.protocol == 17 and (p.sport, p.dport) == (68, 67)


def asked(m, kind, timeout=PATIENCE):
    q = Message(m.wire.expect(is_dhcp, f"DHCP message {kind}", timeout))
    assert q.kind == kind, f"DHCP message {q.kind}, not {kind}"
    return q


def lease(m, more=b""):
    reply(m, asked(m, DISCOVER, 60), OFFER)
    reply(m, asked(m, REQUEST), ACKNOWLEDGE, more=more)
    m.wire.ping()


def prepare(m):
    """Before the program says anything: lies are not taken, a refusal starts it all again."""
    q = asked(m, DISCOVER, 60)
    assert q.packet.src == "0.0.0.0" and q.packet.dst == "255.255.255.255" and q.mac == q.packet.from_mac
    for cut in 0, 1, 20, 100, 239, 240, 243:  # shorter than DHCP is, or than its options say
        reply(m, q, OFFER, cut=cut)
    reply(m, q, OFFER, "10.0.2.66", xid=b"nope")
    reply(m, q, OFFER, "10.0.2.66", mac=b"\2\2\2\2\2\2")
    reply(m, q, OFFER, "10.0.2.66", options=b"\x36\xff" + packed(HOST4))
    reply(m, q, ACKNOWLEDGE, "10.0.2.66")
    reply(m, q, OFFER, options=b"\x34\1\3\x36\4" + packed(HOST4) + b"\x33\4\0\0\1\0")  # "overload": options in sname
    q = Message(m.wire.expect(is_dhcp, "DHCP message"))
    while q.kind == DISCOVER:
        reply(m, q, OFFER)
        q = Message(m.wire.expect(is_dhcp, "DHCP message"))
    assert q.kind == REQUEST and q.options[50] == packed(GUEST4) and q.options[54] == packed(HOST4), q.options
    reply(m, q, REFUSE)
    q = asked(m, DISCOVER)
    assert 12 in q.options[55], "the name is not asked for"
    reply(m, q, OFFER, more=b"\x0c\4evil")  # no lease yet
    reply(m, asked(m, REQUEST), ACKNOWLEDGE, more=b"\x0c\5evil\n")  # no name
    m.wire.ping()


def test_lease(m):
    """The address is the one that was given; name servers too."""
    m.wire.ping()
    c = Peer(m, 8080)
    c.open()
    c.alive()
    c.reset()


def test_unasked(m):
    """Answers nobody asked for change nothing."""
    class Forged:
        xid, mac = b"\1\2\3\4", m.wire.guest_mac
    for kind in OFFER, ACKNOWLEDGE, REFUSE:
        for cut in None, 250, 244:
            reply(m, Forged, kind, "10.0.2.66", cut=cut)
    m.wire.ping()


def replug(m):
    """Takes the cable out until the machine knows it, and puts it back."""
    m.qmp("set_link", name="net0", up=False)
    end = time.monotonic() + PATIENCE
    while m.ask("carrier"):
        assert time.monotonic() < end, "the link is still up"
    m.qmp("set_link", name="net0", up=True)


def test_cable(m):
    """The cable comes back: the server is asked whether the address still holds; refused, it is not used any more.
    The answer also tells the machine's name (option 12)."""
    replug(m)
    q = asked(m, REQUEST)
    assert q.packet.dst == "255.255.255.255" and q.options[50] == packed(GUEST4) and 54 not in q.options, q.options
    assert m.ask("name") == "ops"
    reply(m, q, ACKNOWLEDGE, more=b"\x0c\x0fGuest-1.example")
    m.wire.ping()
    assert m.ask("name") == "Guest-1.example"
    replug(m)
    reply(m, asked(m, REQUEST), REFUSE)
    lease(m, b"\x0c\5other")
    assert m.ask("name") == "Guest-1.example"  # it has one now


def test_announce(m):
    """The host asks for it, as after a migration: the address is told by ARP, that of IPv6 by an advertisement."""
    wanted = {"ARP", "advertisement"}

    def told(p):
        if p.kind == 0x806 and p.ip[14:18] == packed(GUEST4) == p.ip[24:28]:
            wanted.discard("ARP")
        if p.protocol == 58 and p.payload[0] == 136 and p.dst == "ff02::1" and p.payload[8:24] == packed(p.src) and \
                p.payload[24:] == b"\2\1" + p.from_mac and p.payload[4:8] == b"\x20\0\0\0":
            wanted.discard("advertisement")
        return False
    m.wire.on_frame = told
    end = time.monotonic() + PATIENCE
    while wanted:  # an address that is still being tried (RFC 4862) is not announced
        m.qmp("announce-self", initial=50, max=100, rounds=1, step=10)
        again = time.monotonic() + 1
        while wanted and time.monotonic() < again:
            m.wire.receive(0.1)
        assert time.monotonic() < end, f"no announcement: {wanted}"
    m.wire.on_frame = None


if os.environ.get("PACKETS_LONG"):
    def test_renewal(m):
        """At T1 the server is asked; refused, the address goes and a new one is asked for."""
        q = asked(m, REQUEST, 150)
        assert q.own == GUEST4 and q.packet.src == GUEST4 and q.packet.dst == HOST4, q.packet
        reply(m, q, ACKNOWLEDGE)
        m.wire.ping()
        q = asked(m, REQUEST, 150)
        reply(m, q, REFUSE)
        lease(m)

    def test_rebinding(m):
        """Unanswered, at T2 everybody is asked."""
        q = asked(m, REQUEST, 150)
        while q.packet.dst != "255.255.255.255":
            assert q.own == GUEST4
            q = asked(m, REQUEST, 150)
        reply(m, q, ACKNOWLEDGE, server=HOST4)
        m.wire.ping()


if __name__ == "__main__":
    run(globals(), sys.argv[1:])
