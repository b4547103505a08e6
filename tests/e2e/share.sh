#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Directories of the host in the guest: what a program does in one, done here too, and compared.
. "$(dirname "$0")/lib.sh"

E2E_LIMIT=180

# Everything that one can tell about a tree, but for times and numbers that differ anyway.
tree_text() { # DIR
    (cd "$1" && find . -printf '%P|%y|%m|%n|%l|' \( -type f -printf '%s' -o -true \) -printf '\n' |
        LC_ALL=C sort
    find . -type f -exec sha256sum {} + | LC_ALL=C sort)
}

same_tree() { # DIR DIR
    tree_text "$1" >one && tree_text "$2" >two
    diff one two >differ || fail "trees differ: $(head -c 600 differ)"
}

# both SCRIPT: python with DIR as the directory, run here in ./h and in the guest on ./g.
both() {
    mkdir -p h g
    cp "$1" g.py && cp "$1" h.py
    DIR=$T/h /usr/bin/python3 h.py >h.out 2>&1 || fail "on the host: $(tail -3 h.out)"
    shift
    ops run -e DIR=/s --share g:/s --share "$T:/scripts:ro" "$@" /usr/bin/python3 /scripts/g.py
    cat err >>out
    diff h.out out >differ || fail "says otherwise: $(head -c 600 differ)"
    want_status 0
}

