#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Volumes: made, filled, looked into and mounted.
. "$(dirname "$0")/lib.sh"

STORE() { echo "$XDG_DATA_HOME/ops/volumes"; }

volume() { ops volume "$@"; }

sound() { # NAME: e2fsck finds nothing at all
    e2fsck -fn "$(STORE)/$1.ext4" >fsck 2>&1 || fail "e2fsck: $(head -c 500 fsck)"
}

# A directory with everything that a copy can lose.
make_content() { # DIR
    mkdir -p "$1/sub/deep" "$1/empty"
    echo text >"$1/file" && chmod 640 "$1/file"
    echo run >"$1/sub/tool" && chmod 755 "$1/sub/tool"
    : >"$1/nothing"
    head -c 3000001 /dev/urandom >"$1/sub/deep/name with space"
    echo odd >"$1/-dash" && echo utf >"$1/größe"
    ln -s file "$1/link" && ln -s /tmp/absolute "$1/sub/absolute"
    ln -s "$(head -c 200 /dev/zero | tr '\0' x)" "$1/long"
    truncate -s 5G "$1/sparse" && echo middle | dd of="$1/sparse" bs=1 seek=3G conv=notrunc status=none
    touch -d @1234567890 "$1/file"
    chmod 1750 "$1/empty"
}

# Compares sizes, and data where either has any: gigabytes of holes take long to read.
same_sparse() { # FILE FILE
    python3 - "$1" "$2" <<'END'
import os, sys
fds = [os.open(name, os.O_RDONLY) for name in sys.argv[1:]]
size = os.fstat(fds[0]).st_size
same = size == os.fstat(fds[1]).st_size
for fd in fds:
    at = 0
    while same and at < size:
        try:
            at = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:
            break
        one, two = (os.pread(f, 1 << 20, at) for f in fds)
        same = one == two
        at += len(one)
sys.exit(not same)
END
}

same_tree() { # DIR DIR
    diff -r --no-dereference --exclude=sparse "$1" "$2" >differ || fail "content differs: $(head -3 differ)"
    same_sparse "$1/sparse" "$2/sparse" || fail "the sparse file differs"
    (cd "$1" && find . ! -type l -printf '%p %m %T@\n' | sed 's/\.[0-9]*$//' | sort) >one
    (cd "$2" && find . ! -type l -printf '%p %m %T@\n' | sed 's/\.[0-9]*$//' | sort) >two
    diff one two >differ || fail "modes or times differ: $(head -4 differ)"
    [ "$(du -k "$2/sparse" | cut -f1)" -lt 1000 ] || fail "the hole is filled"
}

test_owner() {
    mkdir -p data/sub
    echo text >data/sub/file
    volume create --owner 70000:42 -d data owned
    want_status 0
    volume ls -l owned:/sub
    want_out_has '70000 +42 .*file'
    sound owned
    ops run --mounts owned:/data "$(command -v busybox)" stat -c '%u %g' /data /data/sub/file
    want_out $'70000 42\n70000 42'
    volume create --owner 5 empty
    ops run --mounts empty:/data "$(command -v busybox)" stat -c '%u %g' /data
    want_out '5 5'
    for bad in x 5: -1 4294967295 5:6:7; do
        volume create --owner "$bad" bad
        want_error 2 "--owner $bad is no owner" '--owner 999:999'
    done
}

test_create_list_delete() {
    volume create data
    want_status 0 && want_no_err && want_out ''
    sound data
    dumpe2fs -h "$(STORE)/data.ext4" >super 2>/dev/null
    for feature in has_journal resize_inode extent 64bit flex_bg metadata_csum dir_index; do
        grep -q "features:.* $feature" super || fail "no $feature"
    done
    grep -q 'volume name: *data$' super || fail "the label is wrong"
    [ "$(stat -c %s "$(STORE)/data.ext4")" = $((64 << 20)) ] || fail "the default size is wrong"
    [ "$(du -k "$(STORE)/data.ext4" | cut -f1)" -lt 2000 ] || fail "it is not sparse"
    volume create -s 20M other
    volume list
    want_out_has '^data +64.0 MiB .* clean$'
    want_out_has '^other +20.0 MiB '
    volume list --json
    [ "$(python3 -c 'import json; print([(v["name"], v["sizeBytes"], v["inUse"]) for v in json.load(open("out"))])')" = \
        "[('data', 67108864, False), ('other', 20971520, False)]" ] || fail "$(cat out)"
    volume delete data other
    want_status 0
    [ -z "$(ls -A "$(STORE)")" ] || fail "left: $(ls -A "$(STORE)")"
    volume list
    want_status 0 && want_out ''
}

