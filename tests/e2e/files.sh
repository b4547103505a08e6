#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What goes into an image and how the program is started: libraries, system files,
# configuration, scripts. Only looks at --list-files and --print-manifest.
. "$(dirname "$0")/lib.sh"

# lists PATTERN: the guest path column has a match.
want_listed() { want_out_has "^$1(	| -> )"; }
want_unlisted() { want_out_lacks "^$1(	| -> )"; }

test_dynamic_glibc() {
    ops run --list-files /usr/bin/openssl
    want_status 0
    want_no_err
    for f in /usr/bin/openssl /usr/lib/x86_64-linux-gnu/libcrypto.so.3 /etc/passwd \
        /etc/nsswitch.conf /etc/resolv.conf /tmp /proc /dev; do
        want_listed "$f"
    done
    want_out_has 'libc.so.6	.*	needed by'
    want_out_has 'the loader of /usr/bin/openssl'
}

test_every_link_is_kept() {
    ops run --list-files /usr/bin/openssl
    [ ! -L /lib64 ] || want_out_has '^/lib64 -> '
}

test_static_needs_nothing() {
    echo 'int main(void) { return 0; }' | cc_program app -static
    ops run --list-files --no-system-files ./app
    want_status 0
    want_listed "$PWD/app"
    want_out_lacks 'libc'
    want_out_lacks '/etc/'
}

test_musl() {
    echo 'int main(void) { return 0; }' | CC=musl-gcc cc_program app
    ops run --list-files ./app
    want_status 0
    want_listed '.*/ld-musl-x86_64.so.1'
    want_out_lacks 'libnss'
}

test_program_is_never_executed() {
    echo '#include <stdio.h>
int main(void) { fclose(fopen("executed", "w")); return 0; }' >app.c
    cc_program app <app.c
    cc_program static -static <app.c
    CC=musl-gcc cc_program musl <app.c
    for f in app static musl; do
        ops run --list-files ./$f
        want_status 0
    done
    want_no_file executed
}

library() { # NAME CODE [OPTION...]
    local name=$1 code=$2
    shift 2
    gcc -shared -fPIC -x c -Wl,-soname,"$(basename "$name")" -o "$name" - "$@" <<<"$code" ||
        fail "cannot link $name"
}

test_runpath_origin() {
    mkdir lib
    library lib/libtwo.so.1 'int two(void) { return 2; }'
    ln -s libtwo.so.1 lib/libtwo.so
    library lib/libone.so.1 'int two(void); int one(void) { return two() - 1; }' -Llib -ltwo '-Wl,-rpath,$ORIGIN'
    ln -s libone.so.1 lib/libone.so
    echo 'int one(void); int main(void) { return one(); }' |
        cc_program app -Llib -lone '-Wl,-rpath,$ORIGIN/lib' -Wl,-rpath-link,lib
    ops run --list-files ./app
    want_status 0
    want_listed "$PWD/lib/libone.so.1"
    want_out_has "^$PWD/lib/libtwo.so.1	.*needed by $PWD/lib/libone.so.1"
}

test_rpath_is_inherited() {
    mkdir lib
    library lib/libtwo.so.1 'int two(void) { return 2; }'
    ln -s libtwo.so.1 lib/libtwo.so
    library lib/libone.so.1 'int two(void); int one(void) { return two() - 1; }' -Llib -ltwo
    ln -s libone.so.1 lib/libone.so
    echo 'int one(void); int main(void) { return one(); }' >app.c
    cc_program app -Llib -lone '-Wl,-rpath,${ORIGIN}/lib' -Wl,--disable-new-dtags -Wl,-rpath-link,lib <app.c
    ops run --list-files ./app
    want_status 0
    want_listed "$PWD/lib/libtwo.so.1"
    cc_program app -Llib -lone '-Wl,-rpath,${ORIGIN}/lib' -Wl,--enable-new-dtags -Wl,-rpath-link,lib <app.c
    ops run --list-files ./app # DT_RUNPATH is not inherited
    want_error 1 'cannot find the library libtwo.so.1, needed by .*libone.so.1'
    ops run --list-files -e "LD_LIBRARY_PATH=$PWD/lib" ./app
    want_status 0
}