names_and_files() {
    cat >names.py <<'END'
import errno, hashlib, mmap, os, random
D = os.fsencode(os.environ['DIR'])
os.umask(0)
p = lambda *names: os.path.join(D, *names)
def write(name, data, flags=os.O_CREAT | os.O_WRONLY | os.O_TRUNC, mode=0o644):
    fd = os.open(name, flags, mode)
    while data:
        data = data[os.write(fd, data):]
    os.close(fd)
def fails(f, *args):
    try:
        f(*args)
    except OSError as e:
        print(f.__name__, errno.errorcode[e.errno])
    else:
        print(f.__name__, 'works')
# Every byte that a name may have, alone and in company.
os.mkdir(p(b'bytes'))
for b in range(1, 256):
    if b not in (0x2f, 0x2e):
        write(p(b'bytes', bytes([b])), bytes([b]) * b)
        os.mkdir(p(b'bytes', b'dir' + bytes([b])))
write(p(b'n' * 255), b'long')
fails(os.open, p(b'n' * 256), os.O_CREAT | os.O_RDWR)
print(len(os.listdir(p(b'bytes'))), sorted(os.listdir(p(b'bytes')))[:5])
# Modes, links, times.
for mode in (0o600, 0o444, 0o000, 0o7755, 0o640):
    write(p(b'mode%o' % mode), b'x', mode=mode)
os.chmod(p(b'mode640'), 0o4711)
os.link(p(b'mode600'), p(b'twin'))
print(os.stat(p(b'twin')).st_nlink, os.path.samefile(p(b'twin'), p(b'mode600')))
os.symlink(b'mode600', p(b'link')); os.symlink(b'/no/where', p(b'dangling'))
os.symlink(b'x' * 4000, p(b'longlink'))
os.symlink(b'self', p(b'self'))
print(len(os.readlink(p(b'longlink'))), os.path.exists(p(b'link')), os.path.exists(p(b'dangling')))
fails(os.stat, p(b'self'))
fails(os.open, p(b'link'), os.O_RDONLY | os.O_NOFOLLOW)
os.utime(p(b'twin'), ns=(10**18, 123456789 * 10**9 + 987654321))
print(os.stat(p(b'twin')).st_mtime_ns, os.stat(p(b'twin')).st_atime_ns)
# Errors.
fails(os.mkdir, p(b'bytes')); fails(os.rmdir, p(b'bytes')); fails(os.rmdir, p(b'twin'))
fails(os.unlink, p(b'bytes')); fails(os.stat, p(b'none')); fails(os.stat, p(b'twin/x'))
fails(os.open, p(b'twin'), os.O_CREAT | os.O_EXCL | os.O_RDWR)
fails(os.open, p(b'bytes'), os.O_RDWR); fails(os.open, p(b'twin'), os.O_DIRECTORY)
fails(os.rename, p(b'bytes'), p(b'bytes', b'below')); fails(os.rename, p(b'bytes'), p(b'twin'))
fails(os.listdir, p(b'twin')); fails(os.truncate, p(b'none'), 1); fails(os.truncate, p(b'bytes'), 1)
# Content: holes, appending, cutting, odd places.
r = random.Random(1)
model = bytearray()
fd = os.open(p(b'model'), os.O_CREAT | os.O_RDWR)
for i in range(150):
    at, n = r.randrange(300000), r.randrange(1, 20000)
    what = r.randrange(10)
    if what < 6:
        data = r.randbytes(n)
        os.pwrite(fd, data, at)
        if at > len(model):
            model += bytes(at - len(model))
        model[at:at + n] = data
    elif what < 7:
        os.ftruncate(fd, at)
        model = model[:at] + bytes(max(0, at - len(model)))
    else:
        assert os.pread(fd, n, at) == bytes(model[at:at + n])
    assert os.fstat(fd).st_size == len(model)
print(hashlib.sha256(model).hexdigest())
os.close(fd)
fd = os.open(p(b'append'), os.O_CREAT | os.O_RDWR | os.O_APPEND)
for i in range(20):
    os.write(fd, b'line %d\n' % i); os.lseek(fd, 0, os.SEEK_SET)
os.write(fd, b'end\n')
print(os.lseek(fd, 0, os.SEEK_CUR), os.lseek(fd, 0, os.SEEK_END))
os.close(fd)
# Names that go while the file is used.
fd = os.open(p(b'gone'), os.O_CREAT | os.O_RDWR)
os.write(fd, b'0123456789' * 1000)
os.unlink(p(b'gone'))
write(p(b'gone'), b'another')
print(os.fstat(fd).st_size, os.fstat(fd).st_nlink, os.pread(fd, 4, 9996))
os.ftruncate(fd, 5); os.pwrite(fd, b'Z', 8)
print(os.pread(fd, 100, 0), os.fstat(fd).st_size)
os.close(fd)
fd = os.open(p(b'over'), os.O_CREAT | os.O_RDWR); os.write(fd, b'old')
write(p(b'newer'), b'new'); os.rename(p(b'newer'), p(b'over'))
print(os.pread(fd, 9, 0), open(p(b'over'), 'rb').read(), os.fstat(fd).st_nlink)
os.close(fd)
os.makedirs(p(b'a/b/c')); write(p(b'a/b/c/f'), b'deep'); os.rename(p(b'a/b'), p(b'moved'))
fails(os.stat, p(b'a/b')); print(open(p(b'moved/c/f'), 'rb').read())
here = os.open(p(b'moved'), os.O_DIRECTORY); os.fchdir(here); print(os.getcwdb()[len(D):])
os.rename(p(b'moved'), p(b'again')); print(os.stat(b'c/f').st_size, os.getcwdb()[len(D):])
os.chdir(b'/')
# Mappings.
fd = os.open(p(b'map'), os.O_CREAT | os.O_RDWR); os.ftruncate(fd, 100001)
m = mmap.mmap(fd, 100001)
m[5000:5005] = b'mmap1'; m[100000] = 0x7a
print(os.pread(fd, 5, 5000)); os.pwrite(fd, b'write', 70000); print(m[70000:70005])
m.flush(); m[1:3] = b'ab'; os.close(fd); m.close()
# A directory that is read while it shrinks: what stays is seen once.
os.mkdir(p(b'shrink'))
for i in range(600):
    write(p(b'shrink', b'%d' % i), b'')
seen = []
for e in os.scandir(p(b'shrink')):
    seen.append(e.name)
    if int(e.name) % 2:
        os.unlink(e.path)
print(len(seen), len(set(seen)), len(os.listdir(p(b'shrink'))))
END
}

test_same_as_on_the_host() {
    names_and_files
    both names.py
    same_tree h g
}

test_same_on_pci_with_two_cpus() {
    names_and_files
    both names.py --machine q35 --smp 2
    same_tree h g
}

