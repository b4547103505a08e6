#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Settings: their one precedence, where each comes from, checks, conversion, variables, secrets.
. "$(dirname "$0")/lib.sh"

# want_set KEY VALUE ORIGIN: what `config show` says, with the words of $WORDS.
want_set() {
    ops config show --origin -- ${WORDS-}
    want_status 0
    got=$(awk -v k="$1" '$1 == k { $1 = ""; print substr($0, 2) }' "$T/out")
    [ "$got" = "$2 $3" ] || fail "$1 is '$got', not '$2 $3'"
}

test_precedence() {
    want_set RunConfig.CPUs 1 default
    echo '{"RunConfig": {"CPUs": 2}}' >"$OPS_DEFAULT_CONFIG"
    want_set RunConfig.CPUs 2 "$OPS_DEFAULT_CONFIG:1"
    mkdir -p "$XDG_CONFIG_HOME/ops"
    printf '{"RunConfig":\n {"CPUs": 3}}' >"$XDG_CONFIG_HOME/ops/config.json"
    want_set RunConfig.CPUs 3 "$XDG_CONFIG_HOME/ops/config.json:2"
    echo '{"RunConfig": {"CPUs": 4}}' >ops.json
    want_set RunConfig.CPUs 4 ops.json:1
    echo '{"RunConfig": {"CPUs": 5}}' >other.json
    WORDS='-c other.json' want_set RunConfig.CPUs 5 other.json:1
    export OPS_CPUS=6
    WORDS='-c other.json' want_set RunConfig.CPUs 6 OPS_CPUS
    WORDS='-c other.json --smp 7' want_set RunConfig.CPUs 7 --smp
    WORDS=--no-config want_set RunConfig.CPUs 6 OPS_CPUS
    unset OPS_CPUS
    WORDS=--no-config want_set RunConfig.CPUs 1 default
}

# The same holds for a machine that really runs.
test_precedence_of_a_run() {
    echo '{"Program": "/usr/bin/env", "Env": {"A": "file", "B": "file"}, "RunConfig": {"CPUs": 2}}' >ops.json
    ops run
    want_status 0
    want_out_has '^A=file$'
    ops run -e A=flag
    want_out_has '^A=flag$'
    want_out_has '^B=file$'
    OPS_ENV='{"B": "variable"}' ops run
    want_out_has '^B=variable$'
    ops run /usr/bin/nproc
    want_out 2
    OPS_CPUS=1 ops run /usr/bin/nproc
    want_out 1
}

test_merging() {
    echo '{"Args": ["user"], "NameServers": ["192.0.2.1"], "Exclude": ["/a"], "Env": {"A": "1", "B": "1"}}' >"$OPS_DEFAULT_CONFIG"
    echo '{"Args": ["p", "q"], "NameServers": ["192.0.2.2"], "Exclude": ["/b"], "Env": {"B": "2"}, "RunConfig": {"Ports": ["80"]}}' >ops.json
    ops config show --json -- -p 81 --exclude /c
    want_status 0
    python3 - "$T/out" <<'END' || fail "see above: $(cat "$T/out")"
import json, sys
c = json.load(open(sys.argv[1]))
assert c["Args"] == ["p", "q"], c["Args"]
assert c["NameServers"] == ["192.0.2.2"]
assert c["Exclude"] == ["/a", "/b", "/c"]
assert c["Env"]["A"] == "1" and c["Env"]["B"] == "2"
assert c["RunConfig"]["Ports"] == ["80", "81"]
END
}

# What `show --json` prints is a configuration that means the same.
test_show_is_a_configuration() {
    mkdir -p d && echo x >f
    echo '{"Args": ["a$$b"], "Files": ["f"], "Dirs": ["d"], "MapDirs": {"d": "/e"}, "Mounts": {"v": "/v"},
        "Shares": {"d": "/s:ro"}, "RunConfig": {"Memory": "1536k", "Accel": false, "Timeout": 5}}' >ops.json
    ops config show --json
    want_status 0
    cp "$T/out" first && mkdir other && cp first other/ops.json && cd other && ops config show --json
    cmp -s ../first "$T/out" || fail "$(diff ../first "$T/out")"
    cd .. && ops run --list-files --no-system-files /bin/true
    sort "$T/out" | cut -f 1,2 >one
    ops run -c first --list-files --no-system-files /bin/true
    sort "$T/out" | cut -f 1,2 | diff one - || fail "other files"
}

