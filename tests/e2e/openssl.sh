#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# OpenSSL's own self-tests, from the distribution's source, linked with the installed
# libraries: each must pass on the host and then here.
. "$(dirname "$0")/lib.sh"

E2E_LIMIT=120

# Programs without arguments; what takes the host half a second is left out.
ALONE="aesgcmtest asn1_decode_test asn1_encode_test asn1_string_table_test asn1_time_test asynctest
bad_dtls_test bftest bio_callback_test bio_core_test bio_enc_test bio_memleak_test bioprinttest
cipherlist_test ciphername_test cmactest constant_time_test destest dtls_mtu_test
errtest evp_kdf_test exdatatest gmdifftest hmactest igetest localetest nodefltctxtest packettest
param_build_test params_api_test params_test pbelutest pkey_meth_kdf_test pkey_meth_test
rdrand_sanitytest rsa_test sanitytest secmemtest sha_test srptest ssl_ctx_test stack_test test_test
time_offset_test upcallstest v3nametest x509_time_test"

pair="certs/servercert.pem certs/serverkey.pem"
WITH_FILES="recordlentest $pair
asynciotest $pair
fatalerrtest $pair
servername_test $pair
tls13ccstest $pair
threadstest -config default.cnf recipes/90-test_threads_data
bntest recipes/10-test_bn_data/bnmod.txt
evp_test recipes/30-test_evp_data/evpciph_aes_common.txt
evp_test recipes/30-test_evp_data/evpmd_sha.txt
evp_test recipes/30-test_evp_data/evpkdf_hkdf.txt
x509aux certs/roots.pem"

SOURCE=$O/source/openssl
BIN=$O/source/openssl-tests
FLAGS="-O1 -w -I/usr/include -I$SOURCE/include -I$SOURCE/apps/include -I$SOURCE/test -I$SOURCE
-I$SOURCE/providers/common/include -I$SOURCE/providers/implementations/include"

# The library that all of them share, then every program that is not there yet.
build_tests() {
    local shared
    mkdir -p "$BIN"
    shared="$(ls "$SOURCE"/test/testutil/*.c) $SOURCE/apps/lib/opt.c
        $(printf "$SOURCE/test/helpers/%s.c " ssltestlib handshake handshake_srp ssl_test_ctx predefined_dhparams)"
    if [ ! -f "$BIN/shared.a" ]; then
        # shellcheck disable=SC2086
        (mkdir -p shared && cd shared && printf '%s\n' $shared | xargs -P2 -n4 ${CC:-gcc} $FLAGS -c) || return 1
        ar rcs "$BIN/shared.a" shared/*.o || return 1
    fi
    for name in $ALONE $(echo "$WITH_FILES" | cut -d' ' -f1 | sort -u); do
        [ -f "$BIN/$name" ] || echo "$name"
    done | xargs -P2 -I{} ${CC:-gcc} $FLAGS -o "$BIN/{}" "$SOURCE/test/{}.c" "$BIN/shared.a" -lssl -lcrypto
}

# Each in a directory of its own, so that several go at once.
one() ( # PROGRAM ARGUMENT...
    T=$(mktemp -d "$T/one.XXXXXX") && cd "$T" || exit 1
    local program=$BIN/$1
    shift
    (cd "$SOURCE/test" && timeout 90 "$program" "$@") >host 2>&1 || fail "on the host: ${program##*/} $*: $(tail -n 3 host)"
    if [ $# = 0 ]; then ops run "$program"; else ops run -c ../map.json "$program" "$@"; fi
    [ "$STATUS" = 0 ] || fail "${program##*/} $*: status $STATUS: $(grep -a -m3 -E '^ *(not ok|# ERROR)' out) $(said)"
    # The same results in the same order; what tests count and time may differ.
    diff <(grep -aoE '^ *(not )?ok [0-9]+' host) <(cat out err | grep -aoE '^ *(not )?ok [0-9]+') >results ||
        fail "${program##*/} $*: $(head -n 5 results)"
)

# every NTH OF: of the lines on standard input, those that are NTH modulo OF, as words of one().
every() {
    local words i=0
    while read -r words; do
        # shellcheck disable=SC2086
        [ $((i++ % $2)) != "$1" ] || one $words || return 1
    done
}

test_self_tests() {
    "$E2E_TREE/scripts/fetch-source" openssl "$O" 2>fetch || skip "$(cat fetch)"
    build_tests >build-log 2>&1 || fail "cannot compile: $(grep -m3 error build-log)"
    printf '{"MapDirs": {"%s": "/t"}, "Cwd": "/t"}' "$SOURCE/test" >map.json
    local n=0 jobs workers=()
    jobs=$(nproc)
    printf '%s\n' $ALONE "$WITH_FILES" >all
    for ((n = 0; n < jobs; n++)); do
        every $n "$jobs" <all &
        workers+=($!)
    done
    for n in "${workers[@]}"; do
        wait "$n" || exit 1 # which said why
    done
}

e2e_main "$@"
