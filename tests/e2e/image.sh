#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The root filesystem image and its cache, with a stand-in for QEMU.
. "$(dirname "$0")/lib.sh"

# make_image [OPTION...] PROGRAM: runs the stand-in; IMAGE is the cached file.
make_image() {
    : >>kernel.elf
    export OPS_QEMU=$E2E_DIR/fake-qemu FAKE='echo exit 0 >&$CTL'
    ops run --kernel kernel.elf "$@"
    want_status 0
    IMAGE=$(ls -t "$XDG_CACHE_HOME"/ops/*.ext4 | head -1)
}

inside() { debugfs -R "$1" "$IMAGE" 2>/dev/null; }

fsck_clean() { # FILE
    e2fsck -fn "$1" >fsck 2>&1 || fail "e2fsck: $(head -c 500 fsck)"
}

test_fsck_clean() {
    make_image /usr/bin/openssl
    fsck_clean "$IMAGE"
    dumpe2fs -h "$IMAGE" >super 2>/dev/null
    for feature in extent 64bit flex_bg metadata_csum dir_index; do
        grep -q "features:.* $feature" super || fail "no $feature"
    done
    grep -q 'volume name: *ops-root$' super || fail "the label is wrong"
}

test_content_modes_and_links() {
    mkdir -p d/empty d/sub
    echo text >d/file && chmod 4711 d/file && touch -d @1234567890.5 d/file
    ln d/file d/sub/hard && ln -s ../file d/sub/soft
    ln -s "$(head -c 200 /dev/zero | tr '\0' x)" d/long
    chmod 1750 d/empty && mkfifo d/pipe
    truncate -s 5M d/sparse && echo end >>d/sparse
    : >d/nothing
    printf '{"MapDirs": {"d": "/d"}}' >c.json
    make_image -c c.json /bin/true
    fsck_clean "$IMAGE"
    inside 'stat /d/file' >stat
    grep -q 'Mode:  *04711' stat || fail "mode: $(cat stat)"
    grep -q 'User: *0 *Group: *0' stat || fail "owner: $(cat stat)"
    grep -q 'Links: 2' stat || fail "the hard link is lost"
    grep -q 'mtime: 0x499602d2:7735940' stat || fail "time: $(grep mtime stat)"
    [ "$(inside 'stat /d/file' | head -1 | cut -d' ' -f2)" = "$(inside 'stat /d/sub/hard' | head -1 | cut -d' ' -f2)" ] ||
        fail "hard links are two files"
    inside 'stat /d/sub/soft' | grep -q 'Fast link dest: "../file"' || fail "the link is lost"
    inside 'stat /d/empty' | grep -q 'Mode:  *01750' || fail "the empty directory is lost"
    inside 'stat /d/sparse' >stat
    [ "$(awk '/Blockcount/ {print $4}' stat)" -lt 64 ] || fail "the hole is filled: $(cat stat)"
    inside 'dump /d/sparse copy' && cmp copy d/sparse || fail "sparse content differs"
    inside 'stat /d/pipe' | grep -q Inode && fail "a pipe is in the image"
    inside 'stat /d/nothing' | grep -q 'Size: 0' || fail "the empty file is lost"
}

test_all_content_is_right() {
    make_image /usr/bin/perl
    mkdir copy
    inside 'rdump /usr/share/perl copy'
    diff -r --no-dereference /usr/share/perl copy/perl || fail "content differs"
}

test_large_directory() {
    mkdir d && (cd d && seq -f 'a-rather-long-file-name-%g' 3000 | xargs touch)
    printf '{"MapDirs": {"d": "/d"}}' >c.json
    make_image -c c.json /bin/true
    fsck_clean "$IMAGE"
    [ "$(inside 'ls -p /d' | grep -c long-file)" = 3000 ] || fail "files are lost"
}

test_free_space() {
    make_image /bin/true
    free=$(dumpe2fs -h "$IMAGE" 2>/dev/null | awk '/^Free blocks/ {print $3}')
    [ "$free" -ge 4096 ] || fail "$free free blocks"
    [ "$(du -k "$IMAGE" | cut -f1)" -lt 12000 ] || fail "the image is not sparse"
    printf '{"BaseVolumeSz": "100M"}' >c.json
    make_image -c c.json /bin/true
    [ "$(stat -c %s "$IMAGE")" = $((100 << 20)) ] || fail "BaseVolumeSz is ignored"
    printf '{"BaseVolumeSz": "1M"}' >c.json
    ops run -c c.json --kernel kernel.elf /bin/true
    want_error 1 'too small|cannot format' ''
}

test_second_run_rebuilds_nothing() {
    make_image -v /bin/true
    want_err 'image built'
    before=$(stat -c '%i %z' "$IMAGE" | cut -d' ' -f1)
    make_image -v /bin/true other arguments
    want_err 'image from the cache'
    make_image -v -e NEW=environment /bin/true
    want_err 'image from the cache'
    [ "$(ls "$XDG_CACHE_HOME"/ops/*.ext4 | wc -l)" = 1 ] || fail "there are more images"
    [ "$(stat -c %i "$IMAGE")" = "$before" ] || fail "the image was replaced"
}

test_change_rebuilds() {
    cp /bin/true app
    make_image -v ./app
    cp /bin/false app
    make_image -v ./app
    want_err 'image built'
}

test_reproducible() {
    make_image /usr/bin/lua5.4
    cp "$IMAGE" first
    rm -rf "$XDG_CACHE_HOME"
    (umask 077 && TZ=Asia/Tokyo make_image /usr/bin/lua5.4)
    cmp first "$XDG_CACHE_HOME"/ops/*.ext4 || fail "two builds differ"
}

test_runs_at_once() {
    : >kernel.elf
    export OPS_QEMU=$E2E_DIR/fake-qemu FAKE='echo exit 0 >&$CTL'
    for i in $(seq 12); do
        "$OPS" run --kernel kernel.elf /usr/bin/lua5.4 >/dev/null 2>"err$i" </dev/null || echo $i >>bad &
    done
    wait
    [ ! -e bad ] || fail "runs failed: $(cat err*)"
    [ "$(ls "$XDG_CACHE_HOME"/ops | grep -vx lock | wc -l)" = 1 ] || fail "$(ls "$XDG_CACHE_HOME"/ops)"
    fsck_clean "$XDG_CACHE_HOME"/ops/*.ext4
}

test_killed_while_building() {
    : >kernel.elf
    export OPS_QEMU=$E2E_DIR/fake-qemu FAKE='echo exit 0 >&$CTL'
    for delay in 0.01 0.02 0.03 0.05 0.08; do
        "$OPS" run --kernel kernel.elf /usr/bin/perl >/dev/null 2>&1 </dev/null &
        sleep $delay
        kill -KILL $! 2>/dev/null
        wait $! 2>/dev/null
    done
    cp /bin/true app # another image: its build sweeps what was left
    make_image /usr/bin/perl
    make_image ./app
    [ -z "$(ls "$XDG_CACHE_HOME/ops" | grep tmp-)" ] || fail "left: $(ls "$XDG_CACHE_HOME/ops")"
    for image in "$XDG_CACHE_HOME"/ops/*.ext4; do fsck_clean "$image"; done
}

test_interrupted_while_building() {
    : >kernel.elf
    export OPS_QEMU=$E2E_DIR/fake-qemu FAKE='echo exit 0 >&$CTL'
    for delay in 0.02 0.05 0.08; do
        "$OPS" run --kernel kernel.elf /usr/bin/perl >/dev/null 2>&1 </dev/null &
        sleep $delay
        kill -TERM $! 2>/dev/null
        wait $!
        [ -z "$(ls "$XDG_CACHE_HOME/ops" 2>/dev/null | grep tmp-)" ] || fail "left: $(ls "$XDG_CACHE_HOME/ops")"
    done
}

test_cache_that_cannot_be_written() {
    : >kernel.elf
    export OPS_QEMU=$E2E_DIR/fake-qemu TMPDIR=$T/tmp
    export FAKE='for w; do case $w in id=root,*file=*) e2fsck -fn "${w##*file=}" >&$OUT 2>&1; echo exit $? >&$CTL;; esac; done'
    mkdir tmp
    XDG_CACHE_HOME=/proc/none ops run --kernel kernel.elf /bin/true
    want_status 0
    want_no_err
    XDG_CACHE_HOME=/proc/none ops run -v --kernel kernel.elf /bin/true
    want_err 'the image is not kept: /proc/none/ops'
    [ -z "$(ls -A tmp)" ] || fail "left: $(ls tmp)"
}

test_disk_full() {
    [ "$(id -u)" = 0 ] || skip "mounting a small tmpfs needs root"
    mkdir small
    mount -t tmpfs -o size=2m tmpfs small 2>/dev/null || skip "tmpfs cannot be mounted here"
    trap 'umount "$T/small"' EXIT
    : >kernel.elf
    XDG_CACHE_HOME=$T/small ops run --kernel kernel.elf /usr/bin/perl
    want_error 1 'no space left' 'free some space'
    [ -z "$(ls small/ops | grep -v lock)" ] || fail "left: $(ls small/ops)"
    ops build --kernel kernel.elf -o small/disk /usr/bin/perl
    want_error 1 'no space left'
    [ "$(ls -A small)" = ops ] || fail "left: $(ls -A small)"
}

e2e_main "$@"
