#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `ops compose`: files and what is wrong with them, order, readiness, and every verb. Services on a
# network of their own are in network.sh.
. "$(dirname "$0")/lib.sh"

# ./serve NAME PORT [SECONDS]: answers HTTP there, after that time.
prepare() {
    export XDG_RUNTIME_DIR=$T/run
    mkdir -p run
    trap '"$OPS" compose down -t 0 >/dev/null 2>&1' EXIT
    cc_program serve -static <<'C'
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
static void terminated(int number)
{
    (void)number;
    _exit(0);
}
int main(int argc, char **argv)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
    char request[1000], answer[200];
    int s = socket(AF_INET, SOCK_STREAM, 0);
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGTERM, terminated);
    printf("%s runs\n", argv[1]);
    if (argc > 3 && atoi(argv[3]) < 0)
        return 7;
    sleep(argc > 3 ? atoi(argv[3]) : 0);
    bind(s, (struct sockaddr *)&a, sizeof a), listen(s, 5);
    printf("%s listens\n", argv[1]);
    for (;;) {
        int c = accept(s, NULL, NULL);
        int n = read(c, request, sizeof request);
        int missing = n > 6 && !memcmp(request, "GET /no", 7);
        n = sprintf(answer, "HTTP/1.0 %s\r\n\r\nhere is %s\n", missing ? "404 Not Found" : "200 OK", argv[1]);
        write(c, answer, n), close(c);
    }
}
C
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

