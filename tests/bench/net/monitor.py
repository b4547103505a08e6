# SPDX-License-Identifier: Apache-2.0
# What QEMU itself counts of a machine, by its monitor: the same for any kernel inside. A machine
# started with OPTIONS runs its one CPU by -icount, and rings no doorbell beside it: each one that
# the guest rings, and each interrupt that a virtio device raises, becomes a line of `trace`.
import json
import socket

EVENTS = {"kicks": "virtio_queue_notify", "interrupts": "virtio_notify"}


def options(directory):
    return ["-icount", "shift=0,sleep=on", "-qmp", f"unix:{directory}/qmp,server=on,wait=off", "-D",
            directory + "/trace", "-global", "virtio-net-pci.ioeventfd=off"]


class Monitor:
    def __init__(self, directory):
        self.trace = directory + "/trace"
        s = socket.socket(socket.AF_UNIX)
        s.connect(directory + "/qmp")
        self.stream = s.makefile("rw")
        self.ask("qmp_capabilities")

    def ask(self, command, **arguments):
        self.stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.stream.flush()
        while "return" not in (answer := json.loads(self.stream.readline())):
            assert "error" not in answer, answer
        return answer["return"]

    def instructions(self):
        """Executed since the machine's start; sleep is none."""
        return self.ask("query-replay")["icount"]

    def events(self, enable):
        for name in EVENTS.values():
            self.ask("trace-event-set-state", name=name, enable=enable)

    def counts(self, work):
        """work()'s result, and how many instructions, kicks and interrupts it took."""
        with open(self.trace) as log:
            log.seek(0, 2)
            self.events(True)
            before = self.instructions()
            result = work()
            counts = {"instructions": self.instructions() - before}
            self.events(False)
            names = [line.partition(" ")[0].rpartition(":")[2] for line in log]
        return result, counts | {kind: names.count(name) for kind, name in EVENTS.items()}