test_the_hosts_tree_is_seen() {
    names_and_files
    mkdir h && DIR=$T/h /usr/bin/python3 names.py >/dev/null || fail "on the host"
    cat >hash.py <<'END'
import hashlib, os, stat, sys
for d, dirs, files in sorted(os.walk(os.fsencode(sys.argv[1]))):
    for n in sorted(dirs + files):
        p = os.path.join(d, n)
        s = os.lstat(p)
        what = (os.readlink(p) if stat.S_ISLNK(s.st_mode) else
                hashlib.sha256(open(p, 'rb').read()).hexdigest() if stat.S_ISREG(s.st_mode) else '')
        print(p[len(sys.argv[1]):], oct(s.st_mode), s.st_nlink, s.st_size, s.st_mtime_ns, s.st_uid, what)
END
    /usr/bin/python3 hash.py h >want || fail "on the host"
    ops run --share h:/h:ro --share .:/scripts:ro /usr/bin/python3 /scripts/hash.py /h
    sed -i 's/^b.//' want && sed -i 's/^b.//' out # "h" and "/h" have different lengths
    diff <(sed 's/^\///' want) <(sed 's/^\///' out) >differ || fail "$(head -c 600 differ)"
    [ "$(wc -l <out)" -gt 500 ] || fail "only $(wc -l <out) names"
}

test_many_files() {
    cat >many.py <<'END'
import os
D = os.environ['DIR'] + '/many'
os.mkdir(D)
for i in range(5000):
    with open('%s/file%d' % (D, i), 'x') as f:
        f.write(str(i))
print(len(os.listdir(D)), len(set(os.listdir(D))), sum(int(open(D + '/' + n).read()) for n in sorted(os.listdir(D))[::10]))
END
    both many.py
    same_tree h g
}

test_large_file() {
    mkdir d && head -c 67108864 /dev/urandom >d/in
    ops run --share d:/d /bin/cp /d/in /d/out
    want_status 0 && want_no_err
    cmp d/in d/out || fail "the copy differs"
    ops run -m 48M --share d:/d /usr/bin/sha256sum /d/in
    want_out "$(sha256sum <d/in | cut -d' ' -f1)  /d/in"
}

# A program that does one step for each line it is told, and answers. The host works between.
live_start() { # OPTION...
    cat >live.py <<'END'
import mmap, os, sys
env = {'os': os, 'mmap': mmap, 'fd': {}}
for line in sys.stdin:
    try:
        print(eval(line, env), flush=True)
    except OSError as e:
        print(e.strerror, flush=True)
END
    mkdir d && mkfifo to from
    "$OPS" run --share "d:/d${1:-}" --share .:/scripts:ro /usr/bin/python3 /scripts/live.py <to >from 2>err &
    LIVE=$!
    exec 8>to 9<from
}

# say EXPRESSION WANT: the guest's answer; a machine that has died ends the wait.
say() {
    local answer
    echo "$1" >&8
    read -r -t 60 answer <&9 || fail "no answer to $1: $(said)"
    [ "$answer" = "$2" ] || fail "$1 is $answer, not $2"
}

live_end() {
    exec 8>&-
    wait $LIVE || fail "the machine ended with $?: $(said)"
    exec 9<&-
}

test_changes_are_seen_at_once() {
    live_start
    say 'os.listdir("/d")' '[]'
    say 'os.path.exists("/d/a")' False
    printf one >d/a
    say 'open("/d/a").read()' one
    say 'fd.update(a=os.open("/d/a", os.O_RDWR))' None
    printf longer >d/a
    say 'os.fstat(fd["a"]).st_size' 6
    say 'os.pread(fd["a"], 99, 0)' "b'longer'"
    say 'os.pwrite(fd["a"], b"GUEST", 1)' 5
    [ "$(cat d/a)" = lGUEST ] || fail "the host sees $(cat d/a)"
    mv d/a d/b
    say 'os.path.exists("/d/a")' False
    say 'os.pread(fd["a"], 99, 0)' "b'lGUEST'"
    printf other >d/tmp && mv d/tmp d/b # as an editor saves
    say 'open("/d/b").read()' other
    say 'os.pread(fd["a"], 99, 0)' "b'lGUEST'"
    rm d/b && mkdir d/b && : >d/b/in
    say 'os.listdir("/d/b")' "['in']"
    rm -r d/b && printf file >d/b
    say 'open("/d/b").read()' file
    chmod 751 d/b
    say 'oct(os.stat("/d/b").st_mode)' 0o100751
    say 'os.mkdir("/d/new") or os.rename("/d/b", "/d/new/c")' None
    [ "$(cat d/new/c)" = file ] || fail "not moved"
    rm -r d/new
    say 'os.stat("/d/new/c")' 'No such file or directory'
    live_end
}

