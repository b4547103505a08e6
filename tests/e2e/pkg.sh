#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `ops pkg`: the store, packages of the user's own and of others, repositories, container images.
# What recipes make is in packages.sh, hostile archives and servers in import.sh.
. "$(dirname "$0")/lib.sh"

E2E_LIMIT=60
unset OPS_CONFIG

# A package without a recipe: hello_1, made of a program of ours.
make_hello() {
    cc_program hello -static <<'END'
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv)
{
    printf("hello %s %s %d\n", argv[0], argc > 1 ? argv[1] : "-", argc);
    char *who = getenv("WHO");
    if (who)
        puts(who);
    return 7 * (argc > 2);
}
END
    ops pkg from-run --name hello --version 1 ./hello
    want_status 0
    want_out hello_1
}

test_errors() {
    ops pkg
    want_status 2
    ops pkg lost
    want_error 2 'ops pkg has no verb lost' 'did you mean `ops pkg list`'
    ops pkg load
    want_error 2 'no package is given' 'write `ops pkg load NAME`'
    ops pkg load ngink
    want_error 1 'there is no package ngink' 'did you mean nginx'
    ops pkg get ../x
    want_error 2 "'../x' cannot be a package" 'write NAME or NAME:VERSION'
    ops pkg get nginx:
    want_error 2 "'nginx:' cannot be a package"
    for verb in describe contents delete verify; do
        ops pkg $verb none
        want_error 1 'there is no package none here' '`ops pkg list` lists them'
    done
    ops pkg search '('
    want_error 2 '\( is not an expression'
    ops pkg add none
    want_error 1 'cannot open none: no such file'
    ops pkg from-run
    want_error 2 'nothing is given to make a package of' 'write `ops pkg from-run PROGRAM`'
    ops pkg repo nothing
    want_error 2 '`ops pkg repo` does not understand these words' 'ops pkg repo list'
    ops pkg repo remove none
    want_error 1 'there is no repository none' '`ops pkg repo list` lists them'
    ops pkg repo add a /tmp nonsense
    want_error 2 'that is not a public key of minisign' 'begins with RW'
    ops pkg publish tree
    want_error 2 '--key FILE has to name the secret key'
    ops run pkg:zzzzzzz
    want_error 1 'there is no package zzzzzzz' '`ops pkg search` lists what there is'
    ops run oci:none
    want_error 1 'none'
    want_no_file "$XDG_DATA_HOME/ops/packages/.new-"
}

test_search() {
    ops pkg search --json
    want_status 0
    "$E2E_TREE/tests/schema/check" "$E2E_TREE/tests/schema/pkg-search.json" <"$T/out" || fail "not as the schema says"
    ops pkg search 'proxy'
    want_out_has '^nginx +- +web server'
    want_out_lacks redis
}

test_own_package() {
    make_hello
    ops pkg list --json
    "$E2E_TREE/tests/schema/check" "$E2E_TREE/tests/schema/pkg-list.json" <"$T/out" || fail "not as the schema says"
    ops pkg list
    want_out_has '^hello +1 '
    ops pkg contents -l hello
    want_out_has '^-0755 +0 +0 +[0-9]+ .*/hello$'
    ops pkg load hello
    want_status 0
    want_out "hello ./hello - 1"
    ops pkg load -e WHO=me hello:1 a b
    want_status 7
    want_out "hello ./hello a 3
me"
    ops pkg load hello:2
    want_error 1 'there is no package hello'
    ops pkg from-pkg --name second --version 2 -e WHO=you hello fixed
    want_out second_2
    ops run pkg:second
    want_out "hello ./hello fixed 2
you"
    ops pkg delete hello
    want_status 0
    ops pkg list
    want_out_lacks '^hello '
}

# As OPS' users write it: options also behind the name, arguments by -a.
test_where_options_stand() {
    make_hello
    ops pkg load hello -e WHO=behind word
    want_out "hello ./hello word 2
behind"
    ops pkg load hello -a one -e WHO=me -a two
    want_status 7
    want_out "hello ./hello one 3
me"
    ops pkg load hello -- -e two
    want_out 'hello ./hello -e 3'
    ops run -a zero pkg:hello -e
    want_out 'hello ./hello zero 3'
    ops pkg load hello --nonsense
    want_error 2 'nonsense'
    ops pkg load --help
    want_out_has '^usage: ops pkg load'
}