test_two_volumes_differ() {
    volume create a && volume create b
    volume info a --json && cp out one
    volume info b --json
    [ "$(python3 -c 'import json; print(json.load(open("one"))["uuid"] != json.load(open("out"))["uuid"])')" = True ] ||
        fail "two volumes have one UUID"
}

test_round_trip() {
    make_content d
    volume create data -s 100M -d d
    want_status 0 && want_no_err
    sound data
    volume cp -r data:/ copy
    want_status 0
    same_tree d copy
    volume cp -r d data:/again
    want_status 0
    sound data
    volume cp -r data:/again copy
    same_tree d copy/again
    volume cp -r d/. data:/again
    want_status 0
    sound data
    volume cp -r data:/again third
    same_tree d third
}

test_ls_tree_cat() {
    make_content d
    rm d/long
    volume create data -d d
    volume ls data
    want_out "$(LC_ALL=C ls -A d)"
    volume ls -l data:/sub
    want_out_has '^-rwxr-xr-x +1 +0 +0 +4 .* tool$'
    want_out_has '^lrwxrwxrwx .* absolute -> /tmp/absolute$'
    volume tree data:/sub
    want_out '/sub
|-- absolute -> /tmp/absolute
|-- deep
|   `-- name with space
`-- tool'
    volume cat data:/file data:/link data:/sub/tool
    want_out $'text\ntext\nrun'
    volume cat 'data:/sub/deep/name with space'
    cmp out 'd/sub/deep/name with space' || fail "cat differs"
    volume cat data:/sub
    want_error 1 'not a file'
    volume ls data:/none
    want_error 1 'there is no /none'
    volume tree data:/file
    want_error 1 'no directory'
}

test_cp_like_cp() {
    volume create data
    mkdir -p d/in && echo 1 >one && echo 2 >two && echo 3 >d/in/three
    volume cp one two data:/
    want_status 0
    volume cp one data:/renamed
    volume cp two data:/renamed
    volume cat data:/one data:/two data:/renamed
    want_out $'1\n2\n2'
    volume cp d data:/
    want_error 2 'is a directory' '-r copies'
    volume cp -r d data:/
    volume cat data:/d/in/three
    want_out 3
    volume cp one data:/none/x
    want_error 1 'there is no /none'
    volume cp one data:/none/
    want_error 1 'no directory'
    volume cp one two data:/renamed
    want_error 1 'no directory'
    volume cp -r one data:/d/in/three/x
    want_error 1 'no directory|file'
    volume cp one data:/d/in
    volume cp -r d/in data:/d/in/one
    want_error 1 'a file is there|no directory'
    volume cp none data:/
    want_error 1 'cannot open none'
    volume cp data:/one data:/x
    want_error 2 'both sides'
    volume cp one two
    want_error 2 'neither side'
    sound data
    mkdir to && volume cp data:/one data:/two to
    [ "$(cat to/one to/two)" = $'1\n2' ] || fail "copies: $(ls to)"
    volume cp data:/d to
    want_error 2 'is a directory' '-r copies'
    volume cp data:/one to/none/
    want_error 1 'no directory'
}

# A volume is not trusted: nothing is written through links that are there.
test_cp_out_stays_inside() {
    mkdir -p d/sub to && echo bad >d/sub/file && chmod 4755 d/sub/file
    volume create data -d d
    ln -s "$T/elsewhere" to/sub && mkdir elsewhere
    volume cp -r data:/. to
    want_error 1 'cannot write sub'
    [ -z "$(ls elsewhere)" ] || fail "written through a symlink"
    rm to/sub && volume cp -r data:/. to
    want_status 0
    [ "$(stat -c %a to/sub/file)" = 755 ] || fail "the set-id bit came out"
}

