/* SPDX-License-Identifier: Apache-2.0 */
/* A QEMU, or a kernel behind it, that was taken over: it answers with anything. The first byte
 * chooses who is asked. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest.h"
#include "qmp.h"

static const uint8_t *answers;
static size_t answers_size;

/* In the place of instance.c: the answers lie in the socket already, and then it ends. */
int instance_connect(const struct instance *i, const char *socket, struct err *err)
{
    int pair[2];
    (void)i, (void)socket;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) {
        err_errno(err, "make", "a socket");
        return -1;
    }
    if (send(pair[1], answers, answers_size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && answers_size)
        abort();
    shutdown(pair[1], SHUT_WR);
    static int other = -1; /* is closed only with the next one, so that requests can be sent */
    if (other >= 0)
        close(other);
    other = pair[1];
    return pair[0];
}

static void error_check(bool ok, struct err *err)
{
    if (!ok && !err->message)
        abort();
    err_free(err);
}

static void qmp_check(const struct instance *i)
{
    struct qmp q;
    struct err err = {0};
    cJSON *value = NULL;
    bool ok = qmp_open(&q, i, &err);
    if (ok) {
        ok = qmp_run(&q, "query-status", NULL, -1, &value, &err);
        ok = ok && qmp_wait(&q, "DEVICE_DELETED", "v1", &err);
        qmp_close(&q);
    }
    cJSON_Delete(value);
    error_check(ok, &err);
}

static void on_call(void *arg, const char *text, unsigned long lost)
{
    *(size_t *)arg += text ? strlen(text) : lost;
}

static void guest_check(const struct instance *i, int what)
{
    struct err err = {0};
    struct strlist lines = {0};
    char *wrong = NULL;
    size_t sum = 0;
    bool ok = what == 0   ? guest_ask(i, "mount x", &wrong, &err)
              : what == 1 ? guest_read(i, "meminfo", &lines, &err)
                          : guest_trace(i, "all", 1, on_call, &sum, &err);
    error_check(ok, &err);
    free(wrong);
    strlist_free(&lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct instance i = {.name = "m", .dir = "/run/m", .lock = -1};
    if (!size)
        return 0;
    answers = data + 1;
    answers_size = size - 1 < 100000 ? size - 1 : 100000;
    if (data[0] % 4 == 3)
        qmp_check(&i);
    else
        guest_check(&i, data[0] % 4);
    return 0;
}