test_appending_from_both_sides() {
    live_start
    say 'fd.update(a=os.open("/d/log", os.O_CREAT | os.O_WRONLY | os.O_APPEND))' None
    for i in $(seq 20); do
        say "os.write(fd['a'], b'guest $i\\n')" $((i < 10 ? 8 : 9))
        echo "host $i" >>d/log
    done
    live_end
    for i in $(seq 20); do printf 'guest %d\nhost %d\n' "$i" "$i"; done >want
    cmp want d/log || fail "the log is $(head -c 300 d/log)"
}

test_mappings() {
    live_start
    head -c 20000 /dev/zero | tr '\0' x >d/m
    say 'fd.update(f=os.open("/d/m", os.O_RDWR)) or fd.update(m=mmap.mmap(fd["f"], 20000))' None
    say 'fd["m"][0:3]' "b'xxx'"
    printf host | dd of=d/m bs=1 seek=8000 conv=notrunc status=none
    say 'os.fstat(fd["f"]).st_size and fd["m"][8000:8004]' "b'host'"
    say 'fd["m"].__setitem__(slice(12000, 12005), b"guest") or fd["m"].flush()' None
    [ "$(dd if=d/m bs=1 skip=12000 count=5 status=none)" = guest ] || fail "msync: $(dd if=d/m bs=1 skip=12000 count=5 status=none)"
    say 'fd["m"].__setitem__(slice(0, 5), b"close") or os.close(os.open("/d/m", os.O_RDWR))' None
    [ "$(head -c 5 d/m)" = close ] || fail "close: $(head -c 5 d/m)"
    say 'fd["m"].__setitem__(slice(5, 10), b"unmap") or fd["m"].close()' None
    wait_for 30 grep -q '^closeunmap' d/m || fail "munmap: $(head -c 10 d/m)"
    live_end
    mkdir -p e && printf '%05000d' 0 >e/f
    ops run --share e:/e /usr/bin/python3 -c '
import mmap, os
fd = os.open("/e/f", os.O_RDWR)
m = mmap.mmap(fd, 5000)
m[4990:4995] = b"exits"
os._exit(0)'
    want_status 0
    grep -q exits e/f || fail "a mapping that lives to the end is lost"
}

test_inotify_of_own_changes() {
    cat >watch.c <<'END'
#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>
int main(void)
{
    char buf[4096] __attribute__((aligned(8)));
    int i = inotify_init1(IN_NONBLOCK);
    inotify_add_watch(i, "/d", IN_CREATE | IN_MODIFY | IN_DELETE | IN_MOVE | IN_CLOSE_WRITE);
    int fd = open("/d/f", O_CREAT | O_WRONLY, 0644);
    write(fd, "x", 1), close(fd), rename("/d/f", "/d/g"), unlink("/d/g");
    ssize_t n = read(i, buf, sizeof buf);
    for (char *p = buf; p < buf + n; p += sizeof(struct inotify_event) + ((struct inotify_event *)p)->len)
        printf("%x %s\n", ((struct inotify_event *)p)->mask, ((struct inotify_event *)p)->name);
}
END
    cc_program watch <watch.c
    mkdir d
    ops run --share d:/d ./watch
    want_out $'100 f\n2 f\n8 f\n40 f\n80 g\n200 g'
}

test_read_only() {
    mkdir d && echo x >d/f
    ops run --share d:/d:ro /usr/bin/python3 -c '
import errno, os
for f in (lambda: open("/d/f", "w"), lambda: open("/d/n", "x"), lambda: os.mkdir("/d/n"), lambda: os.unlink("/d/f"),
          lambda: os.rename("/d/f", "/d/g"), lambda: os.chmod("/d/f", 0), lambda: os.truncate("/d/f", 0),
          lambda: os.utime("/d/f"), lambda: os.symlink("a", "/d/l"), lambda: os.link("/d/f", "/d/g"),
          lambda: os.setxattr("/d/f", "user.a", b"b")):
    try:
        f(); print("works")
    except OSError as e:
        print(errno.errorcode[e.errno], end=" ")
print(open("/d/f").read(), os.access("/d/f", os.W_OK))'
    want_out $'EROFS EROFS EROFS EROFS EROFS EROFS EROFS EROFS EROFS EROFS EROFS x\n False'
    ops run --share d:/d:ro /bin/cat /proc/mounts
    want_out_has '^share0 /d 9p ro,.*trans=virtio'
}