test_show_json_with_origin() {
    echo '{"Env": {"A": "1"}}' >ops.json
    ops config show --json --origin
    want_status 0
    "$E2E_TREE/tests/schema/check" "$E2E_TREE/tests/schema/config-origin.json" <"$T/out" || fail "not as the schema says"
    OPS_MEMORY=lots ops config show
    want_error 2 'OPS_MEMORY:1:1: Memory must be a size such as "64M" or "1G"'
    OPS_MACHINE=pc ops config show
    want_error 2 'OPS_MACHINE:1:1: Machine must be "microvm" or "q35"'
    OPS_ARGS='["a", 1]' ops config show
    want_error 2 'OPS_ARGS:1:7: Args must be a list of strings'
}

# Cards: those of files, those of flags, and what flags say of the first one.
test_cards() {
    printf '{"RunConfig": {"BridgeName": "br7", "IPAddress": "10.4.0.9", "NetMask": "255.255.0.0", "Gateway": "10.4.0.1",\n "Nics": [{"TapName": "t1"},\n {"BridgeName": "br2", "IPAddress": "10.5.0.2"}]}}' >ops.json
    want_set RunConfig.BridgeName '"br7"' ops.json:1
    want_set 'RunConfig.Nics[0]' '"tap:t1"' ops.json:2
    want_set 'RunConfig.Nics[1]' '"bridge:br2,ip=10.5.0.2/24"' ops.json:3
    WORDS='--net tap:t9,ip=10.6.0.2/24 --net user'
    want_set RunConfig.Network '"tap:t9,ip=10.6.0.2/24"' --net
    want_set 'RunConfig.Nics[0]' '"user"' --net
    want_out_lacks 'BridgeName|Nics\[1\]'
    WORDS='--ip 10.4.0.7/16 --ip fd00::7/64 --gateway 10.4.0.2 --dns 10.4.0.3 --dns 10.4.0.4 --mac 52:54:00:12:34:56 --mtu 1400'
    want_set 'RunConfig.Network.ip[0]' '"10.4.0.7/16"' --ip
    want_set 'RunConfig.Network.ip[1]' '"fd00::7/64"' --ip
    want_set 'RunConfig.Network.gateway[0]' '"10.4.0.2"' --gateway
    want_set 'RunConfig.Network.dns[1]' '"10.4.0.4"' --dns
    want_set 'RunConfig.Network.mac[0]' '"52:54:00:12:34:56"' --mac
    want_set 'RunConfig.Network.mtu[0]' '"1400"' --mtu
    want_set RunConfig.BridgeName '"br7"' ops.json:1
    want_out_lacks 'IPAddress|NetMask|RunConfig.Gateway'
    # shellcheck disable=SC2086
    ops config show --origin --json -- $WORDS
    "$E2E_TREE/tests/schema/check" "$E2E_TREE/tests/schema/config-origin.json" <"$T/out" || fail "not as the schema says"
}

# The same machine comes from flags and from what `show --json` makes of them.
test_cards_as_a_configuration() {
    echo '{"RunConfig": {"Nics": [{"TapName": "t1"}]}}' >nics.json
    echo '{"RunConfig": {"IPAddress": "10.4.0.9", "Gateway": "10.4.0.1", "BridgeName": "br7"}}' >bridge.json
    for words in "-c nics.json" "-c nics.json --mtu 1400 --ip 10.4.0.7/16" "-c bridge.json" "-c bridge.json --dns 10.4.0.3" \
        "-c bridge.json --ip 10.4.0.7/16 --gateway 10.4.0.3" "-c bridge.json --ip fd00::7/64 --net tap:x --net user,mtu=1300" \
        "--no-config --mtu 1400" "--no-config --net none" "-c nics.json --net none"; do
        # shellcheck disable=SC2086
        ops run --print-manifest $words /bin/true
        want_status 0
        grep ^interface "$T/out" >flags
        # shellcheck disable=SC2086
        ops config show --json -- $words
        cp "$T/out" shown.json
        ops run --print-manifest -c shown.json /bin/true
        want_status 0
        grep ^interface "$T/out" | diff flags - || fail "$words: $(cat shown.json)"
    done
}

