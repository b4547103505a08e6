#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `ops build`: the disk's partition table, filesystems and errors. (boot.sh boots it.)
# Alone: it compares its speed with mke2fs.
. "$(dirname "$0")/lib.sh"

build() { # FILE [WORD...]
    head -c 300000 /bin/bash >kernel.elf
    local file=$1
    shift
    ops build --kernel kernel.elf -o "$file" "$@"
}

partition() { # NUMBER FILE: cuts it out of disk
    local first last
    first=$(sgdisk -i "$1" disk | awk '/First sector/ {print $3}')
    last=$(sgdisk -i "$1" disk | awk '/Last sector/ {print $3}')
    dd if=disk of="$2" bs=512 skip="$first" count=$((last - first + 1)) status=none
}

test_partitions() {
    build disk /usr/bin/lua5.4 -e 'print(1)'
    want_status 0
    want_no_err
    want_out ''
    sgdisk -v disk >verify 2>&1
    grep -q 'No problems found' verify || fail "$(cat verify)"
    sgdisk -p disk >table
    grep -q 'EF02' table || fail "no BIOS boot partition"
    grep -q 'ops-boot' table && grep -q 'ops-root' table || fail "$(cat table)"
    [ "$(head -c 512 disk | tail -c 2 | xxd -p)" = 55aa ] || fail "no boot signature"
}

test_filesystems() {
    build disk /usr/bin/lua5.4 -e 'print(1)'
    for n in 3 4; do
        partition $n part
        e2fsck -fn part >fsck 2>&1 || fail "partition $n: $(cat fsck)"
    done
    dumpe2fs -h part 2>/dev/null >super
    grep -q 'features:.*has_journal' super || fail "the root has no journal"
    grep -q 'volume name: *ops-root' super || fail "the root's label is wrong"
    partition 3 part
    debugfs -R 'dump /kernel.elf k' part 2>/dev/null && gzip -dc <k | cmp - kernel.elf || fail "the kernel differs"
    debugfs -R 'cat /manifest' part 2>/dev/null | gzip -dc >manifest
    head -1 manifest | grep -qx 'ops-manifest 1' && grep -qx 'arg=print(1)' manifest ||
        fail "manifest: $(cat manifest)"
}

test_reproducible() {
    build one /usr/bin/lua5.4 x
    sleep 1.1
    (umask 077 && TERM=other LANG=C TZ=Asia/Tokyo build two /usr/bin/lua5.4 x)
    cmp one two || fail "two builds differ"
    build three /usr/bin/lua5.4 y
    cmp -s one three && fail "other arguments give the same disk"
    true
}

test_output_after_program() {
    : >kernel.elf
    ops build --kernel kernel.elf /bin/true -o disk -o x
    want_status 0
    want_file disk
    want_no_file x
    ops build --kernel kernel.elf /bin/true --output=disk2
    want_file disk2
}

# Options of ops stand before PROGRAM; only those of the output also right behind it.
test_options_behind_the_program() {
    : >kernel.elf
    cc_program app -static <<<'int main(void) { return 0; }'
    ops build --kernel kernel.elf ./app --format qcow2 -o disk --format vdi its own
    want_status 0
    [ "$(head -c 3 disk)" = QFI ] || fail "--format behind the program is ignored"
    ops image info --json disk2 2>/dev/null
    ops build --kernel kernel.elf ./app -o disk2 -- --format vdi -o x
    want_status 0
    ops image info --json disk2
    [ "$(python3 -c 'import json; print(json.load(open("out"))["arguments"][1:])')" = "['--format', 'vdi', '-o', 'x']" ] || fail "$(cat out)"
    ops build --kernel kernel.elf -o disk3 -- ./app -o x --format vdi
    want_status 0
    want_no_file x
    ops image info --json disk3
    [ "$(python3 -c 'import json; print(json.load(open("out"))["arguments"][1:])')" = "['-o', 'x', '--format', 'vdi']" ] || fail "$(cat out)"
    ops build --kernel kernel.elf -o disk4 ./app -o x
    want_status 0
    want_no_file x
    ops build --kernel kernel.elf ./app its own -o disk5
    want_error 2 'no output file is given' '-o belongs to the program there: write it before'
    ops build ./app --format
    want_error 2 'option --format needs a value'
}

