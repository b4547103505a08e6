#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The store of images, and deploying: a new instance in the place of the old.
. "$(dirname "$0")/lib.sh"

schema() { "$E2E_TREE/tests/schema/check" "$E2E_TREE/tests/schema/$1.json" <"$T/out" || fail "not as $1.json says: $(head -c 400 "$T/out")"; }

test_image_store() {
    ops image list
    want_status 0
    want_out ''
    ops image create /bin/true
    want_status 0
    want_out true
    ops image create --name hello -e A=1 /bin/echo hello
    want_out hello
    ops image list --json
    schema image-list
    want_out_has '"name":.*"hello"'
    ops image search '^h.*o$' --json
    schema image-list
    want_out_lacks '"true"'
    ops image search '('
    want_error 2 '\( is no regular expression'
    ops image env hello B=2
    ops image env hello
    want_out_has '^A=1$'
    want_out_has '^B=2$'
    ops image info hello --json
    schema image-info
    ops image ls hello:/
    want_out_has '^etc$|^bin$'
    ops image create --name bad/name /bin/true
    want_error 2 "'bad/name' cannot be the name of an image"
    ops image delete helo
    want_error 1 'there is no image helo' 'did you mean hello'
    flock "$XDG_DATA_HOME/ops/images/hello.img" sleep 100 &
    locker=$!
    wait_for 10 bash -c '! flock -n "$1" true' bash "$XDG_DATA_HOME/ops/images/hello.img"
    ops image delete hello
    kill $locker
    want_error 1 'the image hello is in use'
    wait_for 10 flock -n "$XDG_DATA_HOME/ops/images/true.img" true
    ops image delete true
    want_status 0
    ops image list
    want_out_lacks '^true'
}

# By last use: what would go is listed, and goes with --yes.
test_image_delete_unused() {
    local name store=$XDG_DATA_HOME/ops/images
    for name in young old older known; do ops image create --name $name /bin/true; done
    touch -d '13 days ago' "$store/old.img"
    touch -d '14 months ago' "$store/older.img" "$store/known.img"
    ops image info known # is a use
    ops image delete --lru 2w
    want_status 0
    want_no_err
    [ "$(cut -f 1 out)" = older ] || fail "2w lists: $(cat out)"
    ops image delete --lru 14d
    [ "$(cut -f 1 out)" = older ] || fail "14d lists: $(cat out)"
    ops image delete --lru 12d
    [ "$(cut -f 1 out | tr '\n' ' ')" = 'old older ' ] || fail "12d lists: $(cat out)"
    ops image delete --lru 13m
    [ "$(cut -f 1 out)" = older ] || fail "13m lists: $(cat out)"
    ops image delete --lru 1y
    [ "$(cut -f 1 out)" = older ] || fail "1y lists: $(cat out)"
    ops image delete --lru 15m
    want_out ''
    for name in young old older known; do want_file "$store/$name.img"; done
    # One that is in use stays, and is in nobody's way.
    exec 9<"$store/old.img"
    flock 9
    ops image delete --lru 1d -y
    exec 9<&-
    want_error 1 'the image old is in use'
    want_out older
    want_no_file "$store/older.img"
    ops image delete --lru 1d --yes
    want_status 0
    want_out old
    ops image list
    [ "$(cut -f 1 out | tr '\n' ' ')" = 'known young ' ] || fail "left: $(cat out)"
    # A filesystem that keeps the time of access says who read it without ops.
    touch -d '3 years ago' "$store/young.img"
    touch -a -d '1 hour ago' "$store/young.img"
    ops image delete --lru 1d
    want_out ''
    for name in w 3 3x 3ww -3d 0d 3.5d '' 99999d; do
        ops image delete --lru "$name"
        want_error 2 "is no age" 'write 3d, 2w, 6m or 1y'
    done
    ops image delete --lru 1d known
    want_error 2 '--lru chooses images by itself: known cannot be named' 'leave out one'
    ops image delete
    want_error 2 'which images are to be deleted' 'ops image delete IMAGE'
}

