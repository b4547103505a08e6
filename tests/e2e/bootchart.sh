#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The picture of `ops run --boot-chart`: well-formed, complete, in order, and the same but for times.
. "$(dirname "$0")/lib.sh"

# chart_read FILE: its rows to standard output, `NAME: TIME`; fails where it is no such picture.
chart_read() {
    python3 - "$1" <<'END'
import re, sys, xml.etree.ElementTree as tree
root = tree.parse(sys.argv[1]).getroot()
space = "{http://www.w3.org/2000/svg}"
assert root.tag == space + "svg", root.tag
height = int(root.get("height"))
names, rows, end = [], [], 0.0
for e in root:
    kind = e.get("class", "")
    if e.tag == space + "text" and kind == "name":
        names.append((e.text, int(e.get("y"))))
    elif e.tag == space + "rect" and kind:
        x, width, y = float(e.get("x")), float(e.get("width")), int(e.get("y"))
        assert 250 <= x and width >= 1 and x + width <= 812, (x, width)
        assert 0 < y < height - 16
        if kind != "program":
            assert x >= end - 2, "bars go back in time"
            end = x + width
    elif e.tag == space + "text" and kind == "" and names:
        name, y = names[-1]
        assert int(e.get("y")) == y
        assert re.fullmatch(r"(at )?\d+\.\d ms", e.text), e.text
        rows.append((name, e.text))
assert len({y for _, y in names}) == len(names) == len(rows)
for name, time in rows:
    print(f"{name}: {time}")
END
}

test_rows() {
    cc_program app -static <<<'int main(void) { return 7; }'
    ops run --boot-chart chart.svg --smp 2 ./app
    want_status 7
    want_no_err
    chart_read chart.svg >rows || fail "no picture: $(head -c 300 chart.svg)"
    sed 's/: .*//' rows >names
    cat >want <<'END'
settings, libraries and files
kernel, QEMU and accelerator
building the image
manifest, files and sockets
QEMU
firmware and loading the kernel
page frames and page tables
manifest and threads
devices
root filesystem
network and control channel
clock and CPUs
volumes and shares
loading the program
first instruction
the program
END
    diff want names >differ || fail "rows: $(cat differ)"
    # Again: the image is there now, the rest is drawn the same.
    ops run --boot-chart chart.svg --smp 2 ./app
    want_status 7
    chart_read chart.svg >rows || fail "no picture"
    sed -i 's/^building the image$/image from the cache/' want
    sed 's/: .*//' rows | diff want - >differ || fail "rows: $(cat differ)"
}

# A picture is there while a server runs, with its port.
test_server() {
    cat >server.py <<'END'
import socket, sys
s = socket.create_server(("", 8099))
print("up", flush=True)
sys.stdin.read()
END
    mkfifo input
    timeout -k 5 $E2E_LIMIT "$OPS" run --boot-chart chart.svg --share "$T:/t" /usr/bin/python3 /t/server.py <input >out 2>err &
    machine=$!
    exec 8>input
    wait_for 60 grep -q up out || fail "no start: $(cat err)"
    wait_for 20 grep -q 'listening on port 8099' chart.svg || fail "no port: $(cat chart.svg)"
    chart_read chart.svg >rows || fail "no picture"
    grep -q '^listening on port 8099: at ' rows || fail "rows: $(cat rows)"
    exec 8>&-
    wait $machine || fail "status $?: $(cat err)"
    chart_read chart.svg | grep -q '^the program: ' || fail "rows at the end"
}

# Its name is text, whatever stands in it.
test_names_are_text() {
    cc_program 'a<b>&"c' -static <<<'int main(void) { return 0; }'
    ops run --boot-chart chart.svg './a<b>&"c'
    want_status 0
    chart_read chart.svg >rows || fail "no picture: $(head -c 300 chart.svg)"
    python3 -c 'import sys, xml.etree.ElementTree as t
title = [e.text for e in t.parse("chart.svg").getroot() if e.get("class") == "title"]
sys.exit(title != ["ops run a<b>&\"c"])' || fail "the title: $(grep title chart.svg)"
}

test_errors() {
    ops run --boot-chart none/chart.svg /bin/true
    want_error 1 'cannot write none/chart.svg: no such file'
    ops run --boot-chart /dev/full /bin/true
    want_error 1 'cannot write /dev/full'
    for word in -d --watch --explain --dry-run; do
        ops run --boot-chart chart.svg $word /bin/true
        want_error 2 '--boot-chart is for a machine in the foreground that starts once'
    done
    ops instance create --boot-chart chart.svg /bin/true
    want_error 2 'an instance cannot have --boot-chart' 'ops run'
    want_no_file chart.svg
    # A program that cannot be found leaves a picture of what was done, which is little.
    ops run --boot-chart chart.svg ./none
    want_error 1 'none'
}

e2e_main "$@"