test_wrong_class_is_passed_over() {
    mkdir bad good
    printf '\x7fELF\x01\x01\x01not for us' >bad/libone.so.1
    library good/libone.so.1 'int one(void) { return 0; }'
    ln -s libone.so.1 good/libone.so
    echo 'int one(void); int main(void) { return one(); }' |
        cc_program app -Lgood -lone "-Wl,-rpath,$PWD/bad:$PWD/good"
    ops run --list-files ./app
    want_status 0
    want_listed "$PWD/good/libone.so.1"
    want_unlisted "$PWD/bad/libone.so.1"
}

test_program_below_tmp() {
    dir=$(mktemp -d /tmp/ops-e2e.XXXXXX)
    trap 'rm -rf "$dir"' EXIT
    cp /bin/true "$dir/app"
    ops run --list-files --print-manifest "$dir/app"
    want_status 0
    want_listed "/host$dir/app"
    want_out_has "^program=/host$dir/app"
    want_out_has "^arg=$dir/app"
}

test_refusing_files() {
    ops run --list-files --exclude '/etc/ssl/*' --exclude /etc/services /bin/true
    want_status 0
    want_out_lacks '/etc/ssl'
    want_out_lacks '^/etc/services'
    want_listed /etc/passwd
    ops run --list-files --no-system-files /bin/true
    want_unlisted /etc/passwd
    want_listed /tmp
}

test_accounts_do_not_leak() {
    ops build -o disk /bin/true --kernel x 2>/dev/null
    : >kernel.elf
    ops run --list-files /bin/true
    want_out_has '^/etc/passwd	\(made by ops\)'
    want_out_has '^/etc/hosts	\(made by ops\)'
    want_out_has '^/etc/resolv.conf -> /proc/net/pnp	'
}

test_python_tree() {
    [ -x /usr/bin/python3 ] || skip "no /usr/bin/python3"
    ops run --list-files /usr/bin/python3 -c pass
    want_status 0
    want_out_has '/usr/lib/python3\.[0-9]+/json/__init__.py	.*python3\.[0-9]+ opens it at run time'
    want_out_has 'libssl.so.3	.*needed by .*lib-dynload/_ssl'
}

test_perl_tree() {
    ops run --list-files /usr/bin/perl
    want_out_has '/usr/share/perl/5.*/strict.pm'
}

test_script() {
    printf '#!/usr/bin/perl -w\nprint 1;\n' >s.pl
    chmod +x s.pl
    ops run --print-manifest ./s.pl a 'b c'
    want_status 0
    want_out_has '^program=/usr/bin/perl$'
    [ "$(grep ^arg= out | tr '\n' ' ')" = "arg=/usr/bin/perl arg=-w arg=$PWD/s.pl arg=a arg=b c " ] ||
        fail "argv: $(grep ^arg= out | tr '\n' ' ')"
}

test_env_script() {
    printf '#!/usr/bin/env perl\nprint 1;\n' >s
    chmod +x s
    ops run --print-manifest --list-files ./s
    want_status 0
    want_out_has '^program=/.*/perl$'
    want_listed "$PWD/s"
}

test_manifest_escapes() {
    ops run --print-manifest /bin/true 'a\b' $'two\nlines' $'tab\there' 'ünïcode' ''
    want_out_has '^arg=a\\\\b$'
    want_out_has '^arg=two\\nlines$'
    want_out_has '^arg=tab\\x09here$'
    want_out_has '^arg=ünïcode$'
    want_out_has '^arg=$'
}

test_environment() {
    printf '{"Env": {"A": "config", "B": "config"}}' >c.json
    FROM_HOST=yes ops run -c c.json -e A=x=y=z -e FROM_HOST --print-manifest /bin/true
    want_out_has '^env=A=x=y=z$'
    want_out_has '^env=B=config$'
    want_out_has '^env=FROM_HOST=yes$'
    want_out_has '^env=PATH=/'
    want_out_has '^env=HOME=/root$'
    [ "$(grep -c '^env=A=' out)" = 1 ] || fail "A stands there twice"
}

