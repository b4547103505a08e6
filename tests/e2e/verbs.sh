#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What each verb says of words that it cannot use, word for word. A verb without a row here fails.
. "$(dirname "$0")/lib.sh"

# WORDS ; STATUS ; MESSAGE ; HINT (empty: none; `usage`: the verb's own line of --help).
# dir holds a file and a directory, as does the volume v, whose file is VOLUME.
rows() {
    cat <<'END'
image create ; 2 ; no program is given ; write `ops run PROGRAM [ARGUMENT...]`
image create --name a/b /bin/true ; 2 ; 'a/b' cannot be the name of an image ; 1 to 64 letters, digits, '.', '_' or '-', the first a letter or digit
image list x ; 2 ; too many words for `ops image list` ; usage
image search ; 2 ; too few words for `ops image search` ; usage
image search ( ; 2 ; ( is no regular expression: Unmatched ( or \( ;
image delete ; 2 ; which images are to be deleted? ; write `ops image delete IMAGE...` or --lru AGE
image delete none ; 1 ; there is no image none ; `ops image list` lists them
image sync x ; 2 ; too few words for `ops image sync` ; usage
image sync none nodir ; 1 ; cannot open nodir: no such file ; check the spelling and the current directory
image sync none dir ; 1 ; there is no image none ; `ops image list` lists them
image info none ; 1 ; cannot open none: no such file ; check the spelling and the current directory
image verify ; 2 ; too few words for `ops image verify` ; usage
image verify none ; 1 ; cannot open none: no such file ; check the spelling and the current directory
image log ; 2 ; too few words for `ops image log` ; usage
image log none ; 1 ; cannot open none: no such file ; check the spelling and the current directory
image verify none --key x ; 2 ; that is not a public key of minisign ; it has 56 letters and begins with RW
image ls none ; 1 ; cannot open none: no such file ; check the spelling and the current directory
image tree none ; 1 ; cannot open none: no such file ; check the spelling and the current directory
image cat none:/x ; 1 ; cannot open none: no such file ; check the spelling and the current directory
image cp a b ; 2 ; neither side of the copy is inside ; write NAME:/path for what is inside
image env ; 2 ; too few words for `ops image env` ; usage
image env none ; 1 ; cannot open none: no such file ; check the spelling and the current directory
image diff none ; 2 ; too few words for `ops image diff` ; usage
image diff none none ; 1 ; cannot open none: no such file ; check the spelling and the current directory
image resize none 1G ; 1 ; cannot open none: no such file ; check the spelling and the current directory
image check none ; 1 ; cannot open none: no such file ; check the spelling and the current directory
instance create ; 2 ; no program is given ; write `ops run PROGRAM [ARGUMENT...]`
instance create --name ../x /bin/true ; 2 ; '../x' cannot be the name of a machine ; 1 to 32 letters, digits, '.', '_' or '-', the first a letter or digit
instance list x ; 2 ; too many words for `ops instance list` ; usage
instance rename a ; 2 ; too few words for `ops instance rename` ; usage
instance logs -n x none ; 2 ; -n must be a number from 0 to 1000000000, not x ;
instance stop -t x none ; 2 ; --time must be a number from 0 to 1000000, not x ;
instance trace -t x none ; 2 ; --time must be a number from 0 to 1000000, not x ;
instance start ; 2 ; too few words for `ops instance start` ; usage
instance start none ; 1 ; there is no instance named none ; `ops run -d PROGRAM` starts one
instance stop none ; 1 ; there is no instance named none ; `ops run -d PROGRAM` starts one
instance restart none ; 1 ; there is no instance named none ; `ops run -d PROGRAM` starts one
instance pause none ; 1 ; there is no instance named none ; `ops run -d PROGRAM` starts one
instance resume none ; 1 ; there is no instance named none ; `ops run -d PROGRAM` starts one
instance logs none ; 1 ; there is no instance named none ; `ops run -d PROGRAM` starts one
instance wait none ; 1 ; there is no instance named none ; `ops run -d PROGRAM` starts one
instance inspect none ; 1 ; there is no instance named none ; `ops run -d PROGRAM` starts one
instance stats --syscalls none ; 1 ; there is no instance named none ; `ops run -d PROGRAM` starts one
instance ps none ; 1 ; there is no instance named none ; `ops run -d PROGRAM` starts one
instance top none ; 1 ; there is no instance named none ; `ops run -d PROGRAM` starts one
instance dmesg none ; 1 ; there is no instance named none ; `ops run -d PROGRAM` starts one
instance trace none ; 1 ; there is no instance named none ; `ops run -d PROGRAM` starts one
instance rename none b ; 1 ; there is no instance named none ; `ops run -d PROGRAM` starts one
instance delete none ; 1 ; there is no instance named none ; `ops run -d PROGRAM` starts one
volume create ; 2 ; too few words for `ops volume create` ; usage
volume create ../x ; 2 ; '../x' cannot be the name of a volume ; 1 to 16 letters, digits, '.', '_' or '-', the first a letter or digit
volume create w -s 1K ; 2 ; 1024 bytes are too little for a volume ; the least is 8M
volume create w -s x ; 2 ; x is not a size ; write -s 64M or -s 2G
volume create w -d dir/f ; 2 ; dir/f is no directory ;
volume list x ; 2 ; too many words for `ops volume list` ; usage
volume info none ; 1 ; there is no volume none ; `ops volume list` lists them
volume ls none ; 1 ; there is no volume none ; `ops volume list` lists them
volume tree none ; 1 ; there is no volume none ; `ops volume list` lists them
volume tree v:/f ; 1 ; /f in VOLUME is no directory ;
volume cat v:/sub ; 1 ; /sub in VOLUME is not a file ;
volume cat v:/none ; 1 ; there is no /none in VOLUME ;
volume cp dir/f v:/f/x ; 1 ; /f in VOLUME is no directory ;
volume cp dir/f v:/none/ ; 1 ; there is no directory /none/ in VOLUME ;
volume cp a b ; 2 ; neither side of the copy is inside ; write NAME:/path for what is inside
volume resize none 1G ; 1 ; there is no volume none ; `ops volume list` lists them
volume resize v x ; 2 ; x is not a size ; write 64M or 2G
volume check none ; 1 ; there is no volume none ; `ops volume list` lists them
volume attach none m ; 1 ; no machine named m is running ; `ops run --name NAME` starts one with a name
volume detach none m ; 1 ; there is no volume none ; `ops volume list` lists them
volume delete none ; 1 ; there is no volume none ; `ops volume list` lists them
network create ; 2 ; too few words for `ops network create` ; usage
network create toolongname.toolongname ; 2 ; 'toolongname.toolongname' cannot be the name of a network ; 1 to 11 letters, digits, '.', '_' or '-', the first a letter or digit
network create x --subnet 10.0.0.0/33 ; 2 ; 10.0.0.0/33 is no subnet ; write --subnet 192.168.7.0/24, from /8 to /29
network list x ; 2 ; too many words for `ops network list` ; usage
network inspect none ; 1 ; there is no network none ; `ops network create none` makes it; always there: user, tap, none
network delete none ; 1 ; there is no network none ; `ops network create none` makes it; always there: user, tap, none
compose up ; 2 ; there is no ops-compose.yaml here ; name one with -c FILE
compose down ; 2 ; there is no ops-compose.yaml here ; name one with -c FILE
compose ps -c none ; 1 ; cannot open none: no such file ; check the spelling and the current directory
compose logs ; 2 ; there is no ops-compose.yaml here ; name one with -c FILE
compose up -c help.json ; 2 ; a: a service cannot ask for --help ;
config show -- --help ; 2 ; --help belongs before the options of `ops run` ;
config check a b ; 2 ; too many words for `ops config check` ; usage
config check none ; 1 ; cannot open none: no such file ; check the spelling and the current directory
config convert none ; 1 ; cannot open none: no such file ; check the spelling and the current directory
pkg list x ; 2 ; too many words for `ops pkg list` ; usage
pkg search a b ; 2 ; too many words for `ops pkg search` ; usage
pkg get ; 2 ; too few words for `ops pkg get` ; usage
pkg load ; 2 ; no package is given ; write `ops pkg load NAME`
pkg describe none ; 1 ; there is no package none here ; `ops pkg list` lists them, `ops pkg get` makes one
pkg contents none ; 1 ; there is no package none here ; `ops pkg list` lists them, `ops pkg get` makes one
pkg add none ; 1 ; cannot open none: no such file ; check the spelling and the current directory
pkg from-run ; 2 ; nothing is given to make a package of ; write `ops pkg from-run PROGRAM`
pkg from-pkg ; 2 ; nothing is given to make a package of ; write `ops pkg from-pkg NAME`
pkg from-oci ; 2 ; nothing is given to make a package of ; write `ops pkg from-oci NAME`
pkg repo add ; 2 ; `ops pkg repo` does not understand these words ; write `ops pkg repo list`, `add NAME URL KEY`, `remove NAME` or `key FILE`
pkg publish x --key none ; 1 ; cannot open none: no such file ; check the spelling and the current directory
pkg verify none ; 1 ; there is no package none here ; `ops pkg list` lists them, `ops pkg get` makes one
pkg outdated x ; 2 ; too many words for `ops pkg outdated` ; usage
pkg delete none ; 1 ; there is no package none here ; `ops pkg list` lists them, `ops pkg get` makes one
completion bash x ; 2 ; too many words for `ops completion bash` ; usage
completion zsh x ; 2 ; too many words for `ops completion zsh` ; usage
completion fish x ; 2 ; too many words for `ops completion fish` ; usage
completion lost ; 2 ; ops completion has no verb lost ; `ops completion --help` lists them
manual pages ; 2 ; too few words for `ops manual pages` ; usage
manual pages dir/f ; 1 ; cannot write dir/f/ops.1: not a directory ;
manual table x ; 2 ; too many words for `ops manual table` ; usage
profile x ; 2 ; profile takes no argument ;
version x ; 2 ; version takes no argument ;
check ; 2 ; no program is given ; write `ops run PROGRAM [ARGUMENT...]`
check none ; 1 ; cannot open none: no such file ; check the spelling and the current directory
deploy ; 2 ; no program is given ; write `ops run PROGRAM [ARGUMENT...]`
build /bin/true ; 2 ; no output file is given ; write `ops build PROGRAM -o FILE`
END
}

test_what_verbs_refuse() {
    mkdir -p dir/sub && echo x >dir/f
    ops volume create v -s 8M -d dir
    want_status 0
    echo '{"name": "h", "services": {"a": {"run": ["--help"]}}}' >help.json
    local words status message hint said wrong=0 count=0
    set -f
    while IFS=';' read -r words status message hint; do
        message=${message# } message=${message//VOLUME/$XDG_DATA_HOME/ops/volumes/v.ext4} hint=${hint# }
        # shellcheck disable=SC2086
        ops $words
        if [ "$hint" = usage ]; then
            # shellcheck disable=SC2086
            set -- $words
            # The usage may be too long for its line, where --help breaks it.
            hint=$(sed -n "s/^hint: \(write \`ops $1 $2.*\`\)$/\1/p" "$T/err")
            "$OPS" "$1" --help | grep -qF -- "  $(printf %s "$hint" | sed "s/^write \`ops $1 //; s/\`$//")" || hint="the usage of ops $1 $2"
        fi
        said=$(printf 'ops: %s' "$message" && [ -z "$hint" ] || printf '\nhint: %s' "$hint")
        if [ "$STATUS" != "${status// /}" ] || [ "$(cat "$T/err")" != "$said" ] || [ -s "$T/out" ]; then
            printf 'ops %s: status %s, said: %s\n' "$words" "$STATUS" "$(tr '\n' '|' <"$T/err")" >>wrong
            wrong=1
        fi
        count=$((count + 1))
    done < <(rows | sed 's/ ;/;/g')
    set +f
    [ $wrong = 0 ] || fail "$(cat wrong)"
    [ $count -gt 90 ] || fail "only $count rows"
}

# Families and verbs as `ops completion words` has them.
test_every_verb_has_a_row() {
    rows >rows
    for family in image instance volume network compose config pkg completion manual; do
        verbs=$("$OPS" completion words "$family" '' | cut -f1 | grep -v '^[-:]')
        [ -n "$verbs" ] || fail "$family has no verbs"
        for verb in $verbs; do
            [ "$family $verb" = "completion words" ] || grep -q "^$family $verb " rows || fail "no row for ops $family $verb"
        done
    done
}

test_damaged_network() {
    mkdir -p "$XDG_DATA_HOME/ops/networks"
    echo '{"subnet": 1}' >"$XDG_DATA_HOME/ops/networks/lab.json"
    ops network inspect lab
    want_error 1 'lab.json does not describe a network'
}

e2e_main "$@"
