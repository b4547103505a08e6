#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A bad cable between QEMU and a tap device: bad_link.py TAP DIRECTORY KEY=VALUE...

QEMU's end is `-netdev dgram` with DIRECTORY/host and DIRECTORY/guest as unix sockets.
Keys: loss, duplicate, reorder (parts of 1), delay (seconds, each way). Deterministic
for a seed. Runs until killed.
"""
import fcntl
import heapq
import os
import random
import select
import socket
import struct
import sys
import time

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 2, 0x1000

tap, directory = sys.argv[1:3]
value = dict(loss=0.0, duplicate=0.0, reorder=0.0, delay=0.0, seed=1)
value.update((k, float(v)) for k, v in (word.split("=") for word in sys.argv[3:]))
dice = random.Random(value["seed"])

wire = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(wire, TUNSETIFF, struct.pack("16sH", tap.encode(), IFF_TAP | IFF_NO_PI))
qemu = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
qemu.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
qemu.bind(directory + "/host")
waiting, count = [], 0


def send(to_guest, frame):
    try:
        if to_guest:
            qemu.sendto(frame, socket.MSG_DONTWAIT, directory + "/guest")
        else:
            os.write(wire, frame)
    except OSError:
        pass  # nobody there, or full: lost


def accept(to_guest, frame):
    global count
    if dice.random() < value["loss"]:
        return
    for _ in range(2 if dice.random() < value["duplicate"] else 1):
        late = value["delay"] + (0.005 if dice.random() < value["reorder"] else 0)
        if late:
            count += 1
            heapq.heappush(waiting, (time.monotonic() + late, count, to_guest, frame))
        else:
            send(to_guest, frame)


while True:
    timeout = max(0, waiting[0][0] - time.monotonic()) if waiting else None
    ready = select.select([wire, qemu], [], [], timeout)[0]
    if wire in ready:
        accept(True, os.read(wire, 65536))
    if qemu in ready:
        accept(False, qemu.recv(65536))
    while waiting and waiting[0][0] <= time.monotonic():
        send(*heapq.heappop(waiting)[2:])
