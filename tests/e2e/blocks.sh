#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Disks of all kinds under a filesystem: SCSI, large sectors, many queues, errors, trim.
. "$(dirname "$0")/lib.sh"

# disk_with ROOT_DRIVE... : QEMU with the root on ./disk, a kept copy of the image, on the device
# that $DEVICE names; `BUS` in it becomes the bus (pci or device). MACHINE: instead of q35.
disk_with() {
    DEVICE="$*"
    export DEVICE
    cat >qemu <<'SCRIPT'
#!/bin/bash
args=()
for a in "$@"; do
    case $a in
    id=root,*file=*)
        if [ ! -e disk ]; then
            cp --sparse=always "${a##*file=}" disk
            tune2fs -J size=4 disk >/dev/null
        fi
        a=id=root,if=none,format=raw,discard=unmap,file=disk
        ;;
    q35,*) a=${MACHINE-q35}${a#q35} ;;
    virtio-blk-*,drive=root)
        bus=${a#virtio-blk-}
        read -ra words <<<"${DEVICE//BUS/${bus%%,*}}"
        args+=("${words[@]}")
        continue
        ;;
    esac
    args+=("$a")
done
exec qemu-system-x86_64 "${args[@]}"
SCRIPT
    chmod +x qemu
    export OPS_QEMU=$T/qemu
}

SCSI="virtio-scsi-BUS,id=scsi -device scsi-hd,bus=scsi.0,drive=root"
BLK="virtio-blk-BUS,drive=root"
LARGE=logical_block_size=4096,physical_block_size=4096

disk_is_clean() {
    e2fsck -fn disk >fsck 2>&1 || fail "e2fsck: $(head -c 600 fsck)"
}

# Threads that write, sync, and read again what they wrote; then all is gone but one file.
make_app() {
    cc_program app -static -pthread <<'C'
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
enum { THREADS = 4, FILES = 6, SIZE = 400000 };
static int failed;
static void fill(char *buf, int seed)
{
    unsigned v = seed * 2654435761u + 1;
    for (int i = 0; i < SIZE; i++)
        buf[i] = (v = v * 1664525 + 1013904223) >> 24;
}
static void *work(void *arg)
{
    int n = (int)(long)arg;
    char name[40], *buf = malloc(SIZE), *got = malloc(SIZE);
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "/data/%d.%d", n, i);
        fill(buf, n * 100 + i);
        int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
        if (fd < 0 || write(fd, buf, SIZE) != SIZE || fsync(fd) ||
            posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) || pread(fd, got, SIZE, 0) != SIZE ||
            memcmp(buf, got, SIZE))
            perror(name), failed = 1;
        close(fd);
        if (i && unlink(name))
            failed = 1;
    }
    free(buf), free(got);
    return NULL;
}
int main(int argc, char **argv)
{
    pthread_t t[THREADS];
    mkdir("/data", 0755);
    for (long i = 0; i < THREADS; i++)
        pthread_create(&t[i], NULL, work, (void *)i);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    if (argc > 1) {
        struct fstrim_range r = {.len = ~0ull, .minlen = atoi(argv[1])};
        int fd = open("/data", O_RDONLY);
        if (ioctl(fd, FITRIM, &r))
            return printf("trim: %s\n", strerror(errno)), 0;
        printf("trimmed %llu MiB\n", (unsigned long long)r.len >> 20);
        r = (struct fstrim_range){.start = ~0ull, .len = 4096};
        if (!ioctl(fd, FITRIM, &r) || errno != EINVAL)
            return 3;
    }
    return failed;
}
C
}

# What the program left is what it wrote.
content_is_right() {
    python3 - <<'END' || fail "a file differs"
import subprocess, sys
for n in range(4):
    v = (n * 100 * 2654435761 + 1) & 0xffffffff
    want = bytearray()
    for i in range(400000):
        v = (v * 1664525 + 1013904223) & 0xffffffff
        want.append(v >> 24)
    got = subprocess.run(["debugfs", "-R", f"cat /data/{n}.0", "disk"], capture_output=True).stdout
    if got != want:
        sys.exit(1)
END
}

run_everywhere() { # the device of the root is in $DEVICE
    run_with '--smp 1' '--smp 2' '--machine q35 --smp 1' '--machine q35 --smp 4' "$@"
}

run_on_pci() {
    run_with '--machine q35 --smp 1' '--machine q35 --smp 2' "$@"
}

# run_with OPTIONS... [ARGUMENT...]: OPTIONS begin with a dash.
run_with() {
    local all=()
    while [[ ${1-} = -* ]]; do
        all+=("$1")
        shift
    done
    for options in "${all[@]}"; do
        rm -f disk
        ops run $options ./app "$@"
        [ "$STATUS" = 0 ] || fail "$DEVICE $options: status $STATUS: $(cat out) $(said)"
        disk_is_clean
    done
    content_is_right
}

