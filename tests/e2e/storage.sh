#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Programs that live from their files, unchanged, on a volume: databases, archives,
# trees of many files. Some of them lose their machine: what they had acknowledged is
# there afterwards. After every run the volume is sound (e2fsck -fn).
. "$(dirname "$0")/lib.sh"

E2E_LIMIT=170

# What is not installed is fetched once; its libraries lie beside it.
PROGRAMS=$O/programs
"$E2E_TREE/scripts/fetch-programs" "$O" 2>&1 | sed 's/^/# /'
export PATH=$PATH:/usr/sbin:/usr/lib/postgresql/15/bin:$PROGRAMS/usr/bin:$PROGRAMS/usr/sbin:$PROGRAMS/usr/lib/postgresql/15/bin
export LD_LIBRARY_PATH=$PROGRAMS/usr/lib/x86_64-linux-gnu:$PROGRAMS/lib/x86_64-linux-gnu

need() { # COMMAND
    command -v "$1" >/dev/null || skip "no $1"
}

# A volume in a file here, and what `ops run` is told of this directory and of it.
volume_make() { # SIZE [DIR]
    rm -f disk
    truncate -s "$1" disk
    mke2fs -q -F -t ext4 -L data ${2:+-d "$2"} disk >/dev/null 2>&1 || fail "mke2fs"

}

sound() {
    e2fsck -fn disk >fsck 2>&1 || fail "e2fsck: $(head -c 500 fsck)"
}

# on_volume [OPTION...] PROGRAM ARGUMENT...: runs it with the volume on /data.
on_volume() {
    ops run -e LD_LIBRARY_PATH --mounts ./disk:/data "$@"
}