test_whose_files() {
    [ "$(id -u)" = 0 ] || skip "only root can become somebody else"
    mkdir d && chmod 777 . d && chmod 755 "$E2E_TMP"
    XDG_CACHE_HOME=$T/cache HOME=$T setpriv --reuid 65534 --regid 65534 --clear-groups \
        timeout $E2E_LIMIT "$OPS" run --share d:/d /usr/bin/python3 -c '
import os
fd = os.open("/d/f", os.O_CREAT | os.O_RDWR, 0o444)
os.write(fd, b"mine"); os.mkdir("/d/sub", 0o700); open("/d/sub/in", "w")
print(os.stat("/d/f").st_uid)
try:
    os.chown("/d/f", 12, 12)
except PermissionError:
    print("refused")' >out 2>err </dev/null || fail "$(said)"
    want_out_has 65534
    [ "$(stat -c '%u %a' d/f d/sub/in | tr '\n' ' ')" = '65534 444 65534 644 ' ] || fail "$(stat -c '%n %u %a' d/f d/sub/in)"
}

test_programs_work_there() {
    mkdir d
    printf 'import sys, helper\nprint(helper.twice(int(sys.argv[1])))\n' >d/main.py
    printf 'def twice(n):\n    return 2 * n\n' >d/helper.py
    ops run --share d:/app /usr/bin/python3 /app/main.py 21
    want_status 0 && want_out 42
    [ -n "$(ls d/__pycache__)" ] || fail "no __pycache__"
    printf 'create table t(a, b);\n%s\nselect count(*), sum(a) from t;\n' "$(for i in $(seq 200); do echo "insert into t values($i, hex(randomblob(200)));"; done)" >sql
    ops_input sql run --share d:/d /usr/bin/sqlite3 /d/data.db
    want_status 0 && want_out '200|20100'
    [ "$(sqlite3 d/data.db 'pragma integrity_check; select sum(a) from t')" = $'ok\n20100' ] || fail "the database is damaged"
    echo 'pragma journal_mode=wal; update t set a = a + 1; select sum(a) from t;' >sql
    ops_input sql run --share d:/d /usr/bin/sqlite3 /d/data.db
    want_status 0 && want_out $'wal\n20300'
    [ "$(sqlite3 d/data.db 'pragma integrity_check; select sum(a) from t')" = $'ok\n20300' ] || fail "the database is damaged"
}