test_options_end_at_program() {
    ops run --print-manifest /bin/true -v --help -- -m
    want_status 0
    [ "$(grep ^arg= out | tr '\n' ' ')" = "arg=/bin/true arg=-v arg=--help arg=-- arg=-m " ] ||
        fail "argv: $(grep ^arg= out | tr '\n' ' ')"
    ops run --print-manifest -- /bin/true x
    want_out_has '^arg=x$'
}

test_config_everything() {
    mkdir -p conf/data/sub conf/pages && cd conf || exit 1
    echo a >data/a && echo b >data/sub/b && ln -s sub/b data/link && echo p >pages/p.html
    echo q >pages/q.txt && echo one >one.txt
    cat >c.json <<-END
	{"Program": "/bin/true", "Args": ["x", "y"], "Files": ["one.txt"], "Dirs": ["data"],
	 "MapDirs": {"pages/*.html": "/srv/html", "data/sub": "/srv/sub"}, "Hostname": "box",
	 "Cwd": "/srv", "Uid": 1000, "Gid": 1001, "NameServers": ["192.0.2.1"],
	 "RunConfig": {"Memory": "96M", "CPUs": 2}, "BaseVolumeSz": "64M"}
	END
    cd ..
    ops run -c conf/c.json --list-files --print-manifest
    want_status 0
    want_listed /one.txt
    want_listed /data/sub/b
    want_out_has '^/data/link -> sub/b'
    want_listed /srv/html/p.html
    want_unlisted /srv/html/q.txt
    want_listed /srv/sub/b
    for line in program=/bin/true arg=x arg=y cwd=/srv hostname=box uid=1000 gid=1001; do
        want_out_has "^$line$"
    done
    ops run -c conf/c.json --print-manifest /bin/false z
    want_out_has '^program=/bin/false$'
    want_out_lacks '^arg=x$'
}

test_dry_run_quotes() {
    : >"k, 'x.elf"
    OPS_QEMU=/bin/true ops run --dry-run --kernel "k, 'x.elf" -m 96M --smp 2 --accel tcg /bin/true
    want_status 0
    want_out_has "-kernel 'k, '.''x.elf' "
    want_out_has '-m 96M -smp 2 '
    want_out_has 'virtio-blk-device'
    OPS_QEMU=/bin/true ops run --dry-run --kernel "k, 'x.elf" --machine q35 /bin/true
    want_out_has 'virtio-blk-pci'
}

test_version_and_profile() {
    ops version
    want_status 0
    want_out_has '^ops [0-9]+\.[0-9]+\.[0-9]+$'
    ops profile
    want_status 0
    want_out_has '^KVM +(works|not usable): '
    ops profile --json
    want_out_has '"kvmReason":'
}

# What --print-manifest says is what the machine gets, also what is only settled late.
test_manifest_is_the_machines() {
    : >kernel.elf
    mkdir shared
    ops volume create data
    printf '{"Env": {"A": "b"}}' >c.json
    export OPS_QEMU=$E2E_DIR/fake-qemu
    export FAKE='while [ "$1" != -initrd ]; do shift; done; cat "$2" >&$OUT; echo exit 0 >&$CTL'
    for options in '' '--net none' '--mounts data:/data' '--share ./shared:/shared:ro --machine q35' \
        '-c c.json --mounts data:/data:ro --share ./shared:/s --read-only --name m' '--trace --core core'; do
        ops run --print-manifest --kernel kernel.elf $options /bin/true a b
        want_status 0
        mv out printed
        [ -n "${options##*--share*}" ] || continue # the stand-in has no virtio-9p
        ops run --kernel kernel.elf $options /bin/true a b
        want_status 0
        cmp out printed || fail "$options: $(diff out printed)"
    done
    ops run --print-manifest --mounts data:/data --share ./shared:/s --kernel kernel.elf /bin/true
    want_out_has '^interface=10\.0\.2\.15/24 '
    want_out_has '^mount=[0-9a-f-]*:/data$'
    want_out_has '^share=.*:/s$'
    python3 -c 'import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)' "$OPS" run --print-manifest --kernel kernel.elf /bin/true >out </dev/null
    for line in stdin=tty stdout=tty stderr=stdout; do
        want_out_has "^$line"
    done
    ops run --print-manifest --mounts none:/data /bin/true
    want_error 1 'there is no volume none'
}

e2e_main "$@"