test_no_room() {
    volume create data -s 16M
    echo kept >kept && volume cp kept data:/
    head -c 30000000 /dev/urandom >large
    volume cp large data:/
    want_error 1 'too small: no room for /large' 'resize'
    sound data
    volume ls data
    want_out kept
    mkdir many && (cd many && seq 9000 | xargs touch)
    volume cp -r many data:/
    want_error 1 'no room'
    sound data
    volume create small -s 16M -d "$T"
    want_error 1 'too small|no room' 'larger size'
    want_no_file "$(STORE)/small.ext4"
    volume create tiny -s 1M
    want_error 2 'too little' 'least'
}

test_resize() {
    make_content d
    volume create data -s 100M -d d
    volume resize data 9G
    want_status 0 && want_no_err
    sound data
    volume info data --json
    want_out_has '"sizeBytes":.*9663676416'
    [ "$(du -k "$(STORE)/data.ext4" | cut -f1)" -lt 100000 ] || fail "it is not sparse"
    volume cp -r data:/ copy
    same_tree d copy
    volume resize data 9G
    want_status 0
    volume resize data 50M
    want_error 1 'data has 9.0 GiB; a filesystem is not shrunk'
    volume resize data much
    want_error 2 'not a size'
    sound data
}

test_names() {
    for name in '' .hidden a/b 'a b' 'a:b' -x seventeen-letters ops-root; do
        volume create -- "$name"
        want_error 2 'cannot be the name|own filesystems'
    done
    volume create data
    volume create data
    want_error 1 'there is a volume data already'
    volume ls dat
    want_error 1 'no volume dat' 'did you mean data'
    volume delete nothing
    want_error 1 'no volume nothing' 'ops volume list'
    volume delete ./file
    want_error 2 'not the name' 'rm'
    volume lst
    want_error 2 'no verb lst' 'list'
    volume ls
    want_error 2 'too few words' 'ops volume ls'
    volume ls --jso data
    want_error 2 'unknown option'
    uuid=$(dumpe2fs -h "$(STORE)/data.ext4" 2>/dev/null | awk '/UUID/ {print $3}')
    volume info "$uuid"
    want_out_has '^label +data'
    volume cp -r "$(STORE)/data.ext4:/" copy
    want_status 0
}

test_help() {
    for words in 'volume --help' 'help volume'; do
        ops $words
        want_status 0 && want_no_err
        want_out_has '^  create NAME'
    done
    volume cp --help
    want_out_has '^  -r, --recursive'
    volume
    want_status 2
}

test_two_creates_of_one_name() {
    mkdir d && head -c 9000000 /dev/urandom >d/file
    for i in 1 2 3 4; do
        "$OPS" volume create data -d d 2>"err$i" && echo $i >>won &
    done
    wait
    [ "$(wc -l <won)" = 1 ] || fail "$(wc -l <won) of 4 creates succeeded"
    [ "$(cat err? | grep -c 'there is a volume data already')" = 3 ] || fail "$(cat err?)"
    [ "$(ls -A "$(STORE)")" = data.ext4 ] || fail "left: $(ls -A "$(STORE)")"
    sound data
}

temp_there() { [ -n "$(ls -A "$(STORE)" 2>/dev/null | grep tmp)" ]; }

test_interrupted_create() {
    mkdir d && head -c 150000000 /dev/zero | tr '\0' x >d/file
    for signal in INT TERM HUP; do
        # (a shell starts what is in the background with SIGINT ignored)
        python3 -c 'import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])' \
            "$OPS" volume create data -d d >/dev/null 2>&1 </dev/null &
        pid=$!
        wait_for 20 temp_there || fail "it never began"
        python3 -c "import os, signal; os.kill($pid, signal.SIG$signal)" 2>/dev/null
        wait $pid && volume delete data # it was quicker
        [ -z "$(ls -A "$(STORE)")" ] || fail "SIG$signal left: $(ls -A "$(STORE)")"
    done
    "$OPS" volume create data -d d >/dev/null 2>&1 </dev/null &
    wait_for 20 temp_there || fail "it never began"
    kill -KILL $!
    wait $! 2>/dev/null
    volume create other
    want_status 0
    [ -z "$(ls -A "$(STORE)" | grep tmp)" ] || fail "left: $(ls -A "$(STORE)")"
}

