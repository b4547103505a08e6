#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The program's end: its connections end as Linux ends them, and what it sent still arrives."""
from machine import *

SILENT = 5  # seconds without an acknowledgement until a machine gives up (kernel/net/finish.h)


def leave(m):
    m.process.stdin.close()
    return time.monotonic()


def gone(m, begin, least, most):
    """The machine ends in that time; a program on a host has left its connections to the kernel."""
    status = m.process.wait(most + 20)
    took = time.monotonic() - begin
    assert status == 0, f"status {status}: {m.said()}"
    assert m.on_host or least <= took <= most, f"the end took {took:.1f} s, not {least} to {most}"


def test_slow_peer(m):
    """Acknowledged one by one, everything comes, and the FIN behind it."""
    c = Peer(m, 8080)
    c.open()
    assert c.ask("send", 6000) == 6000
    begin, got, last = leave(m), 0, 0
    while not last & FIN:
        p = c.next(what="data or FIN")
        if p.seq != c.ack & 0xFFFFFFFF:
            continue  # again
        if p.data:
            time.sleep(0.4)
        last = p.flags
        got += len(p.data)
        c.ack += len(p.data) + (last & FIN)
        c.send(ACK)
    assert got == 6000, got
    gone(m, begin, 0.4, 8)


def test_silent_peer(m):
    """Nobody acknowledges the data: it is sent again, but not for ever."""
    c = Peer(m, 8080)
    c.open()
    assert c.ask("send", 100) == 100
    begin = leave(m)
    c.expect(ACK | PSH, seq=c.ack)
    p = c.next(what="the data again, or its FIN")
    assert p.seq == c.ack & 0xFFFFFFFF or p.flags & FIN, p
    gone(m, begin, SILENT - 2, SILENT + 4)


def test_ends(m):
    """Idle: FIN. Data that nobody read: RST. Waiting to be accepted: RST. Nobody waits long for these."""
    idle, unread = Peer(m, 8080), Peer(m, 8080)
    idle.open()
    unread.open()
    unread.push(b"unread")
    unread.expect(ACK, ack=unread.seq)
    waiting = Peer(m, 8080)
    waiting.syn()
    waiting.send(ACK)
    begin = leave(m)
    ends = {}
    while len(ends) < 3:
        p = m.wire.expect(lambda p: p.protocol == 6 and p.flags & (FIN | RST), "end of each")
        ends.setdefault(p.dport, p.flags & (FIN | RST))
    assert ends == {idle.port: FIN, unread.port: RST, waiting.port: RST}, ends
    gone(m, begin, 0, 3)


def main():
    words = [a for a in sys.argv[1:] if a != "--host"]
    failed, ports = 0, 0
    for name, function in list(globals().items()):
        if not name.startswith("test_") or words[1:] and name[5:] not in words[1:]:
            continue
        m = Machine("--host" in sys.argv, words[0]).start()
        m.port += ports
        ports += 100  # those of the one before may be in TIME_WAIT
        try:
            function(m)
            print(f"ok {name[5:]}", flush=True)
        except AssertionError as e:
            failed += 1
            print(f"not ok {name[5:]}: {e}", flush=True)
        finally:
            m.process.kill()
            m.process.wait()
            m.wire.close()
    sys.exit(1 if failed else 0)


main()
