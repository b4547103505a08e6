#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Wrong input of every kind: one sentence, a hint, the right status, nothing left.
. "$(dirname "$0")/lib.sh"

test_no_command() {
    ops
    want_status 2
    want_err 'usage: ops'
}

test_help_everywhere() {
    for words in --help -h help 'help run' 'run --help' 'run -h' 'build --help' 'profile --help' \
        'version --help'; do
        ops $words
        want_status 0
        want_out_has '^usage: ops'
        want_no_err
    done
    ops run --help
    want_out_has '--memory SIZE'
    want_out_has '--trace\[=CALLS\]'
}

test_mistyped_command() {
    ops rnu
    want_error 2 'unknown command rnu' 'ops run'
    ops /bin/true
    want_error 2 'unknown command' 'ops run /bin/true'
    ops xyzzy
    want_error 2 'unknown command xyzzy' 'ops help'
}

test_mistyped_option() {
    ops run --memroy 64M /bin/true
    want_error 2 'unknown option --memroy' '--memory'
    ops run -Z /bin/true
    want_error 2 'unknown option -Z' '--help'
    ops run -m
    want_error 2 '-m needs a value'
    ops run --smp
    want_error 2 '--smp needs a value'
    ops run --no-aslr=yes /bin/true
    want_error 2 '--no-aslr takes no value'
    ops version now
    want_error 2 'no argument'
}

test_bad_option_values() {
    ops run -m lots /bin/true
    want_error 2 '-m lots is not a size' '64M'
    ops run -m 1M /bin/true
    want_error 2 'too little for a machine' 'least is 2M'
    ops run --smp 0 /bin/true
    want_error 2 '--smp must be a number'
    ops run --smp x /bin/true
    want_error 2 '--smp must be a number'
    ops run --accel fast /bin/true
    want_error 2 '--accel must be auto, kvm or tcg, not fast'
    ops run --machine pc /bin/true
    want_error 2 '--machine must be microvm or q35'
    ops run -e =x /bin/true
    want_error 2 'names no variable'
    ops run -e SURELY_NOT_SET_HERE /bin/true
    want_error 2 'not set here'
    ops run --kernel /nonexistent /bin/true
    want_error 1 'cannot open /nonexistent'
}

test_no_program() {
    ops run
    want_error 2 'no program is given' 'ops run PROGRAM'
    ops run nosuch
    want_error 1 'cannot open nosuch: no such file'
    ops run true
    want_error 1 'cannot open true: no such file' 'did you mean .*/true'
}

test_not_a_program() {
    : >empty
    ops run ./empty
    want_error 1 'is empty'
    ops run .
    want_error 1 'is a directory' 'inside'
    ops run /dev/null
    want_error 1 'not a regular file'
    echo hello >text
    ops run ./text
    want_error 1 'is not an ELF program' 'file'
    ops build -o disk /bin/true
    ops check ./disk
    want_error 2 'disk is a disk, not a program' 'it was built of'
    mkfifo pipe
    ops run ./pipe
    want_error 1 'not a regular file'
    head -c 40 /bin/true >cut
    ops run ./cut
    want_error 1 'not a usable ELF file.*cut off'
    head -c 5000 /bin/true >cut
    ops run ./cut
    want_error 1 'not a usable ELF file'
}

test_library_or_object() {
    echo 'int f(void) { return 1; }' >f.c
    gcc -c f.c -o f.o && gcc -shared -nostdlib f.o -o f.so || fail "cannot compile"
    ops run ./f.o
    want_error 1 'object file'
    ops run ./f.so
    want_error 1 'library, not a program'
}

# elf_for CLASS MACHINE: a header for another machine.
elf_for() {
    printf "\\x7fELF\\x$1\\x01\\x01" >other
    head -c 9 /dev/zero >>other
    printf "\\x02\\x00\\x$2\\x00\\x01\\x00\\x00\\x00" >>other
    head -c 40 /dev/zero >>other
    chmod +x other
}

test_other_machines() {
    elf_for 02 b7
    ops run ./other
    want_error 1 'another machine: 64-bit ARM'
    elf_for 01 03
    ops run ./other
    want_error 1 'another machine: 32-bit x86'
    elf_for 02 f3
    ops run ./other
    want_error 1 'another machine: RISC-V'
    elf_for 01 3e
    ops run ./other
    want_error 1 '32-bit program'
    elf_for 02 99
    ops run ./other
    want_error 1 'another machine .number 153'
}

test_missing_library() {
    echo 'int lost(void) { return 1; }' | gcc -x c -shared -fPIC -o libopslost.so.7 - || fail "cc"
    ln -s libopslost.so.7 libopslost.so
    echo 'int lost(void); int main(void) { return lost(); }' |
        cc_program app -L. -lopslost -Wl,--disable-new-dtags
    patch=$(gcc -shared -x c -fPIC -Wl,-soname,libopslost.so.7 -o libopslost.so.7 - <<<'int lost(void) { return 1; }')
    echo 'int lost(void); int main(void) { return lost(); }' | cc_program app -L. -lopslost
    rm libopslost*
    ops run ./app
    want_error 1 'cannot find the library libopslost.so.7, needed by .*/app' 'apt install libopslost7'
}