test_settings_over_a_package() {
    make_hello
    ops pkg from-pkg --name two -e WHO=package hello
    echo '{"Env": {"WHO": "project"}, "Args": ["given"]}' >ops.json
    ops run pkg:two
    want_out "hello ./hello given 2
project"
    ops run -e WHO=flag pkg:two word
    want_out "hello ./hello word 2
flag"
    rm ops.json
    ops run pkg:two
    want_out "hello ./hello - 1
package"
}

test_verify() {
    make_hello
    ops pkg verify
    want_status 0
    want_out ''
    file=$(find "$XDG_DATA_HOME" -name hello -type f)
    printf '\x01' | dd of="$file" bs=1 seek=5000 conv=notrunc status=none
    ops pkg verify hello
    want_status 1
    want_out "hello_1	changed content $PWD/hello"
    rm "$XDG_DATA_HOME"/ops/packages/hello_1/sysroot/etc/hosts
    ops run pkg:hello
    want_error 1 'the package hello is damaged: /etc/hosts is not there any more' '`ops pkg verify`'
    rm "$file"
    touch "$(dirname "$file")/more"
    ops pkg verify
    want_status 1
    want_out_has "missing $PWD/hello"
    want_out_has "added $PWD/more"
}

# The same inputs give the same bytes, wherever and whenever.
test_reproducible() {
    make_hello
    mkdir one two
    ops pkg repo key secret
    ops pkg publish one hello --key secret
    sleep 1.1
    touch hello.c
    ops pkg delete hello
    ops pkg from-run --name hello --version 1 ./hello
    ops pkg publish two hello --key secret
    cmp one/hello_1.tar.gz two/hello_1.tar.gz || fail "two builds differ"
}

test_packages_of_ops() {
    cc_program prog -static <<'END'
#include <stdio.h>
int main(int argc, char **argv)
{
    char line[64] = "";
    FILE *f = fopen("/etc/greeting", "r");
    printf("%s %s %s", argv[0], argv[1], f ? fgets(line, sizeof line, f) : "nothing\n");
}
END
    mkdir -p greet_0.2/sysroot/etc
    echo hi >greet_0.2/sysroot/etc/greeting
    cp prog greet_0.2/greet
    echo '{"Program": "greet_0.2/greet", "Args": ["greet", "word"], "Version": "0.2"}' >greet_0.2/package.manifest
    echo '# Greets' >greet_0.2/README.md
    ops pkg add greet_0.2
    want_status 0
    want_out greet_0.2
    ops pkg load greet
    want_out 'greet word hi'
    ops pkg describe greet
    want_out '# Greets'
    tar czf greet_0.3.tar.gz greet_0.2
    ops pkg add -n other --version 9 greet_0.3.tar.gz
    want_out other_9
    ops run pkg:other
    want_out 'greet word hi'
    rm greet_0.2/greet
    ops pkg add greet_0.2
    want_error 1 'the package has no file greet, its program'
    echo '{"Args": ["x"]}' >greet_0.2/package.manifest
    ops pkg add greet_0.2
    want_error 1 'the package has no program'
    echo 'nonsense' >greet_0.2/package.manifest
    ops pkg add greet_0.2
    want_status 2
    ops pkg list
    [ "$(find "$XDG_DATA_HOME/ops/packages" -maxdepth 1 -name '.*-*' | wc -l)" = 0 ] || fail "drafts are left"
}

# start_web DIR: a web server over it; WEB is its address.
start_web() {
    python3 -u -m http.server --bind 127.0.0.1 --directory "$1" 0 >web.log 2>&1 &
    WEB_PID=$!
    wait_for 10 grep -q 'port [0-9]' web.log || fail "no web server: $(cat web.log)"
    WEB=http://127.0.0.1:$(sed -n 's/.*port \([0-9]*\).*/\1/p' web.log)
}

publish_hello() {
    make_hello
    ops pkg repo key secret
    want_status 0
    KEY=$(cat "$T/out")
    ops pkg publish tree hello --key secret
    want_status 0
    want_out hello_1
    ops pkg delete hello
}

test_repository() {
    publish_hello
    ops pkg repo key secret
    want_error 1 'cannot write secret: '
    start_web tree
    ops pkg repo add mine "$WEB/" "$KEY"
    want_status 0
    ops pkg repo list
    grep -qF "$WEB" "$T/out" && grep -qF "$KEY" "$T/out" || fail "$(cat "$T/out")"
    ops pkg load hello net
    want_out "hello ./hello net 2"
    ops pkg verify
    want_status 0
    ops pkg delete hello
    kill $WEB_PID
    ops pkg get hello # all of it was fetched before
    want_status 0
    want_out 'hello_1	made'
    ops pkg repo remove mine
    ops pkg delete hello
    ops pkg get hello
    want_error 1 'there is no package hello'
}

