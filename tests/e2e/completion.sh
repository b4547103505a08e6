#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Completion as bash asks for it; manual pages; the table of commands; what `make install` installs.
. "$(dirname "$0")/lib.sh"

# completes LINE: what bash would offer with the cursor at its end, sorted, into file out.
completes() {
    ops completion bash
    want_status 0
    LINE=$1 PATH=$(dirname "$OPS"):$PATH bash -c '
        source "$1"
        COMP_LINE=$LINE COMP_POINT=${#LINE} COMP_WORDS=()
        # As readline divides it: at blanks, and = and : stand alone.
        spaced=${LINE//=/ = }
        spaced=${spaced//:/ : }
        read -ra COMP_WORDS <<<"$spaced"
        case $LINE in *[[:space:]=:]) COMP_WORDS+=("") ;; esac
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _ops
        [ ${#COMPREPLY[@]} -eq 0 ] || printf "%s\n" "${COMPREPLY[@]}"' bash "$T/out" | sort >"$T/got" || fail "bash failed"
    mv "$T/got" "$T/out"
}

test_commands() {
    completes 'ops '
    for c in run instance build image volume config completion profile version help; do
        want_out_has "^$c\$"
    done
    completes 'ops in'
    want_out instance
    completes 'ops help bu'
    want_out build
    completes 'ops nosuch '
    want_out ''
}

test_options() {
    completes 'ops run --mem'
    want_out --memory
    completes 'ops volume create --'
    want_out "$(printf -- '--dir\n--help\n--owner\n--size')"
    completes 'ops run -v --accel '
    want_out "$(printf 'auto\nkvm\ntcg')"
    completes 'ops run --accel=k'
    want_out kvm
    completes 'ops run --restart=on'
    want_out on-failure
    completes 'ops instance create --re'
    want_out "$(printf -- '--read-only\n--restart')"
    # Behind the program all words are its own.
    completes 'ops run /bin/true --mem'
    want_out ''
}

# Every option that --help lists is offered.
test_every_option() {
    local words
    for words in run build profile version 'instance create' 'instance logs' 'volume create' 'image cp' 'config show'; do
        ops $words --help
        grep -oE '^ +(-., )?--[a-z-]+' "$T/out" | grep -oE -- '--[a-z-]+' | sort >listed
        completes "ops $words --"
        cmp -s listed "$T/out" || fail "ops $words: $(diff listed "$T/out" | tr '\n' ' ')"
    done
}

test_files() {
    mkdir dir && : >file.json && : >other
    completes 'ops run -c f'
    want_out file.json
    completes 'ops run --config=f'
    want_out file.json
    completes 'ops volume create -d '
    want_out dir
    completes 'ops run ./oth'
    want_out ./other
    completes 'ops image info fi'
    want_out file.json
    completes 'ops config check '
    want_out_has '^file.json$'
}

test_names() {
    ops volume create notes
    ops volume create numbers
    ops instance create --name web /bin/true
    completes 'ops volume info no'
    want_out notes
    completes 'ops volume delete n'
    want_out "$(printf 'notes\nnumbers')"
    completes 'ops run --mounts nu'
    want_out numbers:/
    completes 'ops instance start w'
    want_out web
    completes 'ops volume attach notes w'
    want_out web
    completes 'ops volume cp notes'
    want_out_has '^notes:/$'
    completes 'ops instance list '
    want_out ''
}

test_scripts_parse() {
    ops completion bash
    bash -n "$T/out" || fail "not bash"
    for shell in zsh fish; do
        ops completion $shell
        want_status 0
        want_out_has 'completion words --'
        ! command -v $shell >/dev/null || $shell -n "$T/out" || fail "not $shell"
    done
    ops completion tcsh
    want_error 2 'ops completion has no verb tcsh'
}

test_manual_pages() {
    mkdir pages && ops manual pages pages
    want_status 0
    ops help
    for c in $(awk '/^  [a-z]/ { print $1 }' "$T/out"); do
        [ "$c" = help ] || want_file "pages/ops-$c.1"
    done
    for page in pages/*.1; do
        grep -q '^\.TH "ops' "$page" || fail "$page has no title"
        ! command -v man >/dev/null || [ -z "$(man -l --warnings=w "$page" 2>&1 >/dev/null)" ] || fail "$page: $(man -l --warnings=w "$page" 2>&1 >/dev/null)"
    done
    ops run --help
    for o in $(grep -oE -- '^ +(-., )?--[a-z-]+' "$T/out" | grep -oE -- '--[a-z-]+'); do
        [ $o = --help ] || grep -qF -- "${o//-/\\-}" pages/ops-run.1 || fail "ops-run.1 lacks $o"
    done
    ops manual pages nosuch
    want_error 1 'cannot write nosuch/ops.1: no such file'
}

# Ours are real: each command and flag that the table names beside OPS' is there.
test_table() {
    ops manual table
    cmp -s "$T/out" "$E2E_TREE/docs/commands.md" || fail "docs/commands.md is old"
    grep -oE '\| `ops [a-z -]+`' "$T/out" | sed 's/| `ops //; s/`$//' | sort -u >ours
    [ "$(wc -l <ours)" -gt 20 ] || fail "only $(wc -l <ours)"
    while read -r command rest; do
        set -- $rest
        option=
        [ "$command" != help ] || continue
        case "${*: -1}" in --*) option=${*: -1} ;; esac
        case ${1-} in --* | '') ops help $command ;; *) ops $command $1 --help ;; esac
        want_status 0
        [ -z "$option" ] || want_out_has "$option( |\[|\$)"
    done <ours
}

test_install() {
    make --no-print-directory -s -C "$E2E_TREE" O="$O" install DESTDIR="$T/root" PREFIX=/usr >install.log 2>&1 || fail "$(tail -3 install.log)"
    for f in bin/ops share/ops/kernel.elf share/man/man1/ops-run.1 share/bash-completion/completions/ops \
        share/zsh/site-functions/_ops share/fish/vendor_completions.d/ops.fish; do
        want_file "root/usr/$f"
    done
    OPS=$T/root/usr/bin/ops ops run /bin/echo installed
    want_out installed
}

e2e_main "$@"