test_image_sync() {
    ops image create --name a /bin/true
    mkdir store
    ops image sync a store
    want_out "$(printf 'a\tcopied')"
    cmp "$XDG_DATA_HOME/ops/images/a.img" store/a.img || fail "differs"
    [ "$(stat -c %b store/a.img)" -le $(($(stat -c %b "$XDG_DATA_HOME/ops/images/a.img") + 4096)) ] || fail "holes are lost"
    before=$(stat -c %i store/a.img)
    ops image sync a store
    want_out "$(printf 'a\tunchanged')"
    [ "$(stat -c %i store/a.img)" = "$before" ] || fail "written again"
    ops image create --name a /bin/echo
    ops image sync a store
    want_out "$(printf 'a\tcopied')"
    [ -z "$(find store -name '.*unfinished*')" ] || fail "leftovers"
    ops image sync a nosuch
    want_error 1 'cannot open nosuch'
    ops image sync b store
    want_error 1 'there is no image b'
    ops image sync a store/a.img
    want_error 2 'is not a directory'
}

cleanup() { "$OPS" instance delete -f "$1" 2>/dev/null; }

test_deploy() {
    name=dep-$$
    trap 'cleanup $name' EXIT
    mkdir v1 v2
    echo one >v1/index && echo two >v2/index
    serve() { echo "{\"Program\": \"/usr/bin/python3\", \"Args\": [\"-c\", \"import time\\nprint(open('/www/index').read(), flush=True)\\nwhile True: time.sleep(1)\"], \"MapDirs\": {\"$1\": \"/www\"}, \"RunConfig\": {\"InstanceName\": \"$name\"}}" >ops.json; }
    serve v1
    ops deploy
    want_status 0
    want_out "$name"
    says() { "$OPS" instance logs "$name" 2>/dev/null | grep -q "^$1"; }
    wait_for 60 says one || fail "one does not run"
    serve v2
    ops deploy
    want_status 0
    wait_for 60 says two || fail "two does not run"
    says one && fail "the old log is there"
    ops instance list
    [ "$(grep -c "^$name" "$T/out")" = 1 ] || fail "$(cat "$T/out")"
    # What cannot be made leaves the old one alone.
    ops deploy --name "$name" ./nosuch
    want_error 1 'cannot open ./nosuch'
    ops instance list --json
    schema instance-list
    want_out_has '"running"'
    # What does not start gives way to the old one.
    OPS_QEMU=/bin/false ops deploy
    [ $STATUS != 0 ] || fail "that started"
    want_err "^hint: the instance $name from before runs again"
    wait_for 60 says two || fail "two does not run again"
    ops instance list
    [ "$(wc -l <"$T/out")" = 1 ] || fail "$(cat "$T/out")"
}

test_deploy_errors() {
    ops deploy
    want_error 2 'no program is given'
    ops deploy --rm /bin/true
    want_error 2 'what is deployed stays and runs by itself: no --rm' 'ops run'
    ops deploy --dry-run /bin/true
    want_error 2 'no --dry-run'
}

# Every listing's JSON is what its schema says.
test_json() {
    name=json-$$
    trap 'cleanup $name' EXIT
    ops instance list --json
    want_out '[]'
    ops run -d --name "$name" /bin/sleep 1000
    want_status 0
    ops instance list --json
    schema instance-list
    ops instance inspect "$name"
    schema instance-inspect
    ops instance stats --json "$name"
    schema instance-stats
    ops instance ps --json "$name"
    schema instance-ps
    "$OPS" instance top --json "$name" >top &
    top=$!
    wait_for 30 test -s top
    "$OPS" instance delete -f "$name"
    wait $top
    cp top "$T/out"
    schema instance-top
    ops volume create notes
    ops volume list --json
    schema volume-list
    ops volume info notes --json
    schema volume-info
    ops profile --json
    schema profile
    ops config show --json
    schema config-show
    ops version --json
    schema version
}

# The validator finds what is wrong.
test_schemas_can_fail() {
    for bad in '[{"name": 1}]' '{}' '[{}]' '[{"name": "a", "file": "/a", "sizeBytes": -1, "diskBytes": 0, "created": "now"}]'; do
        echo "$bad" >"$T/out"
        ! "$E2E_TREE/tests/schema/check" "$E2E_TREE/tests/schema/image-list.json" <"$T/out" 2>/dev/null || fail "$bad is taken"
    done
}

e2e_main "$@"
