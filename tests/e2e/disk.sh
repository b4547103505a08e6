#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a program writes to its root filesystem: on a disk that is kept, judged by
# e2fsck and debugfs; in the image cache, which must not change.
. "$(dirname "$0")/lib.sh"

# QEMU with the root on ./disk, a copy of the image (made once) with a journal.
keep_disk() {
    cat >qemu <<'SCRIPT'
#!/bin/bash
args=()
for a in "$@"; do
    case $a in
    id=root,*file=*)
        if [ ! -e disk ]; then
            cp --sparse=always "${a##*file=}" disk
            [ -n "${NO_JOURNAL-}" ] || tune2fs -J size=4 disk >/dev/null
        fi
        a=id=root,if=none,format=raw,file=disk
        ;;
    esac
    args+=("$a")
done
echo $$ >qemu.pid
exec qemu-system-x86_64 "${args[@]}"
SCRIPT
    chmod +x qemu
    export OPS_QEMU=$T/qemu
}

disk_is_clean() {
    e2fsck -fn disk >fsck 2>&1 || fail "e2fsck: $(head -c 600 fsck)"
    dumpe2fs -h disk 2>/dev/null >super
    grep -q needs_recovery super && fail "the journal is not empty"
    grep -q 'state: *clean' super || fail "$(grep state super)"
}

inside() { debugfs -R "$1" disk 2>/dev/null; }

writer() {
    cc_program app -static <<'C'
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    char name[64], buf[5000];
    mkdir("/data", 0750);
    int fd = open("/data/numbers", O_WRONLY | O_CREAT | O_TRUNC, 0640);
    for (int i = 0; i < 60000; i++)
        if (dprintf(fd, "%d\n", i) < 0)
            return 1;
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "/data/file number %d", i);
        int f = open(name, O_WRONLY | O_CREAT, 0644);
        memset(buf, 'a' + i % 26, sizeof buf);
        if (f < 0 || write(f, buf, sizeof buf) != sizeof buf)
            return 2;
        close(f);
    }
    for (int i = 0; i < 300; i += 2) {
        snprintf(name, sizeof name, "/data/file number %d", i);
        if (unlink(name))
            return 3;
    }
    if (symlink("numbers", "/data/link") || rename("/data/file number 1", "/data/one"))
        return 4;
    if (argc > 1 && !strcmp(argv[1], "abort"))
        abort();
    return 7;
}
C
}

written_is_there() {
    seq 0 59999 >want
    inside 'dump /data/numbers got' && cmp want got || fail "the content differs"
    [ "$(inside 'ls -p /data' | grep -v '^/0/' | grep -c 'file number')" = 149 ] || fail "$(inside 'ls -p /data')"
    inside 'stat /data/link' | grep -q 'Fast link dest: "numbers"' || fail "the link is lost"
    head -c 5000 /dev/zero | tr '\0' b >want
    inside 'dump /data/one got' && cmp want got || fail "the small file differs"
}

test_written_files_are_on_the_disk() {
    keep_disk
    writer
    for smp in 1 2; do
        rm -f disk
        ops run --smp $smp ./app
        want_status 7
        disk_is_clean
        written_is_there
    done
}

test_without_journal() {
    keep_disk
    export NO_JOURNAL=1
    writer
    ops run ./app
    want_status 7
    disk_is_clean
    written_is_there
}

test_a_crash_loses_nothing() {
    keep_disk
    writer
    ops run ./app abort
    want_status 134
    disk_is_clean
    written_is_there
}

test_what_was_written_is_read_next_time() {
    keep_disk
    cc_program app -static <<'C'
#include <stdio.h>
int main(void)
{
    int n = 0;
    FILE *f = fopen("/count", "r");
    if (f && fscanf(f, "%d", &n) != 1)
        return 1;
    f = fopen("/count", "w");
    fprintf(f, "%d", n + 1);
    return printf("%d\n", n + 1) < 0 || fclose(f);
}
C
    for n in 1 2 3; do
        ops run ./app
        want_out $n
    done
    disk_is_clean
}