test_check() {
    printf '{\n "Agrs": 1,\n "Env": {"A": "$OPS_TEST_UNSET", "B": 2},\n "Files": ["nosuch"],\n "TargetRoot": "/x",\n "Klibs": ["firewall", "ntp"],\n "RunConfig": {"Memroy": "1G", "AtExit": "x"}\n}\n' >c.json
    ops config check c.json
    want_status 2
    for line in 'c.json:2:2: unknown key "Agrs"' 'c.json:3:15: the variable OPS_TEST_UNSET is not set' \
        'c.json:3:39: Env must be an object of strings' 'c.json:4:12: there is no .*/nosuch' \
        'c.json:5:2: TargetRoot cannot be used: libraries are looked up on this system' 'c.json:6:12: "firewall" is a plugin' \
        'c.json:7:16: unknown key "Memroy"' 'c.json:7:32: AtExit cannot be used: a shell command'; do
        want_err "^ops: $line"
    done
    [ "$(grep -c '^ops: ' "$T/err")" = 8 ] || fail "not 8 errors: $(said)"
    [ "$(grep -c '^ *\^$' "$T/err")" = 8 ] || fail "not 8 carets"
    want_err '^hint: did you mean "Memory"'
    ops config check
    want_error 1 'cannot open ops.json'
    echo '{"TargetRoot": "", "Klibs": [], "RunConfig": {"Vga": false, "GPUs": 0, "GdbPort": 0}}' >ops.json
    ops config check
    want_status 0
    want_out 'ops.json: no errors'
    echo '{' >ops.json
    ops config check
    want_error 2 'ops.json:2:1: this is not valid JSON'
}

