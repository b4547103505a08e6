#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ops-import: archives, packages of Debian, downloads and container images, good ones and such that
# want to do harm.
. "$(dirname "$0")/lib.sh"
OPS=$O/ops-import
here=$(realpath "$(dirname "$0")")

need() { # COMMAND...
    for c in "$@"; do command -v "$c" >/dev/null || skip "no $c"; done
}

image() { python3 "$here/oci_image.py" "$@" || fail "cannot make an image"; } # DIR [PACKING] [KEY=JSON]

import() { # COMMAND DIR WORDS...: into a fresh directory
    rm -rf "$2" && mkdir "$2"
    ops "$@"
}

same_list() { cmp "$1/sysroot.mtree" "$2/sysroot.mtree" >differ 2>&1 || fail "$2 differs: $(diff "$1/sysroot.mtree" "$2/sysroot.mtree" | head -4)"; }

# A server of ours, with its port in PORT and what it says in the file served.
serve() { # [LAYOUT]
    : >served
    python3 "$here/hostile_server.py" "$@" >served 2>served-err &
    SERVER=$!
    trap 'kill $SERVER 2>/dev/null' EXIT
    wait_for 20 test -s served || fail "no server: $(cat served-err)"
    PORT=$(head -1 served)
    URL=http://127.0.0.1:$PORT
}