test_no_output() {
    build '' /bin/true
    ops build /bin/true
    want_error 2 'no output file' '-o FILE'
}

test_output_errors() {
    build /nonexistent/disk /bin/true
    want_error 1 'cannot write /nonexistent/disk'
    build . /bin/true
    want_error 1 'not a regular file'
    build /dev/null /bin/true
    want_error 1 'not a regular file'
    [ -c /dev/null ] || fail "/dev/null was replaced"
    [ -z "$(ls -A | grep unfinished)" ] || fail "left: $(ls -A)"
}

test_old_output_survives_errors() {
    echo old >disk
    build disk ./nosuch
    want_error 1 'cannot open'
    [ "$(cat disk)" = old ] || fail "the old file is gone"
}

test_interrupted() {
    head -c 300000 /bin/bash >kernel.elf
    echo old >disk
    for signal in TERM INT HUP; do
        "$OPS" build --kernel kernel.elf -o disk /usr/bin/perl >/dev/null 2>&1 </dev/null &
        wait_for 10 test -e .disk.ops-unfinished || break
        kill -$signal $!
        wait $! 2>/dev/null
        want_no_file .disk.ops-unfinished
    done
}

test_two_builds_of_one_file() {
    head -c 300000 /bin/bash >kernel.elf
    exec 9>.disk.ops-unfinished
    flock 9
    ops build --kernel kernel.elf -o disk /bin/true
    want_error 1 'another ops is writing disk'
}

test_leftover_is_reused() {
    head -c 9999999 /dev/zero >.disk.ops-unfinished
    build disk /bin/true
    want_status 0
    want_no_file .disk.ops-unfinished
}

# A tree of 50 MB is built as fast as by mke2fs -d, within half of its time, and only once.
test_cold_build() {
    mkdir tree
    python3 - <<'END'
import os, random
random.seed(1)
for d in range(50):
    os.mkdir("tree/d%d" % d)
    for f in range(20):
        with open("tree/d%d/f%d" % (d, f), "wb") as out:
            out.write(random.randbytes(random.randrange(1000, 104000)))
END
    cc_program app -static <<'END'
int main(void) { return 0; }
END
    echo '{"MapDirs": {"tree": "/tree"}, "NoSystemFiles": true}' >ops.json
    python3 - "$OPS" <<'END' || fail "slower than 1.5 times mke2fs -d"
import os, shutil, subprocess, sys, time
cache = os.environ["XDG_CACHE_HOME"]
def ours():
    shutil.rmtree(cache, ignore_errors=True)
    subprocess.check_call([sys.argv[1], "run", "--dry-run", "./app"], stdout=subprocess.DEVNULL)
def theirs():
    if os.path.exists("image"):
        os.unlink("image")
    subprocess.check_call(["/sbin/mke2fs", "-q", "-t", "ext4", "-d", "tree", "image", "80M"], stdout=subprocess.DEVNULL)
def seconds(what):
    begin = time.monotonic()
    what()
    return time.monotonic() - begin
least = [min(x) for x in zip(*((seconds(ours), seconds(theirs)) for _ in range(5)))]
print("# %.3f s, mke2fs -d %.3f s" % tuple(least), file=sys.stderr)
sys.exit(least[0] > 1.5 * least[1])
END
    ops run -v ./app
    want_err 'image from the cache'
    touch -d '2001-01-01' tree/d7/f7
    ops run -v ./app
    want_err 'image built'
    ops run -v ./app
    want_err 'image from the cache'
}

e2e_main "$@"