test_scsi_root() {
    make_app
    disk_with "$SCSI"
    run_everywhere
    disk_with "$SCSI,scsi-id=7,lun=300"
    run_everywhere
}

test_more_queues_than_cpus() {
    make_app
    for device in "virtio-blk-BUS,drive=root,num-queues=3" \
        "virtio-scsi-BUS,num_queues=3,id=scsi -device scsi-hd,bus=scsi.0,drive=root"; do
        disk_with "$device"
        run_everywhere
    done
}

test_short_queues() {
    make_app
    for device in "virtio-blk-BUS,drive=root,queue-size=4,seg-max-adjust=on" \
        "virtio-blk-BUS,drive=root,event_idx=off,indirect_desc=off" \
        "virtio-scsi-BUS,virtqueue_size=5,id=scsi -device scsi-hd,bus=scsi.0,drive=root"; do
        disk_with "$device"
        run_everywhere
    done
}

test_large_sectors() {
    make_app
    for device in "$BLK,$LARGE" "$SCSI,$LARGE"; do
        disk_with "$device"
        run_everywhere
    done
}

# Devices of before virtio 1.0: disk, SCSI, entropy, console and network, with and without MSI-X.
test_legacy_devices() {
    make_app
    for more in '' ,vectors=0; do
        cat >legacy <<SCRIPT
#!/bin/bash
args=()
for a in "\$@"; do
    case \$a in
    virtio-rng-pci* | virtio-balloon-pci*) a=\$a,disable-modern=on ;;
    virtio-*-pci*) a=\$a,disable-modern=on$more ;;
    esac
    args+=("\$a")
done
exec qemu-system-x86_64 "\${args[@]}"
SCRIPT
        chmod +x legacy
        for device in "$BLK" "$SCSI"; do
            disk_with "$device"
            sed -i "s|exec qemu-system-x86_64|exec $T/legacy|" qemu
            run_on_pci
        done
    done
}

NVME="nvme,drive=root,serial=one"

# A pair of queues for each CPU, fewer than that, and one that all share.
test_nvme_root() {
    make_app
    for device in "$NVME" "nvme,serial=x,id=n -device nvme-ns,drive=root,bus=n,nsid=3" "$NVME,max_ioqpairs=1" "$NVME,mdts=1" "$NVME,msix_qsize=1" "$NVME,$LARGE"; do
        disk_with "$device"
        run_on_pci
    done
}

# Freed blocks of the disk are given back to the host.
trim_gives_back() { # OPTIONS of ops run
    ops run "$@" ./app 0
    want_status 0
    grep -q '^trimmed [1-9][0-9]* MiB$' out || fail "$DEVICE: $(cat out) $(said)"
    fallocate -l "$(stat -c %s disk)" disk # nothing of it is a hole
    before=$(du -k disk | cut -f1)
    ops run "$@" ./app 0
    want_status 0
    disk_is_clean
    content_is_right
    after=$(du -k disk | cut -f1)
    [ "$after" -lt $((before / 2)) ] || fail "$before KiB before, $after after: $(cat out)"
}

test_trim_on_pci() {
    make_app
    for device in "$NVME" "$NVME,$LARGE" "$AHCI"; do
        rm -f disk
        disk_with "$device"
        trim_gives_back --machine q35
    done
}

AHCI="ahci,id=hba -device ide-hd,bus=hba.0,drive=root"

test_ahci_root() {
    make_app
    disk_with "$AHCI"
    run_on_pci
}

# The oldest of controllers, as in QEMU's machine of the type pc.
test_ide_root() {
    make_app
    export MACHINE=pc
    for device in ide-hd,bus=ide.0,drive=root ide-hd,bus=ide.1,unit=1,drive=root; do
        disk_with $device
        run_on_pci
    done
}

# A CD, whose blocks have 2048 bytes, with the filesystem itself and with the image of a disk that
# counts in 512 bytes.
test_optical_root() {
    seq 100000 >numbers
    printf '{"ReadonlyRootfs": true, "Files": ["%s/numbers"]}' "$T" >c.json
    for kind in sr0 sr0p1; do
        for smp in 1 2; do
            export MACHINE=$([ $smp = 1 ] && echo pc || echo q35) # IDE, and AHCI
            disk_with ide-cd,bus=ide.1,drive=root
            ops run --machine q35 --smp $smp -c c.json /usr/bin/python3 -c "
print(open('/proc/mounts').readline().split()[0])
print(sum(int(n) for n in open('$T/numbers')))"
            want_status 0
            want_out "$kind"$'\n5000050000'
        done
        cp disk plain
        bytes=$(stat -c %s plain)
        truncate -s $((bytes + (2 << 20))) disk
        sgdisk -o -n "1:2048:$((2048 + bytes / 512 - 1))" disk >sgdisk 2>&1 || fail "$(cat sgdisk)"
        dd if=plain of=disk bs=1M seek=1 conv=notrunc status=none
    done
}