test_interrupted_cp() {
    mkdir d && (cd d && seq 2000 | xargs touch) && head -c 90000000 /dev/zero | tr '\0' x >d/x
    volume create data -s 300M
    for signal in TERM KILL; do
        "$OPS" volume cp -r d data:/ >/dev/null 2>&1 </dev/null &
        pid=$!
        wait_for 20 used_grows || fail "it never began"
        kill -$signal $pid
        wait $pid 2>/dev/null
        if [ $signal = TERM ]; then
            sound data
        else
            volume check --repair data
            want_status 0
        fi
        volume check data
        want_status 0
        want_out 'data: the filesystem is sound'
        volume delete data
        volume create data -s 300M
    done
}

used_grows() { [ "$(du -k "$(STORE)/data.ext4" | cut -f1)" -gt 8000 ]; }

test_damage() {
    make_content d
    volume create data -s 100M -d d
    volume check data
    want_status 0
    want_out 'data: the filesystem is sound'
    debugfs -w -R 'sif /file links_count 7' "$(STORE)/data.ext4" 2>/dev/null
    volume check data
    want_status 1
    want_out 'data: the filesystem is damaged'
    volume check --repair data
    want_status 0
    volume check data
    want_status 0
    debugfs -w -R 'ssv state 0' "$(STORE)/data.ext4" 2>/dev/null
    echo x >x && volume cp x data:/
    want_error 1 'damaged' 'check --repair'
    ops run --mounts data:/data /bin/true
    want_error 1 'the volume data is damaged' 'check --repair'
    head -c 9000000 /dev/urandom >"$(STORE)/noise.ext4"
    volume ls noise
    want_error 1 'holds no ext4 filesystem'
    volume list
    want_out_has '^noise +.* holds no ext4'
}

test_fuzzed_volumes_never_crash() {
    mkdir -p d/sub && seq 20000 >d/sub/file && ln -s sub/file d/link
    volume create data -s 8M -d d
    for seed in $(seq 40); do
        cp "$(STORE)/data.ext4" broken
        python3 -c "
import random, sys
r = random.Random($seed)
with open('broken', 'r+b') as f:
    for _ in range(60):
        f.seek(r.choice([1024 + r.randrange(1024), r.randrange(2 << 20)]))
        f.write(bytes([r.randrange(256)]))"
        for words in 'ls -l ./broken' 'tree ./broken' 'info ./broken' 'cp -r ./broken:/ back' 'cat ./broken:/sub/file'; do
            rm -rf back && volume $words 2>/dev/null
            [ $STATUS -lt 124 ] || fail "seed $seed: volume $words ended with $STATUS"
        done
    done
}

# A machine that has the volume until its standard input says so.
machine_start() { # MOUNT
    : >kernel.elf
    mkfifo go
    OPS_QEMU=$E2E_DIR/fake-qemu FAKE_PID=$T/pid FAKE='cat go >/dev/null; echo exit 0 >&$CTL' \
        "$OPS" run --kernel kernel.elf --mounts "$1" /bin/true >/dev/null 2>machine-err </dev/null &
    MACHINE=$!
    wait_for 30 test -s pid || fail "no machine: $(cat machine-err)"
}

test_in_use() {
    volume create data
    echo x >x && volume cp x data:/
    machine_start data:/data
    for words in 'delete data' 'resize data 1G' 'cp x data:/y' 'check data' 'check --repair data'; do
        volume $words
        want_error 1 'is in use by a running machine'
    done
    ops run --mounts data:/data /bin/true
    want_error 1 'is in use'
    ops run --mounts data:/data:ro /bin/true
    want_error 1 'is in use'
    volume cat data:/x
    want_status 0
    want_out x
    want_err 'in use: what is shown may be incomplete'
    volume info data
    want_out_has '^inUse +yes'
    echo >go
    wait $MACHINE || fail "the machine failed: $(cat machine-err)"
    volume delete data
    want_status 0
}

test_read_only_is_shared() {
    volume create data
    echo x >x && volume cp x data:/
    machine_start data:/data:ro
    volume cp x data:/y
    want_error 1 'is in use'
    ops run --mounts data:/d:ro /bin/cat /d/x
    want_status 0
    want_out x
    echo >go
    wait $MACHINE
    true
}

