#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `ops image`: disks of `ops build` and bare filesystems, without booting.
. "$(dirname "$0")/lib.sh"

build() { # FILE [WORD...]
    local file=$1
    shift
    ops build -o "$file" "$@"
    want_status 0
}

# Both filesystems of a disk are sound, and so is its table.
sound() { # FILE
    local n first last
    sgdisk -v "$1" >verify 2>&1
    grep -q 'No problems found' verify || fail "$(cat verify)"
    for n in 3 4; do
        first=$(sgdisk -i $n "$1" | awk '/First sector/ {print $3}')
        last=$(sgdisk -i $n "$1" | awk '/Last sector/ {print $3}')
        dd if="$1" of=part bs=512 skip="$first" count=$((last - first + 1)) conv=sparse status=none
        e2fsck -fn part >fsck 2>&1 || fail "partition $n: $(head -c 500 fsck)"
    done
}

boot() { # the disk; its serial line
    timeout $E2E_LIMIT qemu-system-x86_64 -M q35 -accel tcg -cpu max -m 128 -nodefaults -display none \
        -serial stdio -no-reboot -device isa-debug-exit,iobase=0x501,iosize=4 \
        -drive "file=$1,format=raw,if=virtio" </dev/null 2>&1 | tr -d '\r'
}

test_info() {
    build disk -e COLOUR=red --mounts data:/data:ro /usr/bin/env one 'two words'
    ops image info disk
    want_status 0
    want_out_has '^kind +disk$'
    want_out_has '^kernel +[0-9.]+.*ops [0-9]'
    want_out_has '^program +/usr/bin/env$'
    want_out_has '^ +two words$'
    want_out_has '^ +COLOUR=red$'
    want_out_has '^mounts +data:/data:ro$'
    want_out_has '^state +clean$'
    ops image info --json disk
    [ "$(python3 -c 'import json; o = json.load(open("out")); print(o["arguments"][1:], o["label"])')" = \
        "['one', 'two words'] ops-root" ] || fail "$(cat out)"
}

test_copies() {
    build disk /bin/cat /etc/greeting
    echo 'hello there' >greeting
    ops image cp greeting disk:/etc/
    want_status 0 && want_no_err
    sound disk
    ops image cat disk:/etc/greeting
    want_out 'hello there'
    boot disk >serial
    grep -qx 'hello there' serial || fail "the guest does not see it: $(tail -3 serial)"
    ops image ls -l disk:/etc
    want_out_has ' 12 .* greeting$'
    ops image tree disk:/usr
    want_out_has 'cat$'
    ops image cp -r disk:/etc copy
    want_status 0
    cmp copy/greeting greeting || fail "the copy differs"
}

test_env() {
    build disk -e A=1 -e B=2 /usr/bin/env
    ops image env disk
    want_out_has '^A=1$'
    ops image env disk B=3 'C=with space' -u A
    want_status 0 && want_out ''
    sound disk
    ops image env disk
    want_out_lacks '^A='
    want_out_has '^B=3$'
    want_out_has '^C=with space$'
    boot disk >serial
    grep -qx 'C=with space' serial && grep -qx B=3 serial || fail "$(tail -5 serial)"
    ! grep -q '^A=' serial || fail "A is still set"
    ops image env disk WRONG
    want_error 2 'WRONG sets no variable' '-u NAME'
    ops image info disk
    want_out_has '^program +/usr/bin/env$'
}

test_diff() {
    build one /bin/cat
    cp one two
    ops image diff one two
    want_status 0 && want_out ''
    mkdir new && echo x >new/file && echo 127.9.9.9 >hosts
    ops image cp -r new hosts two:/etc
    ops image cp new/file two:/etc/group
    ops image diff one two
    want_status 1
    want_out $'M /etc/group (content)\nM /etc/hosts (content)\n+ /etc/new\n+ /etc/new/file'
    chmod 600 hosts && ops image cp hosts one:/etc/
    ops image diff two one
    want_out $'M /etc/group (content)\nM /etc/hosts (mode)\n- /etc/new\n- /etc/new/file'
}

test_resize() {
    build disk /bin/cat /etc/greeting
    seq 200000 >greeting && ops image cp greeting disk:/etc/
    chmod 640 disk
    ops image resize disk 300M
    want_status 0 && want_no_err && want_out ''
    sound disk
    [ "$(stat -c %a disk)" = 640 ] || fail "the mode is $(stat -c %a disk)"
    [ -z "$(ls -A | grep '^\.ops')" ] || fail "left: $(ls -A)"
    ops image info disk --json
    want_out_has '"sizeBytes":.*314572800'
    ops image cat disk:/etc/greeting
    cmp out greeting || fail "the content changed"
    [ "$(du -k disk | cut -f1)" -lt 40000 ] || fail "it is not sparse"
    boot disk >serial
    grep -qx 199999 serial || fail "it does not boot: $(tail -3 serial)"
    ops image resize disk 100M
    want_error 1 'not shrunk'
}

test_bare_filesystem() {
    mke2fs -q -t ext4 -L mine bare 64M
    echo x >x && ops image cp x bare:/
    want_status 0
    e2fsck -fn bare >fsck 2>&1 || fail "$(cat fsck)"
    ops image ls bare
    want_out $'lost+found\nx'
    ops image info bare
    want_out_has '^kind +filesystem'
    want_out_lacks '^program'
    ops image env bare
    want_error 1 'no environment'
    ops image resize bare 128M
    want_status 0
    e2fsck -fn bare >fsck 2>&1 || fail "$(cat fsck)"
    ops image check bare
    want_out 'bare: the filesystem is sound'
}

test_foreign_filesystems() {
    mke2fs -q -t ext4 -b 1024 -O inline_data,^64bit small 32M
    mke2fs -q -t ext4 -I 128 -O ^metadata_csum,^dir_index old 32M
    mkdir d && (cd d && seq -f 'a-rather-long-file-name-%g' 1500 | xargs touch) && seq 100000 >d/numbers
    for image in small old; do
        ops image cp -r d $image:/
        want_status 0
        e2fsck -fn $image >fsck 2>&1 || fail "$image: $(cat fsck)"
        rm -rf back && ops image cp -r $image:/d back
        diff -r d back || fail "$image: content differs"
        ops image cp -r d $image:/
        e2fsck -fn $image >fsck 2>&1 || fail "$image, again: $(cat fsck)"
    done
    mke2fs -q -t ext2 two 16M
    ops image ls two
    want_out lost+found
    ops image cp d/numbers two:/
    want_error 1 'ext2 or ext3'
}

test_errors() {
    ops image ls nosuch
    want_error 1 'cannot open nosuch'
    ops image ls /dev/null
    want_error 1 'could hold a filesystem'
    head -c 5000 /dev/urandom >noise
    ops image ls noise
    want_error 1 'no ext4 filesystem'
    : >empty
    ops image ls empty
    want_error 1 'no ext4 filesystem'
    truncate -s 20M table && sgdisk -n 1:2048:0 table >/dev/null 2>&1
    ops image ls table
    want_error 1 'no partition ops-root'
    ops image frobnicate
    want_error 2 'no verb frobnicate'
    ops image env
    want_error 2 'too few words'
}

e2e_main "$@"