# A filesystem with blocks smaller than the disk's is refused.
test_blocks_smaller_than_sectors() {
    mke2fs -q -t ext4 -b 1024 -L small small.ext4 64M 2>/dev/null
    cp small.ext4 before
    cat >qemu <<SCRIPT
#!/bin/bash
exec qemu-system-x86_64 "\${@/%,drive=volume0/,drive=volume0,$LARGE}"
SCRIPT
    chmod +x qemu
    OPS_QEMU=$T/qemu ops run --mounts ./small.ext4:/data /bin/true
    want_status 127
    want_err 'blocks of 1024 bytes, but the disk has 4096'
    want_err 'cannot mount volume'
    cmp small.ext4 before || fail "it was written"
}

test_trim() {
    make_app
    for device in "$BLK" "$SCSI" "$SCSI,$LARGE"; do
        disk_with "$device"
        run_everywhere 0
        trim_gives_back
        ops run ./app 200000000
        want_out_has '^trim: Invalid argument'
    done
    disk_with "$BLK,discard=off"
    ops run ./app 0
    want_out 'trim: Operation not supported'
}

# The disk fails where one file has its content: EIO for who reads it, and only there.
test_read_errors() {
    mkdir d && head -c 1000000 /dev/urandom >d/bad && echo fine >d/good
    ops volume create data -d d
    file=$XDG_DATA_HOME/ops/volumes/data.ext4
    block=$(debugfs -R 'bmap /bad 100' "$file" 2>/dev/null)
    sector=$((block * 8))
    for kind in blk scsi nvme ahci; do
        machine=microvm name=sda
        case $kind in
        blk) device=virtio-blk-device,drive=volume0 name=vdb ;;
        scsi) device='virtio-scsi-device -device scsi-hd,drive=volume0' ;;
        nvme) device=nvme,serial=x,drive=volume0 name=nvme0n1 machine=q35 ;;
        ahci) device=ide-hd,bus=ide.0,drive=volume0 machine=q35 ;; # which has an adapter
        esac
        cat >qemu <<SCRIPT
#!/bin/bash
args=()
for a in "\$@"; do
    case \$a in
    id=volume0,*) a=id=volume0,if=none,driver=raw,file.driver=blkdebug,file.image.driver=file,file.image.filename=$file,file.inject-error.0.event=read_aio,file.inject-error.0.errno=5,file.inject-error.0.sector=$sector,rerror=report ;;
    virtio-blk-*,drive=volume0) args+=($device); continue ;;
    esac
    args+=("\$a")
done
exec qemu-system-x86_64 "\${args[@]}"
SCRIPT
        chmod +x qemu
        OPS_QEMU=$T/qemu ops run --machine $machine --mounts data:/data /usr/bin/python3 -c '
import errno
print(open("/data/good").read().strip())
f = open("/data/bad", "rb", buffering=0)
print(len(f.read(4096)))
f.seek(100 * 4096)
try:
    f.read(4096)
except OSError as e:
    print(errno.errorcode[e.errno])'
        want_status 0
        want_out $'fine\n4096\nEIO'
        want_err "^kernel: error: $name: I/O error: read at sector [0-9]+\$"
        told=$(sed -n "s/.*$name: I.O error: read at sector //p" err | head -1)
        [ "$told" -le $sector ] && [ $((told + 2048)) -gt $sector ] || fail "sector $told, not $sector"
    done
}

test_write_errors() {
    ops volume create data
    file=$XDG_DATA_HOME/ops/volumes/data.ext4
    cat >qemu <<SCRIPT
#!/bin/bash
args=()
for a in "\$@"; do
    case \$a in
    id=volume0,*) a=id=volume0,if=none,driver=raw,file.driver=blkdebug,file.image.driver=file,file.image.filename=$file,file.inject-error.0.event=write_aio,file.inject-error.0.errno=5,werror=report ;;
    esac
    args+=("\$a")
done
exec qemu-system-x86_64 "\${args[@]}"
SCRIPT
    chmod +x qemu
    OPS_QEMU=$T/qemu ops run --mounts data:/data /usr/bin/python3 -c '
import errno, os
try:
    f = open("/data/x", "wb", buffering=0)
    f.write(b"x" * 100000)
    os.fsync(f.fileno())
    print("it was written")
except OSError as e:
    print(errno.errorcode[e.errno])'
    want_out EIO
    want_err '^kernel: error: vdb: I/O error: write at sector [0-9]+$'
}

e2e_main "$@"