# Old volumes have files without extents: they are written, and e2fsck finds nothing to say.
test_a_volume_of_ext3() {
    local disk
    volume create data -s 64M
    disk=$(STORE)/data.ext4
    mke2fs -q -F -t ext3 -b 1024 -L data "$disk" >/dev/null 2>&1
    debugfs -R 'stats' "$disk" 2>/dev/null | grep -q 'features:.* extent' && fail "it has extents"
    for i in 1 2; do
        ops run --mounts data:/data /bin/dd if=/bin/dd of=/data/copy$i bs=64k
        want_status 0
        sound data
    done
    ops run --mounts data:/data /bin/rm /data/copy1
    want_status 0
    sound data
    debugfs -R 'dump /copy2 got' "$disk" 2>/dev/null
    cmp /bin/dd got || fail "the copy differs"
    debugfs -R 'stat /copy2' "$disk" 2>/dev/null | grep -q '(IND)' || fail "no indirect blocks"
}

test_mounted_files_are_read() {
    make_content d
    volume create data -s 100M -d d
    ops run --mounts data:/data /usr/bin/sha256sum '/data/sub/deep/name with space' /data/file
    want_status 0
    want_out "$(cd d && sha256sum 'sub/deep/name with space' file | sed 's: \([^ ]*\)\( \|$\): \1\2:; s:  :  /data/:')"
    ops run --mounts data:/new/mount/point /usr/bin/stat -c '%a %s %F' /new/mount/point/empty /new/mount/point/sparse
    want_out $'1750 4096 directory\n644 5368709120 regular file'
    ops run --mounts data:/data -- /bin/cat /proc/mounts
    want_out_has '^vd[a-z] /data ext4 rw 0 0$'
}

test_what_is_written_stays() {
    volume create data
    for smp in 1 2; do
        ops run --smp $smp --mounts data:/data /usr/bin/python3 -c "
import os
with open('/data/file$smp', 'w') as f:
    f.write('x' * 3000000)
os.makedirs('/data/a/b$smp')
os.symlink('x', '/data/link$smp')"
        want_status 0
        sound data
    done
    volume ls data
    want_out $'a\nfile1\nfile2\nlink1\nlink2'
    volume cp data:/file2 file
    [ "$(wc -c <file)" = 3000000 ] || fail "$(wc -c <file) bytes"
    ops run --mounts data:/data:ro /usr/bin/touch /data/more
    want_status 1
    want_err 'Read-only file system'
    ops run --mounts data:/data /usr/bin/sort /data/none -o /data/sorted
    sound data
}

# A machine that is killed leaves a journal; the next who looks replays it.
test_killed_machine() {
    volume create data
    cat >write.py <<'END'
import os, sys
for i in range(100000):
    fd = os.open('/data/file%d' % i, os.O_CREAT | os.O_WRONLY)
    os.write(fd, b'%d' % i)
    os.fsync(fd)
    os.close(fd)
    print(i, flush=True)
END
    "$OPS" run --mounts data:/data -c /dev/stdin /usr/bin/python3 /host/write.py >progress 2>err \
        <<<"{\"MapDirs\": {\"$T/write.py\": \"/host/write.py\"}}" &
    pid=$!
    wait_for 60 grep -q '^30$' progress || fail "it does not write: $(said)"
    kill -KILL $pid
    wait $pid 2>/dev/null
    wait_for 20 unlocked || fail "the lock stays"
    last=$(grep -cE '^[0-9]+$' progress)
    volume ls data
    want_status 0 && want_no_err
    [ "$(wc -l <out)" -ge $((last - 1)) ] || fail "$(wc -l <out) files are there, $last were synced"
    volume check data
    want_status 0
}

unlocked() { flock -n "$(STORE)/data.ext4" true; }

test_several() {
    for i in 1 2 3 4 5; do
        mkdir d$i && echo $i >d$i/file && volume create v$i -d d$i
    done
    ops run --mounts v3:/c --mounts v2:/a/b --mounts v1:/a --mounts v4:/d/e:ro /bin/cat /a/file /a/b/file /c/file /d/e/file
    want_status 0
    want_out $'1\n2\n3\n4'
    ops run --mounts v1:/1 --mounts v2:/2 --mounts v3:/3 --mounts v4:/4 --mounts v5:/5 /bin/true
    want_error 2 'room for 4 volumes, not 5' 'q35'
    ops run --machine q35 --mounts v1:/1 --mounts v2:/2 --mounts v3:/3 --mounts v4:/4 --mounts v5:/5 /bin/cat /1/file /5/file
    want_out $'1\n5'
}