test_missing_loader() {
    echo 'int main(void) { return 0; }' | cc_program app -Wl,--dynamic-linker=/lib/ld-lost.so.1
    ops run ./app
    want_error 1 'cannot find the loader /lib/ld-lost.so.1'
}

test_scripts() {
    printf '#!/nonexistent/interp -x\n' >s
    chmod +x s
    ops run ./s
    want_error 1 'cannot find /nonexistent/interp, the interpreter of the script'
    printf '#!\n' >s
    ops run ./s
    want_error 1 'names no interpreter'
    printf '#!/usr/bin/env surely-not-there\n' >s
    ops run ./s
    want_error 1 'cannot find .surely-not-there., the interpreter'
    printf '#!%s\n' "$PWD/s" >s
    ops run ./s
    want_error 1 'too many scripts'
}

test_not_executable() {
    cp /bin/true app
    chmod -x app
    ops run ./app
    want_error 1 'not marked executable' 'chmod'
}

test_config_syntax() {
    printf '{\n  "Args": ["a",\n  "Env": {}\n}\n' >c.json
    ops run -c c.json /bin/true
    want_error 2 'c.json:3:8: this is not valid JSON' 'comma'
    want_err '^    +\^$'
    : >c.json
    ops run -c c.json /bin/true
    want_error 2 'c.json:1:1: the file is empty'
    echo '[]' >c.json
    ops run -c c.json /bin/true
    want_error 2 'a configuration is an object'
    echo '{} x' >c.json
    ops run -c c.json /bin/true
    want_error 2 'not valid JSON'
    ops run -c nosuch.json /bin/true
    want_error 1 'cannot open nosuch.json'
    printf '{"Args": [], "Args": []}' >c.json
    ops run -c c.json /bin/true
    want_error 2 '1:14: the key "Args" is there twice'
    head -c 200000 /dev/zero | tr '\0' '[' >c.json
    ops run -c c.json /bin/true
    want_error 2 'not valid JSON'
}

test_config_unknown_key() {
    printf '{\n  "Env": {},\n  "Agrs": ["x"]\n}\n' >c.json
    ops run -c c.json /bin/true
    want_error 2 'c.json:3:3: unknown key "Agrs"' 'did you mean "Args"'
    want_err '^      "Agrs": \["x"\]'
    printf '{"RunConfig": {"Memroy": "1G"}}' >c.json
    ops run -c c.json /bin/true
    want_error 2 '1:16: unknown key "Memroy"' '"Memory"'
    printf '{"Qwertyuiop": 1}' >c.json
    ops run -c c.json /bin/true
    want_error 2 'unknown key' 'the keys here are Args, '
}

test_config_types() {
    wrong() { # JSON PATTERN
        printf '%s' "$1" >c.json
        ops run -c c.json /bin/true
        want_error 2 "$2"
    }
    wrong '{"Args": "x"}' '1:10: Args must be a list of strings'
    wrong '{"Args": ["x", 3]}' '1:16: Args must be a list of strings'
    wrong '{"Env": {"A": 1}}' '1:15: Env must be an object of strings'
    wrong '{"Env": {"A=B": "1"}}' '1:10: "A=B" cannot be the name'
    wrong '{"MapDirs": {"d": "etc"}}' '1:19: .*must start with a slash'
    wrong '{"Program": 3}' '1:13: Program must be a string'
    wrong '{"Uid": -1}' 'Uid must be a whole number'
    wrong '{"Uid": 1.5}' 'Uid must be a whole number'
    wrong '{"BaseVolumeSz": "big"}' 'BaseVolumeSz must be a size'
    wrong '{"RunConfig": []}' 'RunConfig must be an object'
}

test_config_missing_files() {
    printf '{"Files": ["nosuch"]}' >c.json
    ops run -c c.json /bin/true
    want_error 1 'cannot open .*/nosuch: no such file'
    printf '{"Dirs": ["nosuch"]}' >c.json
    ops run -c c.json /bin/true
    want_error 1 'cannot open .*/nosuch'
    printf '{"MapDirs": {"no*such": "/x"}}' >c.json
    ops run -c c.json /bin/true
    want_error 1 'nothing matches .*/no\*such'
    mkdir d && echo x >d/f && printf '{"MapDirs": {"d": "/tmp/x"}}' >c.json
    ops run -c c.json /bin/true
    want_error 1 '/tmp/x/f would be hidden'
}

test_too_long_arguments() {
    awk 'BEGIN { printf "{\"Args\": ["; for (i = 0; i < 60000; i++) printf "%s\"%070d\"", i ? "," : "", i; print "]}" }' >c.json
    ops run -c c.json /bin/true
    want_error 1 'larger than'
    long=$(head -c 100000 /dev/zero | tr '\0' x)
    args=()
    for i in $(seq 15); do args+=("$(tr x '\1' <<<"$long")"); done
    : >kernel.elf
    ops run --print-manifest /bin/true "${args[@]}"
    want_error 2 'arguments and environment are too long' 'Files'
}

test_output_cannot_be_written() {
    "$OPS" version >/dev/full 2>err
    STATUS=$?
    want_error 1 'cannot write standard output: no space'
}

e2e_main "$@"