test_up_and_down() {
    prepare
    local port
    port=$(free_port)
    : >followed
    mkdir shop
    mv serve shop
    # web stands first, and waits for db, which listens only after a while.
    cat >shop/ops-compose.yaml <<END
services:
  web:
    run: [-p, "$port:80", ./serve, web, "80"]
    after: [db]
    ready: {url: "http://127.0.0.1:$port/"}
  db:
    run:
      - ./serve
      - db
      - "7777"
      - "2"
    ready:
      port: 7777
      within: 30
END
    cd shop || fail "no directory"
    ops compose ps
    want_out $'db\tmissing\tshop-db\nweb\tmissing\tshop-web'
    ops compose up
    want_status 0
    want_out $'db\nweb'
    ops compose ps
    want_out $'db\trunning\tshop-db\nweb\trunning\tshop-web'
    ops compose ps --json
    "$E2E_TREE/tests/schema/check" "$E2E_TREE/tests/schema/compose-ps.json" <"$T/out" || fail "$(cat "$T/out")"
    [ "$(curl -sf "http://127.0.0.1:$port/")" = 'here is web' ] || fail "no answer"
    # Nothing has changed: nothing is done. From elsewhere, too.
    ops compose up
    want_out ''
    (cd / && ops compose up -c "$T/shop/ops-compose.yaml" && want_status 0 && want_out '') || fail "elsewhere"
    ops compose logs
    grep -v 'ops: listening' "$T/out" >lines
    [ "$(cat lines)" = $'db  | db runs\ndb  | db listens\nweb | web runs\nweb | web listens' ] || fail "$(cat lines)"
    ops compose logs db
    want_out $'db | db runs\ndb | db listens'
    ops compose logs we
    want_error 2 'there is no service we' 'did you mean web?'
    "$OPS" compose logs --follow db >followed 2>&1 &
    wait_for 20 grep -q 'db  *| db listens' followed || fail "$(cat followed)"
    # Only what is said otherwise is replaced.
    sed -i 's/web, "80"/website, "80"/' ops-compose.yaml
    ops compose up
    want_out web
    [ "$(curl -sf "http://127.0.0.1:$port/")" = 'here is website' ] || fail "the old one answers"
    ops compose up --force
    want_out $'db\nweb'
    wait $! || fail "logs --follow: $(cat followed)"
    ops compose down
    want_status 0
    want_out $'web\ndb'
    ops instance list
    want_out ''
    ops compose down
    want_status 0
    want_out ''
}

test_not_ready() {
    prepare
    cat >ops-compose.json <<'END'
{"name": "late", "services": {
    "ends": {"run": ["./serve", "ends", "80", "-1"], "ready": {"port": 80, "within": 20}},
    "late": {"run": ["./serve", "late", "80", "1000"], "ready": {"port": 80, "within": 2}}}}
END
    ops compose up
    want_error 1 'ends has ended \(exited\) before it was ready' '`ops instance logs late-ends` shows what it wrote'
    ops compose ps
    want_out $'ends\texited (7)\tlate-ends\nlate\tmissing\tlate-late'
    sed -i '/"ends"/d' ops-compose.json
    ops compose up
    want_error 1 'late was not ready within 2 seconds' '`ops instance logs late-late` shows what it wrote'
    ops compose ps
    want_out $'late\trunning\tlate-late'
    local port
    port=$(free_port)
    cat >ops-compose.json <<END
{"name": "late", "services": {"late": {"run": ["-p", "$port:80", "./serve", "late", "80"],
    "ready": {"url": "http://127.0.0.1:$port/not", "within": 2}}}}
END
    ops compose up
    want_error 1 'late was not ready within 2 seconds'
    ops compose down -t 0
    want_out late
    ops instance delete late-ends
    want_status 0
}

# wrong LINE TEXT HINT: what is said of the file on stdin.
wrong() {
    cat >f.yaml
    ops compose up -c f.yaml
    want_error 2 "f.yaml, line $1: $2" ${3:+"$3"}
}

test_errors() {
    export XDG_RUNTIME_DIR=$T/run # other machines of this user are nobody's here
    mkdir run
    ops compose up
    want_error 2 'there is no ops-compose.yaml here' 'name one with -c FILE'
    ops compose up -c none
    want_error 1 'cannot open none: no such file'
    ops compose restart
    want_error 2 'ops compose has no verb restart'
    ops compose up web
    want_error 2 'too many words for `ops compose up`' 'write `ops compose up \[-c FILE\] \[--force\]`'
    : >f.yaml
    ops compose up -c f.yaml
    want_error 2 'f.yaml is empty'
    wrong 3 'did not find expected' <<<$'services:\n  - {a: b'
    wrong 1 'the file must have keys with values' <<<'[a]'
    wrong 1 'the file needs `services`' <<<'name: x'
    wrong 2 'service is no key here' 'did you mean services?' <<<$'name: x\nservice: {a: {run: x}}'
    wrong 1 'services must name some' <<<'services: {}'
    wrong 3 'a stands here twice' <<<$'services:\n  a: {run: x}\n  a: {run: x}'
    wrong 2 'a needs `run`, the words of `ops run`' <<<$'services:\n  a: {after: b}'
    wrong 2 'run must be a list of words' <<<$'services:\n  a: {run: {b: c}}'
    wrong 2 'a/b cannot be part of an instance' <<<$'services:\n  a/b: {run: x}'
    wrong 2 'ready needs a port or a url' <<<$'services:\n  a: {run: x, ready: {within: 3}}'
    wrong 2 'port must be a number' 'from 1 to 65535' <<<$'services:\n  a: {run: x, ready: {port: 65536}}'
    wrong 2 'url must begin with http://' <<<$'services:\n  a: {run: x, ready: {url: "https://h/"}}'
    wrong 1 'a/b cannot be the name of a network' <<<$'network: a/b\nservices: {a: {run: x}}'
    echo '{"services": {"a": {"run": "x", "after": ["b"]}, "b": {"run": "x", "after": ["a"]}}}' >f.yaml
    ops compose up -c f.yaml
    want_error 2 'a waits for itself, by `after`'
    echo '{"services": {"a": {"run": "x", "after": ["bb"]}, "b": {"run": "x"}}}' >f.yaml
    ops compose up -c f.yaml
    want_error 2 'there is no service bb' 'did you mean b?'
    echo '{"name": "p", "services": {"a": {"run": ["--no-such", "x"]}}}' >f.yaml
    ops compose up -c f.yaml
    want_error 2 'a: unknown option --no-such'
    echo '{"name": "p", "services": {"a": {"run": ["./nothing"]}}}' >f.yaml
    ops compose up -c f.yaml
    want_error 1 'a: cannot open ./nothing: no such file'
    ops instance list
    want_out ''
    # Aliases are resolved, and not for ever.
    echo 'a: &a [x,x,x,x,x,x,x,x,x]' >f.yaml
    local last=a
    for i in b c d e f g h i j; do
        echo "$i: &$i [*$last,*$last,*$last,*$last,*$last,*$last,*$last,*$last]" >>f.yaml
        last=$i
    done
    ops compose up -c f.yaml
    want_error 2 'f.yaml, line 1: a is no key here'
}

e2e_main "$@"