# Threads in one directory: everybody's files come and go under everybody's eyes.
test_threads() {
    cc_program threads -pthread <<'END'
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#define THREADS 8
#define ROUNDS  40
static const char *dir;
static void want(int ok, const char *what)
{
    if (!ok)
        printf("%s: %s\n", what, strerror(errno)), exit(1);
}
static void look(void)
{
    struct dirent *e;
    struct stat st;
    char name[600];
    DIR *d = opendir(dir);
    want(d != NULL, "opendir");
    while ((e = readdir(d))) {
        snprintf(name, sizeof name, "%s/%s", dir, e->d_name);
        want(stat(name, &st) == 0 || errno == ENOENT, "stat");
    }
    closedir(d);
}
static void *work(void *arg)
{
    long me = (long)arg;
    char a[300], b[300], data[9000], back[9000];
    for (int i = 0; i < ROUNDS; i++) {
        int n = 1 + (int)((me * 977 + i * 331) % 9000);
        snprintf(a, sizeof a, "%s/a%ld", dir, me), snprintf(b, sizeof b, "%s/b%ld", dir, me);
        memset(data, (int)(me * 31 + i), sizeof data);
        int fd = open(a, O_CREAT | O_EXCL | O_RDWR, 0600);
        want(fd >= 0, "open");
        want(write(fd, data, n) == n, "write");
        want(rename(a, b) == 0, "rename");
        want(pread(fd, back, sizeof back, 0) == n && !memcmp(data, back, n), "read");
        char *m = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        want(m != MAP_FAILED && !memcmp(m, data, n), "mmap");
        m[n / 2] ^= 1;
        want(msync(m, n, MS_SYNC) == 0, "msync");
        data[n / 2] ^= 1;
        want(pread(fd, back, sizeof back, 0) == n && !memcmp(data, back, n), "read again");
        munmap(m, n);
        want(link(b, a) == 0 && unlink(b) == 0 && unlink(a) == 0, "unlink");
        want(pread(fd, back, 5, 0) == (n < 5 ? n : 5), "read without a name");
        close(fd);
        if (i % 8 == 0)
            look();
        snprintf(a, sizeof a, "%s/shared", dir);
        fd = open(a, O_CREAT | O_WRONLY | O_APPEND, 0600);
        want(fd >= 0 && write(fd, "0123456789\n", 11) == 11, "append");
        close(fd);
    }
    return NULL;
}
int main(int argc, char **argv)
{
    pthread_t t[THREADS];
    struct stat st;
    char name[300];
    dir = argv[1];
    for (long i = 0; i < THREADS; i++)
        pthread_create(&t[i], NULL, work, (void *)i);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    snprintf(name, sizeof name, "%s/shared", dir);
    want(stat(name, &st) == 0, "shared");
    printf("%ld bytes\n", (long)st.st_size);
}
END
    mkdir h g
    ./threads h >want || fail "on the host: $(cat want)"
    for smp in 1 2 4; do
        ops run --smp $smp --share g:/g ./threads /g
        want_status 0 && want_out "$(cat want)"
        same_tree h g
        rm g/*
    done
}

# Whoever looks at a file makes its pages in memory stale, as they were just written: a
# change made through a mapping meanwhile must reach the host all the same.
test_mapped_writes_while_others_look() {
    cc_program look -pthread <<'END'
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#define ROUNDS 600
#define SIZE 8192
static const char *name;
static volatile int done;
static void *look(void *arg)
{
    struct stat st;
    (void)arg;
    while (!done)
        stat(name, &st);
    return NULL;
}
int main(int argc, char **argv)
{
    pthread_t t[2];
    unsigned lost = 0, torn = 0;
    name = argv[1];
    int fd = open(name, O_CREAT | O_RDWR, 0600);
    char zero[SIZE] = {0};
    if (fd < 0 || write(fd, zero, SIZE) != SIZE)
        return perror(name), 1;
    volatile unsigned *m = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    for (int i = 0; i < 2; i++)
        pthread_create(&t[i], NULL, look, NULL);
    for (unsigned i = 1; i <= ROUNDS; i++) {
        unsigned at = i * 37 % (SIZE / 4), back = 0;
        m[at] = i;
        if (i % 3 == 0)
            msync((void *)m, SIZE, MS_SYNC);
        if (m[at] != i)
            lost++;
        if (pread(fd, &back, 4, at * 4) != 4 || back != i)
            torn++;
    }
    done = 1;
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    printf("%u lost, %u not written\n", lost, torn);
    return lost || torn;
}
END
    mkdir g
    ./look g/h || fail "on the host"
    for smp in 1 2 4; do
        ops run --smp $smp --share g:/g ./look /g/f
        want_status 0 && want_out "0 lost, 0 not written"
    done
    cmp g/h g/f || fail "another content than on the host"
}

test_libraries_from_a_share() {
    echo 'int answer(void) { return 42; }' | gcc -shared -fPIC -o libanswer.so -x c - || fail "no library"
    mkdir d && mv libanswer.so d
    cc_program load -ldl <<'END'
#include <dlfcn.h>
#include <stdio.h>
int main(void)
{
    void *l = dlopen("/d/libanswer.so", RTLD_NOW);
    printf("%d\n", l ? ((int (*)(void))dlsym(l, "answer"))() : -1);
}
END
    ops run --share d:/d:ro ./load
    want_status 0 && want_out 42
}

test_attributes() {
    mkdir d && : >d/f
    setfattr -n user.host -v here d/f 2>/dev/null || python3 -c 'import os; os.setxattr("d/f", "user.host", b"here")' ||
        skip "no extended attributes here"
    ops run --share d:/d /usr/bin/python3 -c '
import os
print(os.getxattr("/d/f", "user.host"), sorted(os.listxattr("/d/f")))
os.setxattr("/d/f", "user.guest", b"v" * 3000)
os.setxattr("/d/f", "user.host", b"changed", os.XATTR_REPLACE)
os.setxattr("/d/f", "user.gone", b"1"); os.removexattr("/d/f", "user.gone")
for f in (lambda: os.getxattr("/d/f", "user.gone"), lambda: os.setxattr("/d/f", "user.host", b"x", os.XATTR_CREATE)):
    try:
        f(); print("works")
    except OSError as e:
        print(e.strerror)'
    want_out $'b\'here\' [\'user.host\']\nNo data available\nFile exists'
    [ "$(python3 -c 'import os; print(len(os.getxattr("d/f", "user.guest")), os.getxattr("d/f", "user.host"), sorted(os.listxattr("d/f")))')" = \
        "3000 b'changed' ['user.guest', 'user.host']" ] || fail "the host sees others"
}

# The suites of tests/guest, with the files they use on a share.
test_guest_suites() {
    local suite bad
    mkdir -m 1777 d && mkdir d/data d/tmp
    mkdir -p d/data/dir d/data/deep/a/b/c
    perl -e 'print "0123456789" x 100' >d/data/text.txt
    perl -e 'print pack("C*", map { ($_ * 7 + int($_ / 251)) & 255 } 0 .. 299999)' >d/data/big.bin
    : >d/data/empty && printf '#!/bin/sh\n' >d/data/script && chmod 755 d/data/script
    for i in $(seq -w 0 39); do echo "$i" >"d/data/dir/f$i"; done
    echo deep >d/data/deep/a/b/c/file
    ln -s text.txt d/data/link && ln -s nowhere d/data/dangling && ln -s loop d/data/loop && ln -s dir d/data/dirlink
    for suite in t_dir t_stat t_file_read t_file_write t_lock t_mmap_file t_inotify t_fd; do
        [ -x "$O/tests/guest/$suite" ] || skip "make guest-tests makes them"
        for smp in 1 2; do
            ops run --smp $smp --share d:/d -e GUEST_DATA=/d/data -e GUEST_TMP=/d/tmp "$O/tests/guest/$suite"
            # Without fallocate there are no holes to punch (MADV_REMOVE), and no O_TMPFILE.
            bad=$(grep '^not ok' out | grep -v ' \(unnamed_file_on_disk\|remove_pages\|remove_errors\|holes_while_writing\):')
            [ -z "$bad" ] || fail "$suite with $smp CPUs: $bad"
            grep -q ' passed, ' out || fail "$suite did not end: $(said)"
        done
    done
}

test_errors() {
    mkdir d && echo >file
    ops run --share none:/d /bin/true
    want_error 1 'cannot share none: no such file' 'mkdir'
    ops run --share file:/d /bin/true
    want_error 1 'cannot share file: it is not a directory' 'MapDirs'
    ops run --share d:d /bin/true
    want_error 2 'the path in the guest must be absolute' '--share DIRECTORY:/path'
    ops run --share d /bin/true
    want_error 2 'says not what is shared where' '--share DIRECTORY:/path'
    ops run --share d:/ /bin/true
    want_error 2 'd:/: the root cannot be replaced'
    ops run --share d:/dev/x /bin/true
    want_error 2 'the kernel mounts its own on /dev'
    ops run --share d:/a --share .:/a/ /bin/true
    want_error 2 'two directories .* at /a'
    ops volume create v
    ops run --mounts v:/a --share d:/a/b /bin/true
    want_error 2 "in each other's way" 'beside'
    ops run --share d:/1 --share d:/2 --share d:/3 --share d:/4 --share d:/5 /bin/true
    want_error 2 'room for 4 volumes and shares, not 5' 'q35'
    ops run --share d:/bin/true /bin/true
    want_error 1 'directory and a file'
    printf '#!/bin/sh\necho no such device >&2; exit 1\n' >qemu && chmod +x qemu
    OPS_QEMU=$T/qemu ops run --share d:/d /bin/true
    want_error 1 'this QEMU cannot share directories' 'virtio-9p'
    echo '{"Shares": {"d": "/d"}}' >c.json
    ops build -o disk -c c.json /bin/true
    want_error 2 'a disk cannot share' 'MapDirs'
}

test_configuration() {
    mkdir -p sub/d "odd,na:me" d2 && echo in >sub/d/f && echo odd >"odd,na:me/f" && echo two >d2/f
    echo '{"Shares": {"d": "/d:ro", "../odd,na:me": "/deep/er"}}' >sub/c.json
    ops run -c sub/c.json /bin/cat /d/f /deep/er/f
    want_status 0 && want_out $'in\nodd'
    ops run --share "odd,na:me:/o" --share d2:/o/inner --machine q35 /usr/bin/find /o -type f
    want_status 0
    want_out_has '^/o/f$'
    ops run --mounts ./d2:/d2 /bin/cat /d2/f
    want_status 0 && want_out two
    echo '{"Mounts": {"./sub/d": "/d:ro"}}' >c.json
    ops run -c c.json /bin/cat /d/f
    want_status 0 && want_out in
    echo '{"Shares": {"d2": "d"}}' >c.json
    ops run -c c.json /bin/true
    want_error 2 'must start with a slash'
}

e2e_main "$@"