# with_files [OPTION...] PROGRAM...: likewise, with the files of this directory that end
# in .py or .sql as /host.
with_files() {
    mkdir -p host
    cp ./*.py ./*.sql host/ 2>/dev/null
    printf '{"MapDirs": {"%s": "/host"}}' "$T/host" >map.json
    on_volume -c map.json "$@"
}

# killed PATTERN WORD...: runs it until its output has a line of that pattern, then kills it.
killed() {
    local pattern=$1
    shift
    : >progress
    mkdir -p host
    cp ./*.py host/ 2>/dev/null
    printf '{"MapDirs": {"%s": "/host"}}' "$T/host" >map.json
    "$OPS" run -c map.json --mounts ./disk:/data "$@" >progress 2>err </dev/null &
    local pid=$!
    wait_for 100 grep -qE "$pattern" progress || fail "it never came so far: $(tail -n 2 progress) $(said)"
    kill -KILL $pid
    wait $pid 2>/dev/null
    wait_for 20 flock -n disk true || fail "the machine is still there"
}

# One writer moves money between accounts, readers always see the same sum.
sqlite_bank() {
    cat >bank.py <<'END'
import sqlite3, sys, threading
path, mode, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
def connect():
    c = sqlite3.connect(path, timeout=120, isolation_level=None)
    c.execute('pragma synchronous=extra') # commits by unlinking a journal are synced, too
    return c
c = connect()
assert c.execute('pragma journal_mode=' + mode).fetchone()[0] == mode.lower()
c.executescript('create table if not exists account(id integer primary key, money integer, text blob);'
                'create table if not exists log(n integer primary key)')
if not c.execute('select count(*) from account').fetchone()[0]:
    c.execute('begin')
    c.executemany('insert into account values(?, 100, randomblob(300))', [(i,) for i in range(200)])
    c.execute('commit')
start = c.execute('select coalesce(max(n), 0) from log').fetchone()[0]
stop, wrong, reads = threading.Event(), [], [0]
def read():
    r = connect()
    while not stop.is_set():
        total = r.execute('select sum(money) from account').fetchone()[0]
        reads[0] += 1
        if total != 20000:
            wrong.append(total)
threads = [threading.Thread(target=read) for _ in range(3)]
for t in threads: t.start()
for n in range(start + 1, start + 1 + rounds):
    c.execute('begin immediate')
    c.execute('update account set money = money - ? where id = ?', (n % 7, n % 200))
    c.execute('update account set money = money + ?, text = randomblob(?) where id = ?', (n % 7, n * 13 % 900, n * 7 % 200))
    c.execute('insert into log values(?)', (n,))
    c.execute('commit')
    print('committed', n, flush=True)
stop.set()
for t in threads: t.join()
print('read' if reads[0] else 'never read', 'wrong %s' % wrong if wrong else 'right')
print(c.execute('pragma integrity_check').fetchone()[0], c.execute('select count(*), max(n) from log').fetchone())
END
}

test_sqlite_threads() {
    need sqlite3
    volume_make 64M
    sqlite_bank
    for mode in delete wal persist; do
        with_files --smp 2 /usr/bin/python3 /host/bank.py /data/$mode.db $mode 40
        want_status 0
        want_out_has '^read right$'
        want_out_has '^ok \(40, 40\)$'
        sound
    done
    mkdir got && debugfs -R "rdump / got" disk >/dev/null 2>&1
    for mode in delete wal persist; do
        [ "$(sqlite3 got/$mode.db 'pragma integrity_check; select sum(money), count(*) from account; select max(n) from log')" = $'ok\n20000|200\n40' ] ||
            fail "the host reads $mode.db differently"
    done
}

test_sqlite_shell() {
    need sqlite3
    cat >work.sql <<'END'
pragma journal_mode=wal;
create table t(a integer primary key, b text);
with recursive c(x) as (select 1 union all select x + 1 from c where x < 20000) insert into t select x, hex(x * x) || x from c;
create index i on t(b);
delete from t where a % 3 = 0;
update t set b = b || 'x' where a % 5 = 0;
vacuum;
pragma integrity_check;
select count(*), sum(a), sum(length(b)), min(b), max(b) from t;
END
    volume_make 64M
    with_files /usr/bin/sqlite3 -init /host/work.sql /data/t.db .quit
    want_status 0
    cp out first
    sqlite3 -init work.sql here.db .quit >want 2>/dev/null
    cmp -s want first || fail "$(diff want first | head -3)"
    sound
    on_volume /usr/bin/sqlite3 /data/t.db 'pragma integrity_check; select count(*), sum(a), sum(length(b)), min(b), max(b) from t'
    want_out "$(tail -n 2 want)"
}

test_sqlite_killed() {
    volume_make 64M
    sqlite_bank
    for mode in delete wal; do
        for last in 8 17; do
            killed "^committed .*$last\$" /usr/bin/python3 /host/bank.py /data/$mode.db $mode 100000
            local told
            told=$(grep -cE '^committed [0-9]+$' progress)
            [ "$told" != 0 ] || fail "nothing was committed"
            told=$(grep -E '^committed [0-9]+$' progress | tail -n 1 | cut -d' ' -f2)
            cat >check.py <<'END'
import sqlite3, sys
c = sqlite3.connect(sys.argv[1])
print(c.execute('pragma integrity_check').fetchone()[0], c.execute('select sum(money) from account').fetchone()[0])
print(*c.execute('select count(*) = max(n), max(n) from log').fetchone())
END
            with_files /usr/bin/python3 /host/check.py /data/$mode.db
            want_status 0
            want_out_has '^ok 20000$'
            [ "$(awk '$1 == 1 {print $2}' out)" -ge "$told" ] || fail "$mode: $told was committed, there is $(tail -n 1 out)"
            sound
        done
    done
}

# The same script here and there: its output is a hash of every tree it made.
test_python_trees() {
    cat >trees.py <<'END'
import hashlib, mmap, os, random, shutil, sys, tarfile, tempfile, zipfile
root, files = sys.argv[1], int(sys.argv[2])
def tree_hash(top):
    total, count = hashlib.sha256(), 0
    for where, dirs, names in os.walk(top):
        dirs.sort()
        for name in sorted(names):
            path = os.path.join(where, name)
            st = os.lstat(path)
            total.update(('%s %o %d' % (os.path.relpath(path, top), st.st_mode, st.st_size)).encode())
            with open(path, 'rb') as f:
                total.update(hashlib.sha256(f.read()).digest())
            count += 1
    return count, total.hexdigest()
os.umask(0o022)
r = random.Random(4)
pool = r.randbytes(1 << 20)
os.makedirs(root + '/tree')
for i in range(files):
    d = '%s/tree/%02d/%d' % (root, i % 40, i // 40 % 7)
    if i < 280:
        os.makedirs(d, exist_ok=True)
    at = r.randrange(1 << 19)
    with open('%s/file-%d' % (d, i), 'wb') as f:
        f.write(pool[at:at + r.randrange(3000) + (100000 if i % 1000 == 0 else 0)])
print('made', *tree_hash(root + '/tree'))
shutil.copytree(root + '/tree/07', root + '/copy')
print('copied', *tree_hash(root + '/copy'))
with tarfile.open(root + '/a.tar', 'w') as t:
    t.add(root + '/tree/11', 'eleven')
with tarfile.open(root + '/a.tar') as t:
    t.extractall(root + '/untarred')
print('tar', *tree_hash(root + '/untarred'))
with zipfile.ZipFile(root + '/a.zip', 'w', zipfile.ZIP_DEFLATED) as z:
    for where, _, names in os.walk(root + '/copy'):
        for name in names:
            z.write(os.path.join(where, name), os.path.relpath(os.path.join(where, name), root))
with zipfile.ZipFile(root + '/a.zip') as z:
    assert z.testzip() is None
    z.extractall(root + '/unzipped')
print('zip', *tree_hash(root + '/unzipped'))
tempfile.tempdir = root
with tempfile.TemporaryFile() as f, tempfile.NamedTemporaryFile() as g, tempfile.TemporaryDirectory() as d:
    f.write(pool); f.seek(77); assert f.read(1000) == pool[77:1077]
    g.write(b'x'); g.flush(); assert os.path.getsize(g.name) == 1
    assert os.path.isdir(d)
with open(root + '/mapped', 'w+b') as f:
    f.truncate(3 << 20)
    with mmap.mmap(f.fileno(), 0) as m:
        for i in range(0, 3 << 20, 70001):
            m[i:i + 9] = b'mmap %04d' % (i % 9999)
        m.flush()
        m.resize(5 << 20) if hasattr(m, 'resize') else None
        m[-5:] = b'tail!'
shutil.move(root + '/copy', root + '/tree/moved')
shutil.rmtree(root + '/tree/20')
os.unlink(root + '/a.tar'); os.unlink(root + '/a.zip') # they hold times
print('end', sorted(os.listdir(root)), *tree_hash(root + '/tree/moved')) # all else is compared outside
END
    volume_make 300M
    mkdir here
    /usr/bin/python3 trees.py here 20000 >want || fail "the host cannot"
    with_files -m 512M /usr/bin/python3 /host/trees.py /data/t 20000
    want_status 0
    cmp -s want out || fail "$(diff want out | head -4)"
    sound
    mkdir got && debugfs -R 'rdump /t got' disk >/dev/null 2>&1
    diff -r here got/t >differ 2>&1 || fail "read by another driver: $(head -3 differ)"
}

# redis says OK to a write when it is on the disk.
test_redis_killed() {
    need redis-server
    volume_make 128M
    cat >client.py <<'END'
import socket, sys
port, start = int(sys.argv[1]), int(sys.argv[2])
s = socket.create_connection(('127.0.0.1', port), 60)
f = s.makefile('rb')
for i in range(start, start + 100000):
    v = b'%d-' % i + b'v' * (i * 37 % 700)
    k = b'key%d' % i
    s.sendall(b'*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n' % (len(k), k, len(v), v))
    if f.readline() != b'+OK\r\n':
        break
    print(i, flush=True)
END
    cat >verify.py <<'END'
import socket, sys
port, last = int(sys.argv[1]), int(sys.argv[2])
s = socket.create_connection(('127.0.0.1', port), 60)
f = s.makefile('rb')
for i in range(last + 1):
    s.sendall(b'GET key%d\r\n' % i)
    n = int(f.readline()[1:])
    assert n >= 0, 'key%d is lost' % i
    assert f.read(n + 2)[:-2] == b'%d-' % i + b'v' * (i * 37 % 700), i
print('all')
END
    local last=-1 round
    for round in 1 2 3; do
        : >err && : >server-out
        "$OPS" run -e LD_LIBRARY_PATH -v -p 0:6379 --mounts ./disk:/data "$(command -v redis-server)" --protected-mode no \
            --bind 0.0.0.0 --save '' --appendonly yes --appendfsync always --dir /data >server-out 2>err </dev/null &
        local pid=$! port
        wait_for 60 grep -q 'Ready to accept' server-out || fail "no server: $(tail -n 3 err) $(tail -n 3 server-out)"
        port=$(wait_for 20 port_in err) || fail "no port: $(tail -n 3 err)"
        if [ "$last" -ge 0 ]; then
            python3 verify.py "$port" "$last" >verified 2>&1 || fail "round $round: $(tail -n 1 verified) $(tail -n 3 server-out)"
        fi
        : >acknowledged
        python3 client.py "$port" $((last + 1)) >acknowledged 2>client-err &
        local client=$!
        wait_for 60 has_lines acknowledged $((40 + round * 23)) || fail "too slow: $(wc -l <acknowledged)"
        kill -KILL $pid
        wait $pid 2>/dev/null
        wait $client
        last=$(tail -n 1 acknowledged)
        wait_for 20 flock -n disk true || fail "the machine is still there"
        e2fsck -fy disk >fsck 2>&1
        ! grep -q '? yes' fsck || fail "e2fsck: $(head -c 400 fsck)"
    done
}

has_lines() { [ "$(wc -l <"$1")" -ge "$2" ]; }

# git itself starts processes; this does with its files what git does.
test_object_store() {
    cat >objects.py <<'END'
import hashlib, os, random, struct, sys, zlib
root, count = sys.argv[1], int(sys.argv[2])
os.makedirs(root + '/objects', exist_ok=True)
r = random.Random(9)
def store(data):
    raw = b'blob %d\0' % len(data) + data
    name = hashlib.sha1(raw).hexdigest()
    path = '%s/objects/%s/%s' % (root, name[:2], name[2:])
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        temp = '%s/objects/tmp_%s' % (root, name)
        fd = os.open(temp, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o444)
        os.write(fd, zlib.compress(raw, 1))
        os.fsync(fd)
        os.close(fd)
        os.link(temp, path)
        os.unlink(temp)
    return name
def load(name):
    with open('%s/objects/%s/%s' % (root, name[:2], name[2:]), 'rb') as f:
        raw = zlib.decompress(f.read())
    assert hashlib.sha1(raw).hexdigest() == name
    return raw[raw.index(b'\0') + 1:]
def ref(name, value):
    lock = '%s/%s.lock' % (root, name)
    with os.fdopen(os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), 'w') as f:
        f.write(value + '\n')
        f.flush()
        os.fsync(f.fileno())
    os.rename(lock, '%s/%s' % (root, name))
names = []
for i in range(count):
    names.append(store(r.randbytes(r.randrange(2000)) + b'%d' % i))
    if i % 50 == 0:
        ref('HEAD', names[-1])
head = open(root + '/HEAD').read().strip()
assert head in names and load(head)
pack, index = b'PACK' + struct.pack('>II', 2, len(names)), []
for name in sorted(set(names)):
    data = zlib.compress(load(name))
    index.append((name, len(pack), len(data)))
    pack += data
pack += hashlib.sha1(pack).digest()
with open(root + '/new.pack', 'wb') as f:
    f.write(pack)
    f.flush()
    os.fsync(f.fileno())
os.rename(root + '/new.pack', root + '/objects.pack')
for name in set(names):
    os.unlink('%s/objects/%s/%s' % (root, name[:2], name[2:]))
for d in os.listdir(root + '/objects'):
    os.rmdir(root + '/objects/' + d)
with open(root + '/objects.pack', 'rb') as f:
    for name, off, n in index:
        f.seek(off)
        assert hashlib.sha1(b'blob %d\0' % len(zlib.decompress(f.read(n))) + zlib.decompress(pack[off:off + n])).hexdigest() == name
print(len(set(names)), head, hashlib.sha1(open(root + '/objects.pack', 'rb').read()).hexdigest(), sorted(os.listdir(root)))
END
    volume_make 64M
    mkdir here
    want=$(/usr/bin/python3 objects.py here 600) || fail "the host cannot"
    with_files --smp 2 /usr/bin/python3 /host/objects.py /data/repository 600
    want_status 0
    want_out "$want"
    sound
    mkdir got && debugfs -R 'rdump /repository got' disk >/dev/null 2>&1
    cmp -s here/objects.pack got/repository/objects.pack || fail "the pack differs"
}

# One backend, its cluster made here; the second time the machine is killed behind a commit.
test_postgres() {
    need postgres
    need initdb
    local share user=65534
    share=$(dirname "$(dirname "$(readlink -f "$(command -v postgres)")")")
    share=${share/%\/lib\/postgresql\/15//share/postgresql/15}
    chmod 711 .. && mkdir cluster && chown $user . cluster || skip "clusters are not root's, and this is no root"
    setpriv --reuid $user --regid $user --clear-groups initdb -L "$share" -D cluster -A trust --no-sync -E UTF8 --locale C \
        -U postgres >initdb 2>&1 || skip "no initdb: $(tail -n 2 initdb)"
    volume_make 200M cluster
    for field in 'uid 65534' 'gid 65534' 'mode 040700'; do debugfs -w -R "sif <2> $field" disk 2>/dev/null; done
    printf '{"Uid": %s, "Gid": %s, "MapDirs": {"%s": "%s", "%s": "%s"}}' $user $user "$share" /usr/share/postgresql/15 \
        "${share/share/lib}/lib" /usr/lib/postgresql/15/lib >c.json
    local postgres="ops_input in.sql run -e LD_LIBRARY_PATH -m 512M -c c.json --mounts ./disk:/data $(command -v postgres) --single -D /data postgres"
    cat >in.sql <<'END'
create table t(a int primary key, b text);
insert into t select i, md5(i::text) from generate_series(1, 5000) i;
create index on t(b);
update t set b = b || a where a % 3 = 0;
checkpoint;
delete from t where a % 7 = 0;
select count(*) as n, sum(a) as s, md5(string_agg(b, ',' order by a)) as m from t;
END
    $postgres
    want_status 0
    grep -oE '(n|s|m) = "[^"]*"' out >first
    [ "$(wc -l <first)" = 3 ] || fail "no answer: $(tail -n 5 out) $(said)"
    sound
    printf 'select count(*) as n, sum(a) as s, md5(string_agg(b, $$,$$ order by a)) as m from t;\n' >in.sql
    $postgres
    [ "$(grep -oE '(n|s|m) = "[^"]*"' out)" = "$(cat first)" ] || fail "the second boot reads: $(tail -n 5 out)"
    sound
    printf 'insert into t select i, $$more$$ from generate_series(10001, 12000) i;\nselect count(*) as done from t;\n' >in.sql
    mkfifo sql
    "$OPS" run -e LD_LIBRARY_PATH -m 512M -c c.json --mounts ./disk:/data "$(command -v postgres)" --single -D /data postgres \
        <sql >progress 2>err &
    local pid=$!
    exec 7>sql
    cat in.sql >&7
    wait_for 100 grep -q 'done = "6286"' progress || fail "it never came so far: $(tail -n 3 progress) $(said)"
    kill -KILL $pid
    wait $pid 2>/dev/null
    exec 7>&-
    wait_for 20 flock -n disk true || fail "the machine is still there"
    printf 'select count(*) as n, count(*) filter (where b = $$more$$) as more from t;\n' >in.sql
    $postgres
    want_status 0
    [ "$(grep -oE '(n|more) = "[^"]*"' out | tr '\n' ' ')" = 'n = "6286" more = "2000" ' ] || fail "after the cut: $(tail -n 5 out) $(said)"
    sound
}

test_fio() {
    need fio
    volume_make 200M
    local fio job
    fio=$(command -v fio)
    for job in "--rw=randwrite --bs=4k --ioengine=psync --fsync=16" "--rw=write --bs=64k --ioengine=sync" \
        "--rw=randwrite --bsrange=512-64k --ioengine=psync --direct=1 --ba=512" "--rw=randwrite --bs=8k --ioengine=mmap"; do
        # shellcheck disable=SC2086
        on_volume --smp 2 -m 512M "$fio" --name=j --directory=/data --thread=1 --numjobs=2 --size=6m --verify=crc32c \
            --do_verify=1 --verify_fatal=1 --fallocate=none --end_fsync=1 --output-format=terse $job
        [ "$STATUS" = 0 ] || fail "$job: status $STATUS: $(said) $(head -c 300 out)"
        sound
    done
    on_volume -m 512M "$fio" --name=a --directory=/data --thread=1 --size=1m --rw=write --ioengine=libaio --iodepth=4
    [ "$STATUS" != 0 ] || fail "libaio is said to work, but there is no io_setup"
    grep -qiE 'Function not implemented|io_queue_init|libaio' err out || fail "no clear word on libaio: $(said) $(head -c 300 out)"
    sound
}

e2e_main "$@"