test_the_cached_image_does_not_change() {
    unset OPS_QEMU
    writer
    ops run ./app
    want_status 7
    image=$(ls "$XDG_CACHE_HOME"/ops/*.ext4)
    sum=$(sha256sum <"$image")
    ops run ./app
    want_status 7
    [ "$sum" = "$(sha256sum <"$image")" ] || fail "the image was changed"
}

test_readonly_rootfs() {
    unset OPS_QEMU
    cc_program app -static <<'C'
#include <errno.h>
#include <fcntl.h>
int main(void)
{
    return open("/x", O_WRONLY | O_CREAT, 0644) < 0 ? errno : 0;
}
C
    ops run ./app
    want_status 0
    echo '{"ReadonlyRootfs": true}' >c.json
    ops run -c c.json ./app
    want_status 30
}

# Killed at any time: the journal is replayed, what was fsynced is there.
test_power_cut() {
    keep_disk
    cc_program app -static <<'C'
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    char name[64], buf[3000], got[3000];
    if (argc > 1) { /* verify */
        for (int i = 0; i < atoi(argv[1]); i++) {
            snprintf(name, sizeof name, "/data/%d", i);
            memset(buf, 'a' + i % 26, sizeof buf);
            int fd = open(name, O_RDONLY);
            if (fd < 0 || read(fd, got, sizeof got) != sizeof got || memcmp(buf, got, sizeof got))
                return printf("%s is lost\n", name), 1;
            close(fd);
        }
        return 0;
    }
    mkdir("/data", 0755);
    for (int i = 0;; i++) {
        snprintf(name, sizeof name, "/data/%d", i % 800);
        int fd = open(name, O_WRONLY | O_CREAT, 0644);
        memset(buf, 'a' + i % 800 % 26, sizeof buf);
        if (fd < 0 || write(fd, buf, sizeof buf) != sizeof buf || fsync(fd))
            return 1;
        close(fd);
        printf("%d\n", i % 800 + 1);
        fflush(stdout);
        snprintf(name, sizeof name, "/data/gone %d", i % 7);
        close(open(name, O_WRONLY | O_CREAT, 0644));
        unlink(name);
    }
}
C
    for after in 20 150 400; do
        rm -f disk
        : >out
        (timeout -k 5 $E2E_LIMIT "$OPS" run ./app >out 2>err </dev/null) &
        wait_for 30 eval "[ \$(wc -l <out) -ge $after ]"
        kill -9 "$(cat qemu.pid)"
        wait
        n=$(grep -c . out)
        [ "$n" -le 800 ] || n=800
        cp disk copy
        e2fsck -fy -E no_optimize_extents copy >fsck 2>&1
        grep -v 'lost+found not found' fsck | grep -q '? yes' && fail "e2fsck had to repair: $(head -c 600 fsck)"
        ops run ./app $((n - 1))
        want_status 0
        disk_is_clean
    done
}

# The loader brings the root, behind the manifest or as a module of its own: no disk is there.
test_root_in_memory() {
    writer
    cat >qemu <<'SCRIPT'
#!/bin/bash
args=()
while [ $# -gt 0 ]; do
    case $1,$2 in
    -drive,id=root,*) root=${2##*file=} ;;
    -device,*drive=root) ;;
    -initrd,*) manifest=$2 ;;
    *) args+=("$1") && shift && continue ;;
    esac
    shift 2
done
cat "$manifest" >module
head -c 1 /dev/zero >>module
truncate -s %4096 module
cat "$root" >>module
exec qemu-system-x86_64 "${args[@]}" -initrd module
SCRIPT
    chmod +x qemu
    export OPS_QEMU=$T/qemu
    for machine in microvm q35; do
        ops run --machine $machine -m 384M ./app
        want_status 7
    done
    truncate -s 3M module
    printf '#!/bin/bash\nargs=("$@")\nfor i in "${!args[@]}"; do [ "${args[i]}" = -initrd ] && args[i+1]=module; done\nexec qemu-system-x86_64 "${args[@]}"\n' >qemu
    ops run -m 384M ./app
    want_status 125
    grep -q "root" err || fail "not said why: $(said)"
}

e2e_main "$@"