test_convert() {
    printf '{"runconfig": {"accel": false, "TapName": "t0"}, "args": ["$X"], "RebootOnExit": true, "NanosVersion": "0.1",\n "ManifestPassthrough": {"readonly_rootfs": "true", "cwd": "/x"}, "Debugflags": ["trace"]}' >c.json
    ops config convert c.json
    want_status 0
    want_err '^ops: left out NanosVersion: chooses a kernel of Nanos'
    cp "$T/out" once.json
    python3 - once.json <<'END' || fail "$(cat once.json)"
import json, sys
assert json.load(open(sys.argv[1])) == {"Args": ["$X"], "Cwd": "/x", "ReadonlyRootfs": True,
    "RunConfig": {"Accel": "tcg", "TapName": "t0", "Restart": "always", "Trace": "all"}}
END
    ops config convert once.json
    want_no_err
    cmp -s once.json "$T/out" || fail "not its own canonical form: $(cat "$T/out")"
    for f in "$E2E_DIR"/configs/*.json; do
        ops config convert "$f"
        want_status 0
        cp "$T/out" once.json
        ops config convert once.json
        cmp -s once.json "$T/out" || fail "$f: not its own canonical form"
    done
    echo '{"Qux": 1}' >c.json
    ops config convert c.json
    want_error 2 'c.json:1:2: unknown key "Qux"'
}

test_variables_in_strings() {
    export WHO='a "quoted", \ and $HOME' EMPTY=
    echo '{"Args": ["$WHO", "${WHO}!", "${NONE:-instead}", "${EMPTY:-full}", "$EMPTY", "$$WHO", "5$", "$1"], "MapDirs": {"$PWD/d": "/d"}}' >ops.json
    mkdir d && echo x >d/f
    ops config show --json
    want_status 0
    python3 - "$T/out" <<'END' || fail "$(cat "$T/out")"
import json, sys, os
c = json.load(open(sys.argv[1]))
who = os.environ["WHO"].replace("$", "$$")
assert c["Args"] == [who, who + "!", "instead", "full", "", "$$WHO", "5$$", "$$1"], c["Args"]
assert c["MapDirs"] == {os.getcwd() + "/d": "/d"}
END
    echo '{"Args": ["a", "$NOT_SET_HERE"]}' >ops.json
    ops run /bin/true
    want_error 2 'ops.json:1:16: the variable NOT_SET_HERE is not set' 'write \$\$ for a dollar sign'
    echo '{"Args": ["${HOME"]}' >ops.json
    ops run /bin/true
    want_error 2 'a brace behind the dollar sign is not closed'
}

test_env_file() {
    printf '# comment\nA=1=2 \n\nHERE\nB=x # no comment\n' >vars
    HERE=there ops run --env-file vars -e B=flag /usr/bin/env
    want_status 0
    want_out_has '^A=1=2 $'
    want_out_has '^HERE=there$'
    want_out_has '^B=flag$'
    printf 'A=1\nnot a line\n' >vars
    ops run --env-file vars /bin/true
    want_error 2 'vars:2: this line sets no variable: not a line' 'NAME=value'
    echo NOT_SET_HERE >vars
    ops run --env-file vars /bin/true
    want_error 2 'vars:1: the variable NOT_SET_HERE is not set here'
    ops run --env-file nosuch /bin/true
    want_error 1 'cannot open nosuch'
}

# A secret reaches the program, and nothing else that is kept or shown.
test_secret() {
    printf 'tr0ub4dor&3\n' >secret
    ops run --secret PW=secret /usr/bin/env
    want_status 0
    want_out_has '^PW=tr0ub4dor&3$'
    ops run -v --secret PW=secret /bin/true
    ! grep -q tr0ub4dor "$T/err" || fail "-v shows it"
    ops run --print-manifest --secret PW=secret /bin/true
    want_out_has '^env=PW=\(secret\)$'
    ops config show --origin -- --secret PW=secret
    want_out_has '^Env.PW *"\(secret\)" *--secret$'
    ops run -d --name s --secret PW=secret /usr/bin/env
    want_status 0
    ops instance wait s
    ops instance logs s
    want_out_has '^PW=tr0ub4dor&3$'
    rm -f "$XDG_STATE_HOME"/ops/instances/s/log*
    ! grep -rq tr0ub4dor "$XDG_STATE_HOME" "$XDG_CACHE_HOME" || fail "kept: $(grep -rl tr0ub4dor "$XDG_STATE_HOME" "$XDG_CACHE_HOME")"
    ops run --secret PW /bin/true
    want_error 2 '--secret PW names no variable and file' 'NAME=FILE'
    printf 'a\0b' >secret
    ops run --secret PW=secret /bin/true
    want_error 2 'holds a NUL byte' 'base64'
    ops build -o disk --secret PW=secret /bin/true
    want_error 2 'unknown option --secret'
}

# An instance is started again with the settings of where it was made.
test_instance() {
    echo '{"Env": {"A": "$WHERE"}, "Program": "/usr/bin/env", "RunConfig": {"InstanceName": "fromfile"}}' >ops.json
    WHERE=made ops instance create -e B=1
    want_status 0
    want_out fromfile
    mkdir away && cd away && echo '{"Env": {"A": "wrong"}}' >ops.json
    WHERE=wrong ops instance start fromfile
    want_status 0
    ops instance wait fromfile
    want_out 0
    ops instance logs fromfile
    want_out_has '^A=made$'
    want_out_has '^B=1$'
}

test_build() {
    echo '{"Env": {"A": "project"}, "Program": "/usr/bin/env", "RunConfig": {"Memory": "64M"}}' >ops.json
    ops build -o disk
    want_status 0
    ops image env disk
    want_out_has '^A=project$'
}

e2e_main "$@"