# A slow download shows a bar on a terminal, and nothing in a pipe.
test_progress() {
    publish_hello
    cat >slow.py <<'END'
import http.server, time
class Slow(http.server.SimpleHTTPRequestHandler):
    def copyfile(self, source, out):
        data = source.read()
        for i in range(0, len(data), len(data) // 20 + 1):
            out.write(data[i : i + len(data) // 20 + 1])
            time.sleep(0.12 if len(data) > 10000 else 0)
    def __init__(self, *a): super().__init__(*a, directory="tree")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
print("port", server.server_address[1], flush=True)
server.serve_forever()
END
    python3 slow.py >slow.log 2>/dev/null &
    slow=$!
    wait_for 10 grep -q port slow.log
    ops pkg repo add slow "http://127.0.0.1:$(cut -d' ' -f2 slow.log)" "$KEY"
    want_status 0
    script -qec "$OPS pkg get hello" /dev/null >shown </dev/null
    grep -qE 'hello_1.tar.gz \[#+ +\] +[0-9]+ %' shown || fail "no bar: $(head -c 300 shown)"
    grep -q 'hello_1.*made' shown || fail "no package: $(head -c 300 shown)"
    ops pkg delete hello
    rm -rf "$XDG_CACHE_HOME"/ops/repos/slow/hello*
    ops pkg get hello
    kill $slow
    want_status 0
    want_out 'hello_1	made'
    want_no_err
}

test_repository_not_to_be_trusted() {
    publish_hello
    cp -r tree old
    other=$(ops pkg repo key third && cat "$T/out")
    ops pkg repo add mine tree "$other"
    want_error 1 'mine is signed with another key than the one that is trusted'
    ops pkg repo add mine tree "$KEY"
    want_status 0
    ops pkg repo add mine tree "$KEY"
    ops pkg from-run --name hello --version 1 ./hello
    ops pkg publish tree hello --key secret
    ops pkg delete hello
    ops pkg get hello
    want_status 0
    ops pkg delete hello
    rm -rf "$XDG_CACHE_HOME"/ops/repos/mine/hello*
    mv tree new
    cp -r old tree
    ops pkg get hello
    want_error 1 'the index of mine is older than one it had before' 'somebody may hold back what is new'
    rm -rf tree
    cp -r new tree
    sed -i 's/"hello"/"hellp"/' tree/index.json
    ops pkg get hello
    want_error 1 'the signature of mine is wrong'
    rm -rf tree
    cp -r new tree
    printf '\x01' | dd of=tree/hello_1.tar.gz bs=1 seek=500 conv=notrunc status=none
    ops pkg get hello
    want_status 1
    want_err 'ops: .*hello_1.tar.gz'
    ops pkg list
    want_out_lacks hello
    [ "$(find "$XDG_DATA_HOME/ops/packages" -mindepth 1 | wc -l)" = 0 ] || fail "a failed get left something"
}

test_expired_index() {
    publish_hello
    ops pkg publish tree hello --key secret --days 36501
    want_error 2 '--days'
    cat >expire.py <<'END'
import json, sys
o = json.load(open("tree/index.json"))
o["Expires"] = 1000
json.dump(o, open("tree/index.json", "w"))
END
    python3 expire.py
    command -v minisign >/dev/null || skip "no minisign"
    minisign -Sm tree/index.json -s secret >/dev/null </dev/null || fail "minisign does not take our key"
    ops pkg repo add mine tree "$KEY"
    want_error 1 'the index of mine has expired' '`ops pkg publish` makes a new one'
}

# Signatures of minisign are good here, and ours there.
test_minisign() {
    command -v minisign >/dev/null || skip "no minisign"
    publish_hello
    minisign -Vm tree/index.json -P "$KEY" >/dev/null || fail "minisign refuses our signature"
    rm tree/index.json.minisig
    minisign -Sm tree/index.json -s secret >/dev/null </dev/null || fail "minisign does not take our key"
    ops pkg repo add mine tree "$KEY"
    want_status 0
}

make_image() {
    command -v umoci >/dev/null || skip "no umoci"
    umoci init --layout layout && umoci new --image layout:one && umoci unpack --rootless --image layout:one b >/dev/null 2>&1 || fail "umoci"
    mkdir -p b/rootfs/bin b/rootfs/work
    cp "$(command -v busybox)" b/rootfs/bin/busybox
    ln -s busybox b/rootfs/bin/echo
    ln -s busybox b/rootfs/bin/pwd
    printf '#!/bin/sh\nexec "$@"\n' >b/rootfs/entry.sh
    chmod 755 b/rootfs/entry.sh
    umoci repack --image layout:one b >/dev/null 2>&1 || fail "umoci repack"
    umoci config --image layout:one --config.entrypoint /bin/echo --config.cmd default --config.env WHO=image --config.workingdir /work
    umoci tag --image layout:one script
    umoci config --image layout:script --config.entrypoint /entry.sh --config.cmd /bin/echo
    umoci tag --image layout:one command
    umoci config --image layout:command --clear config.entrypoint --config.cmd echo --config.cmd plain
}

test_container_images() {
    make_image
    ops run oci:layout:one
    want_out default
    ops run oci:layout:one a b
    want_out 'a b'
    ops run oci:layout:command
    want_out plain
    ops run oci:layout:command pwd
    want_out /work
    ops run oci:layout:command nothing
    want_error 1 'the image oci:layout:command has no program nothing'
    ops run oci:layout:script x
    want_error 1 'entry.sh is a shell script, and a unikernel runs one program' '--entrypoint'
    ops run --entrypoint /bin/echo oci:layout:script x y
    want_out 'x y'
    ops run oci:layout:absent
    want_status 1
    tar cf image.tar -C layout .
    ops run oci-archive:image.tar:one z
    want_out z
    ops pkg from-oci --name made --version 2 oci:layout:one kept
    want_out made_2
    rm -rf layout "$XDG_CACHE_HOME"
    ops pkg load made more
    want_out 'kept more'
}

# The image's own signal ends it, and its directory is made where the image lacks it.
test_stop_signal() {
    command -v umoci >/dev/null || skip "no umoci"
    cc_program waits -static <<'END'
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
static void quit(int number)
{
    char line[] = "signal 00\n";
    line[7] += (char)(number / 10);
    line[8] += (char)(number % 10);
    _exit(write(1, line, sizeof line - 1) < 0);
}
int main(void)
{
    char cwd[64];
    signal(SIGQUIT, quit);
    signal(SIGTERM, quit);
    puts(getcwd(cwd, sizeof cwd));
    fflush(stdout);
    for (;;)
        pause();
}
END
    umoci init --layout layout && umoci new --image layout:one && umoci unpack --rootless --image layout:one b >/dev/null 2>&1 || fail "umoci"
    cp waits b/rootfs/waits
    umoci repack --image layout:one b >/dev/null 2>&1
    umoci config --image layout:one --config.entrypoint /waits --config.stopsignal SIGQUIT --config.workingdir /not/there
    "$OPS" run oci:layout:one >seen 2>err </dev/null &
    pid=$!
    wait_for 30 grep -q /not/there seen || fail "it did not start: $(cat err)"
    kill -TERM $pid
    wait $pid || fail "status $?: $(cat err)"
    grep -q 'signal 03' seen || fail "it got another signal: $(cat seen)"
    echo '{"StopSignal": "NONE"}' >ops.json
    ops run oci:layout:one
    want_error 2 'NONE is no signal' 'write SIGQUIT, or 3'
}

# A registry on the loopback, filled by skopeo.
test_registry() {
    command -v docker-registry >/dev/null && command -v skopeo >/dev/null || skip "no docker-registry or skopeo"
    make_image
    cat >registry.yml <<END
version: 0.1
storage: {filesystem: {rootdirectory: $PWD/registry}}
http: {addr: "127.0.0.1:0"}
END
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    sed -i "s/127.0.0.1:0/127.0.0.1:$port/" registry.yml
    docker-registry serve registry.yml >registry.log 2>&1 &
    REGISTRY=$!
    wait_for 20 curl -sf "http://127.0.0.1:$port/v2/" -o /dev/null || fail "no registry: $(tail -n 3 registry.log)"
    skopeo copy -q --dest-tls-verify=false oci:layout:one "docker://127.0.0.1:$port/team/hello:1" || fail "skopeo"
    ops run "docker://127.0.0.1:$port/team/hello:1" pulled
    want_out pulled
    ops run "docker://127.0.0.1:$port/team/hello:2"
    want_status 1
    want_err 'team/hello'
    kill $REGISTRY
    ops run "docker://127.0.0.1:$port/team/hello:1" again
    want_out again
    ops pkg get "docker://127.0.0.1:$port/team/hello:1"
    want_status 0
    ops pkg get "docker://127.0.0.1:$port/team/other:1"
    want_status 1
}

e2e_main "$@"