# The archive is refused, and nothing but the directory was touched.
harmless() { # WHAT STATUS [PATTERN]
    rm -rf cage && mkdir cage && echo canary >cage/canary
    python3 "$here/hostile_tar.py" "$1" cage/x.tar || fail "cannot make $1"
    mkdir cage/a && mkdir cage/a/b
    ops tar cage/a/b cage/x.tar
    [ $STATUS = "$2" ] || fail "$1: status $STATUS, not $2; stderr: $(said)"
    [ $# -lt 3 ] || want_err "$3"
    [ "$(cd cage && find . -path ./a/b -prune -o -print | sort | tr '\n' ' ')" = '. ./a ./canary ./x.tar ' ] || fail "$1 wrote outside: $(find cage)"
    [ "$(cat cage/canary)" = canary ] || fail "$1 changed a file"
    [ ! -e /evil-absolute ] && [ ! -e /evil ] && [ ! -e /tmp/evil ] || fail "$1 wrote into the root"
}

test_layers_equal_umoci() {
    need umoci
    [ "$(id -u)" = 0 ] || skip "umoci needs root to set owners"
    image img
    umoci unpack --image img:v1 bundle >log 2>&1 || fail "umoci: $(cat log)"
    import oci o oci:img:v1
    want_status 0 && want_no_err
    python3 "$here/mtree_compare.py" o/sysroot.mtree bundle/rootfs >differ
    [ ! -s differ ] || fail "$(head -5 differ)"
    [ "$(grep -c . o/sysroot.mtree)" -gt 30 ] || fail "it lists little"
    [ -f o/sysroot/usr/lib/through ] && [ -u bundle/rootfs/set ] && [ ! -u o/sysroot/set ] || fail "files are not as they should be"
    [ "$(stat -c %i o/sysroot/h2)" = "$(stat -c %i o/sysroot/h4)" ] || fail "no hard link on disk"
}

test_every_way_the_same_tree() {
    image img && import oci o oci:img:v1
    want_status 0
    for packing in gzip zstd none; do
        image "$packing" "$packing" variants=
        import oci two oci:"$packing"
        want_status 0 && want_no_err
        same_list o two
    done
    tar -cf img.tar -C img .
    import oci two oci-archive:img.tar:v1
    want_status 0
    same_list o two
    [ "$(ls -A two | tr '\n' ' ')" = 'README.md package.manifest sysroot sysroot.mtree ' ] || fail "left: $(ls -A two)"
    need skopeo
    skopeo --insecure-policy copy -q oci:img:v1 docker-archive:docker.tar:me/x:v1 >log 2>&1 || fail "skopeo: $(cat log)"
    import oci two docker-archive:docker.tar
    want_status 0
    same_list o two
    import oci two docker-archive:docker.tar:me/x:v1
    want_status 0
    import oci two docker-archive:docker.tar:me/x:v2
    want_error 1 'no image in it has that name'
}

test_anybody_can() {
    [ "$(id -u)" = 0 ] || skip "it is anybody already"
    image img && import oci o oci:img
    mkdir two && chown nobody two && chmod 755 . .. 
    setpriv --reuid nobody --regid nogroup --clear-groups "$OPS" oci two oci:img 2>err || fail "$(said)"
    same_list o two
}

test_package() {
    image img
    import oci o oci:img:v1
    python3 - <<'END' || fail "$(cat o/package.manifest)"
import json
m = json.load(open("o/package.manifest"))
assert m == {"Program": "/bin/echo", "Args": ["/bin/echo"], "DefaultArgs": ["hello", "$HOME"], "Env": {"PATH": "/bin", "A": "b=c", "E": ""},
             "Cwd": "/srv", "Uid": 33, "Gid": 50, "StopSignal": "SIGQUIT"}, m
END
    grep -q '`80/tcp`' o/README.md && grep -q 'SIGQUIT' o/README.md || fail "$(cat o/README.md)"
    import oci o oci:img --entrypoint busybox
    grep -q '"Program":.*"/bin/busybox"' o/package.manifest && grep -q '"Args":.*\["busybox"\]' o/package.manifest || fail "$(cat o/package.manifest)"
    import oci o oci:img --entrypoint nothing
    want_error 1 'the image starts .nothing., but has no such program' '--entrypoint'
    image script gzip 'Entrypoint=["/run.sh"]' 'Cmd=["busybox","true"]' 'User="33"'
    import oci o oci:script
    want_error 1 '/run.sh is a shell script' '--entrypoint busybox'
    [ ! -e o/package.manifest ] || fail "there is a manifest"
    import oci o oci:script --entrypoint busybox
    want_status 0
    grep -q '"Args":.*\["busybox"\]' o/package.manifest && grep -q '"DefaultArgs":.*\["true"\]' o/package.manifest || fail "Cmd is lost: $(cat o/package.manifest)"
    grep -q '"Gid":.*34' o/package.manifest || fail "the group of 33 is 34: $(cat o/package.manifest)"
    image env gzip 'Entrypoint=["/tool"]' 'Cmd=["true"]' 'User="77:88"'
    import oci o oci:env
    want_error 1 'shell script' # its interpreter is busybox
    image user gzip 'User="nobody"'
    import oci o oci:user
    want_error 1 'runs as .nobody., but has no such user'
    image none gzip 'Entrypoint=null' 'Cmd=null'
    import oci o oci:none
    want_error 1 'does not say which program' '--entrypoint'
}

test_platforms_and_tags() {
    image img gzip variants=
    import oci o oci:img --platform linux/arm64
    want_status 0
    import oci o oci:img --platform linux/s390x
    want_error 1 'no variant for linux/s390x' 'linux/arm64, linux/amd64'
    import oci o oci:img:v2
    want_error 1 'no tag v2' 'it has: v1'
    import oci o oci:nothing
    want_error 1 'cannot open nothing'
    import oci o nonsense:x
    want_error 2 'names no image'
}

test_image_that_lies() {
    image img
    layer=$(ls -S img/blobs/sha256 | head -1)
    cp -r img flip && printf x | dd of="flip/blobs/sha256/$layer" bs=1 seek=1000 conv=notrunc status=none
    import oci o oci:flip
    want_error 1 "the blob sha256:$layer has the SHA-256 "
    cp -r img cut && truncate -s 5000 "cut/blobs/sha256/$layer"
    import oci o oci:cut
    want_error 1 'has the SHA-256'
    cp -r img gone && rm "gone/blobs/sha256/$layer"
    import oci o oci:gone
    want_error 1 "cannot open blobs/sha256/$layer" 'incomplete'
    cp -r img linked && rm "linked/blobs/sha256/$layer" && ln -s "$PWD/img/blobs/sha256/$layer" linked/blobs/sha256/
    import oci o oci:linked
    want_error 1 'cannot open'
    for text in '' '{' '[]' '{"manifests": 1}' '{"manifests": []}' '{"manifests": [{"digest": "sha256:../../x", "size": 1}]}' '<html></html>'; do
        cp -r img bad 2>/dev/null
        printf %s "$text" >bad/index.json
        import oci o oci:bad
        want_status 1
        want_err '^ops: '
    done
    # The configuration names other content than the layers have.
    python3 - <<'END'
import glob, hashlib, json
for f in glob.glob("img/blobs/sha256/*"):
    data = open(f, "rb").read()
    if b'"rootfs"' in data and b'diff_ids' in data:
        new = json.loads(data)
        new["rootfs"]["diff_ids"][0] = "sha256:" + "0" * 64
        new = json.dumps(new).encode()
        old, name = f.split("/")[-1], hashlib.sha256(new).hexdigest()
        open("img/blobs/sha256/" + name, "wb").write(new)
        size = len(data)
index = json.load(open("img/index.json"))
d = index["manifests"][0]["digest"][7:]
m = json.load(open("img/blobs/sha256/" + d))
m["config"].update(digest="sha256:" + name, size=len(new))
m = json.dumps(m).encode()
name = hashlib.sha256(m).hexdigest()
open("img/blobs/sha256/" + name, "wb").write(m)
index["manifests"][0].update(digest="sha256:" + name, size=len(m))
json.dump(index, open("img/index.json", "w"))
END
    import oci o oci:img
    want_error 1 'unpacks to what has the SHA-256' 'contradicts itself'
}

test_real_registry() {
    need skopeo docker-registry
    image img && import oci o oci:img:v1
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    printf 'version: 0.1\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "127.0.0.1:%s"}\n' "$PWD/reg" "$port" >reg.yml
    docker-registry serve reg.yml >reg.log 2>&1 &
    SERVER=$!
    trap 'kill $SERVER 2>/dev/null' EXIT
    wait_for 30 skopeo --insecure-policy copy -q --dest-tls-verify=false oci:img:v1 "docker://127.0.0.1:$port/me/x:v1" 2>/dev/null || fail "no registry: $(tail -3 reg.log)"
    import oci two "docker://127.0.0.1:$port/me/x:v1"
    want_status 0 && want_no_err
    same_list o two
    grep -q '"GET /v2/me/x/blobs/.*ops/\|GET.*/blobs/.*ops/' reg.log || fail "it was not asked"
    digest=$(sed -n 's/.*manifest is `\(sha256:[0-9a-f]*\)`.*/\1/p' two/README.md)
    import oci two "docker://127.0.0.1:$port/me/x:v2"
    want_error 1 'there is no such file .HTTP 404'
    # Damage in the cache is noticed, and mended.
    blob=$(ls -S "$XDG_CACHE_HOME/ops/blobs" | head -1)
    printf x | dd of="$XDG_CACHE_HOME/ops/blobs/$blob" bs=1 seek=99 conv=notrunc status=none
    import oci two "docker://127.0.0.1:$port/me/x:v1"
    want_status 0
    same_list o two
    kill $SERVER && wait $SERVER 2>/dev/null
    import oci two "docker://127.0.0.1:$port/me/x:v1"
    want_status 0
    want_err '^note: 127.0.0.1:[0-9]* cannot be reached: using v1 as it was fetched before'
    same_list o two
    import oci two "docker://127.0.0.1:$port/me/x@$digest"
    want_status 0 && want_no_err
    printf x | dd of="$XDG_CACHE_HOME/ops/blobs/$blob" bs=1 seek=99 conv=notrunc status=none
    import oci two "docker://127.0.0.1:$port/me/x@$digest"
    want_error 1 'cannot fetch'
    find "$XDG_CACHE_HOME" -name '*.part' | grep . && fail "a part is left"
    return 0
}

test_registry_logins() {
    image img && serve "$PWD/img"
    unset DOCKER_CONFIG
    export HOME=$PWD/home && mkdir -p home/.docker
    import oci o "docker://127.0.0.1:$PORT/token/x"
    want_status 0 && want_no_err
    grep -q '^token None /token?service=a%20b&scope=repository:x:pull$' served || fail "$(cat served)"
    grep -q '^elsewhere None$' served || fail "no redirect: $(cat served)"
    ! grep -q '^elsewhere [^N]' served || fail "the token went to another host: $(cat served)"
    import oci o "docker://127.0.0.1:$PORT/basic/x"
    want_error 1 'wants a login for basic/x' 'docker login'
    echo "{\"auths\": {\"127.0.0.1:$PORT\": {\"auth\": \"$(printf me:pw | base64)\"}}}" >home/.docker/config.json
    import oci o "docker://127.0.0.1:$PORT/basic/x"
    want_status 0
}

test_registry_that_lies() {
    image img && serve "$PWD/img"
    for mode in flip:'is not what sha256' short:'bytes, not' long:'larger than is allowed' html:'a web page came' manifest:'is not what sha256'; do
        import oci o "docker://127.0.0.1:$PORT/${mode%%:*}/x"
        want_error 1 "${mode#*:}"
        [ ! -e o/sysroot.mtree ] || fail "${mode%%:*}: there is a list"
        [ -z "$(find "$XDG_CACHE_HOME" -name '*.part')" ] || fail "a part is left"
    done
    import oci o "docker://127.0.0.1:$PORT/stall/x" --stall 1
    want_error 1 'silent or too slow'
    import oci o "docker://127.0.0.1:$PORT/redirect/x"
    want_status 0
    import oci o "docker://127.0.0.1:1/none/x"
    want_error 1 'cannot fetch http://127.0.0.1:1/'
    import oci o "docker://127.0.0.1:$PORT/../x"
    want_error 2 'names no image'
}

test_fetch() {
    serve
    sum=$(python3 -c 'import hashlib; print(hashlib.sha256(bytes(range(256)) * 4000).hexdigest())')
    ops fetch "$URL/file" got --sha256 "$sum" --status 1
    want_status 0 && want_no_err
    want_out_has '^progress 1024000 1024000 got$'
    [ "$(sha256sum <got)" = "$sum  -" ] || fail "other content"
    ops fetch "file://$PWD/got" copy
    want_status 0 && cmp got copy
    ops fetch "$URL/to-good" two
    want_status 0 && cmp got two
    rm got two copy
    ops fetch "$URL/file" got --sha256 "${sum//[0-9]/0}"
    want_error 1 "has the SHA-256 $sum" 'not used'
    ops fetch "$URL/file" got --limit 1000
    want_error 1 'larger than is allowed'
    ops fetch "$URL/endless" got --limit 100000
    want_error 1 'larger than is allowed'
    ops fetch "$URL/html" got
    want_error 1 'a web page came instead of a file' 'proxy or a login'
    ops fetch "$URL/loop" got
    want_error 1 'redirected again and again'
    ops fetch "$URL/to-file" got
    want_error 1 'redirected to something else than HTTP'
    ops fetch "$URL/stall" got --stall 1
    want_error 1 'silent or too slow; 10 bytes had come'
    ops fetch "$URL/short" got
    want_error 1 'ended after 100 of 1024000 bytes'
    ops fetch "$URL/headers" got
    want_error 1 'cannot fetch'
    ops fetch "$URL/nothing" got
    want_error 1 'there is no such file .HTTP 404'
    ops fetch "ftp://127.0.0.1:$PORT/x" got
    want_error 1 'cannot fetch'
    ops fetch "http://me:secret@127.0.0.1:1/x" got
    want_error 1 'cannot fetch http://127.0.0.1:1/x'
    ! grep -q secret err || fail "the password is shown"
    ops fetch "file://$PWD/none" got
    want_error 1 'cannot fetch'
    [ -z "$(ls | grep got)" ] || fail "left: $(ls)"
}

test_fetch_goes_on() {
    serve
    for path in drops changes wrong-range; do
        ops fetch "$URL/$path" got --resume
        want_error 1 'ended after 500000 of 1024000 bytes'
        want_file got.part && want_file got.part.tag && want_no_file got
        ops fetch "$URL/$path" got --resume
        want_status 0 && want_no_err
        python3 -c 'assert open("got", "rb").read() == bytes(range(256)) * 4000' || fail "$path: other content"
        want_no_file got.part && want_no_file got.part.tag
        rm got
    done
    grep -q '^range bytes=500000- "one"$' served || fail "$(cat served)"
    ops fetch "$URL/drops" got
    want_status 0
    echo other >got.part && printf '%s\n"x"' "$URL/elsewhere" >got.part.tag
    ops fetch "$URL/drops" got --resume
    want_status 0
    python3 -c 'assert open("got", "rb").read() == bytes(range(256)) * 4000' || fail "another file's part was used"
}

test_deb() {
    need dpkg-deb
    mkdir -p p/DEBIAN p/usr/bin p/usr/lib p/etc q/DEBIAN q/usr/lib
    printf 'Package: pp\nVersion: 1.0\nArchitecture: all\nMaintainer: x <x@y>\nDescription: z\n' >p/DEBIAN/control
    sed 's/pp/qq/' p/DEBIAN/control >q/DEBIAN/control
    printf '#!/bin/sh\ntouch /tmp/ops-script-ran\n' >p/DEBIAN/postinst && chmod 755 p/DEBIAN/postinst
    echo tool >p/usr/bin/tool && chmod 4755 p/usr/bin/tool && ln -s tool p/usr/bin/alias && echo conf >p/etc/conf
    echo lib >q/usr/lib/lib && ln -s usr/lib p/lib && mkdir q/lib && echo more >q/lib/more
    for packing in gzip xz zstd none; do
        dpkg-deb --root-owner-group -Z$packing -b p p.deb >log 2>&1 || continue
        dpkg-deb --root-owner-group -Z$packing -b q q.deb >log 2>&1 || fail "$(cat log)"
        import deb o p.deb q.deb
        want_status 0 && want_no_err
        [ "$(grep -c '^Package: ' out)" = 2 ] && [ "$(grep -c '^$' out)" = 2 ] || fail "$(cat out)"
        [ -L o/sysroot/lib ] && [ "$(cat o/sysroot/usr/lib/more)" = more ] || fail "a directory replaced a symlink"
        grep -q '^./usr/bin/tool type=file mode=4755 uid=0 gid=0 ' o/sysroot.mtree || fail "$(cat o/sysroot.mtree)"
        [ "$(stat -c %a o/sysroot/usr/bin/tool)" = 755 ] || fail "set-id on disk"
    done
    import deb o q.deb p.deb
    want_error 1 'directory with something in it'
    size=$(stat -c %s p.deb)
    for cut in 4 50 100 200 $((size / 2)) $((size - 3)); do
        head -c "$cut" p.deb >cut.deb
        import deb o cut.deb
        want_status 1 && want_err '^ops: '
        [ ! -e o/sysroot.mtree ] || fail "cut at $cut: there is a list"
    done
    want_no_file /tmp/ops-script-ran
}

test_archive() {
    python3 "$here/hostile_tar.py" package p.tar
    import archive o p.tar
    want_status 0 && want_out one
    [ "$(cat o/prog)$(cat o/sysroot/usr/in)" = pin ] || fail "$(find o)"
    grep -q '^./usr/in ' o/sysroot.mtree && ! grep -q prog o/sysroot.mtree || fail "$(cat o/sysroot.mtree)"
    rm -rf o && mkdir o && ops_input p.tar archive o -
    want_status 0 && want_out one
    for what in two-tops:'not in the one top' no-package:'no package' traversal:'leads out' package-symlink:'no directory' \
        package-list:'its list says otherwise .added /a.' package-list-symlink:'cannot write sysroot.mtree'; do
        python3 "$here/hostile_tar.py" "${what%%:*}" p.tar
        import archive o p.tar
        want_error 1 "${what#*:}"
    done
}

test_archive_that_wants_out() {
    harmless traversal 1 'refused the entry ../evil: it leads out'
    harmless traversal-deep 1 'leads out'
    harmless absolute 0
    harmless symlink 0
    want_file cage/a/b/sysroot/evil
    harmless symlink-absolute 0
    want_file cage/a/b/sysroot/evil
    harmless symlink-chain 0
    harmless symlink-replaced 0
    want_file cage/a/b/sysroot/tmp/evil
    harmless symlink-loop 1 'loop of symlinks'
    harmless symlink-nowhere 1 'leads nowhere|leads out'
    harmless hardlink 1 'hard link to no file|leads out'
    harmless hardlink-absolute 1 'hard link to no file'
    harmless hardlink-symlink 1 'hard link to no file'
    harmless hardlink-below 1 'refused'
    harmless through-file 1 'a file stands where'
    harmless long-name 1 'more than 255 bytes'
    harmless root-file 1 'replace the root'
    harmless dir-over 1 'directory with something in it'
    harmless devices 0 '^note: left out .devices, FIFOs and the like.: 4'
    [ -z "$(find cage/a/b/sysroot ! -type f ! -type d)" ] || fail "$(find cage)"
}

test_bombs() {
    harmless bomb 1 'more than 500 times its own size'
    harmless bomb-sparse 1 'too large|too early|Truncated'
    harmless bomb-deep 1 'too long'
    python3 "$here/hostile_tar.py" bomb b.tar
    import tar o b.tar --max-ratio 100000 --max-bytes 1000000
    want_error 1 'the files would be too large .--max-bytes'
    import tar o b.tar --max-ratio 100000
    want_status 0
    python3 "$here/hostile_tar.py" bomb-entries b.tar
    import tar o b.tar --max-entries 2000
    want_error 1 'too many entries .--max-entries'
    import tar o b.tar --max-bytes 1000000
    want_error 1 'b.tar unpacks to more than 1000000 bytes' '--max-bytes'
}

test_damaged_archives() {
    for what in plain gz xz zst bz2; do
        python3 "$here/hostile_tar.py" $what good.tar 2>/dev/null || continue
        import tar o good.tar
        want_status 0
        size=$(stat -c %s good.tar)
        for cut in 10 $((size / 3)) $((size / 2)); do
            head -c "$cut" good.tar >cut.tar
            import tar o cut.tar
            want_status 1 && want_err '^ops: '
            [ ! -e o/sysroot.mtree ] || fail "$what cut at $cut: there is a list"
        done
        [ $what != plain ] || continue
        # One bit in every 23rd byte: it is noticed, or the content is what it was (times in headers).
        cp -r o good && for at in $(seq 0 23 $((size - 1))); do
            python3 -c "
d = bytearray(open('good.tar', 'rb').read()); d[$at] ^= 4; open('flip.tar', 'wb').write(d)"
            import tar o flip.tar
            [ $STATUS = 1 ] || [ "$(sha256sum <o/sysroot/d/f)" = "$(head -c 0 /dev/null; python3 -c 'print("hello" * 1000, end="")' | sha256sum)" ] ||
                fail "$what: a bit at $at changes the content, and nobody says it"
        done
        rm -rf good
    done
    python3 "$here/hostile_tar.py" gz-garbage g.tar
    import tar o g.tar
    want_error 1 'stands behind its end'
    printf 'no archive at all' >g.tar
    import tar o g.tar
    want_error 1 'cannot unpack g.tar'
}

test_confined() {
    serve
    "$OPS" fetch "$URL/stall" got >/dev/null 2>&1 &
    child=$!
    wait_for 20 grep -q stalls served || fail "it does not ask"
    grep -q '^NoNewPrivs:.*1$' /proc/$child/status || fail "it could gain rights"
    for limit in 'Max cpu time *[0-9]' 'Max address space *[0-9]' 'Max file size *[0-9]' 'Max open files *256' 'Max core file size *0'; do
        grep -q "^$limit" /proc/$child/limits || fail "no limit: $limit: $(cat /proc/$child/limits)"
    done
    kill $child
}

e2e_main "$@"