test_mount_errors() {
    volume create data
    ops run --mounts dta:/data /bin/true
    want_error 1 'no volume dta' 'did you mean data'
    ops run --mounts data:data /bin/true
    want_error 2 'must be an absolute path'
    ops run --mounts data /bin/true
    want_error 2 'says not what is mounted where'
    ops run --mounts data:/ /bin/true
    want_error 2 'the root cannot be replaced'
    ops run --mounts data:/proc/x /bin/true
    want_error 2 'mounts its own on /proc'
    ops run --mounts data:/a --mounts other:/a/ /bin/true
    want_error 2 'two volumes .* on /a'
    ops run --mounts data:/a --mounts data:/b /bin/true
    want_error 2 'mounted twice'
    ops run --mounts data:/bin/true /bin/true
    want_error 1 'directory and a file'
    cp "$(STORE)/data.ext4" copy
    ops run --mounts data:/a --mounts ./copy:/b /bin/true
    want_error 1 'the same UUID' 'tune2fs'
    ops build -o disk --mounts ./copy:/b /bin/true
    want_error 2 'by label or UUID'
    ops build -o disk /bin/true
    ops run --mounts ./disk:/b /bin/true
    want_error 1 'system image'
}

test_configuration() {
    mkdir sub && echo hello >sub/x
    volume create data -d sub
    cp "$(STORE)/data.ext4" sub/file.ext4
    tune2fs -U random sub/file.ext4 >/dev/null 2>&1
    echo '{"Mounts": {"data": "/a", "./file.ext4": "/b:ro"}}' >sub/c.json
    ops run -c sub/c.json /bin/cat /a/x /b/x
    want_status 0
    want_out $'hello\nhello'
    echo '{"Mounts": {"data": "a"}}' >c.json
    ops run -c c.json /bin/true
    want_error 2 'must start with a slash'
    echo '{"Mounts": ["data"]}' >c.json
    ops run -c c.json /bin/true
    want_error 2 'Mounts must be an object'
}

# boot VOLUME...: the disk with volumes beside it; the serial line in out.
boot() {
    local drives=()
    for v in "$@"; do drives+=(-drive "file=$v,format=raw,if=virtio"); done
    timeout $E2E_LIMIT qemu-system-x86_64 -M q35 -accel tcg -cpu max -m 128 -nodefaults -display none \
        -serial stdio -no-reboot -device isa-debug-exit,iobase=0x501,iosize=4 \
        -drive file=disk,format=raw,if=virtio "${drives[@]}" >out 2>err </dev/null
    tr -d '\r' <out >serial
}

test_disk_finds_volumes_by_label() {
    mkdir d && echo hello >d/x && volume create data -d d
    volume create other
    ops build -o disk --mounts data:/data /bin/cat /data/x
    want_status 0
    boot "$(STORE)/other.ext4" "$(STORE)/data.ext4"
    grep -qx hello serial || fail "$(tail -5 serial)"
    boot "$(STORE)/other.ext4"
    grep -q 'cannot mount volume data:/data: no disk has that label or UUID' serial || fail "$(tail -5 serial)"
    grep -q 'exit status 127' serial || fail "$(tail -5 serial)"
    cp "$(STORE)/data.ext4" copy
    boot "$(STORE)/data.ext4" copy
    grep -q 'several disks have that label or UUID' serial || fail "$(tail -5 serial)"
    grep -q hello serial && fail "it started all the same"
    true
}

test_read_only_root() {
    ops run --read-only /usr/bin/touch /file
    want_status 1
    want_err 'Read-only file system'
    echo '{"ManifestPassthrough": {"readonly_rootfs": true}}' >c.json
    ops run -c c.json /usr/bin/touch /file
    want_err 'Read-only file system'
    ops run /usr/bin/touch /file
    want_status 0
}

e2e_main "$@"
