/* SPDX-License-Identifier: Apache-2.0 */
/* Ending a detached machine: see instance_end.h. */
#include "instance_end.h"

#include <stdlib.h>
#include <time.h>

#include "alloc.h"
#include "instance_show.h"
#include "instance_store.h"
#include "supervisor.h"

#define PAUSE 10000000 /* ns */
#define TRIES 1000

static bool is_locked(const char *name)
{
    struct stored s;
    struct err none = {0};
    bool locked = store_open(&s, name, &none) && store_locked(&s);
    store_close(&s);
    err_free(&none);
    return locked;
}

bool instance_end(const char *name, unsigned long seconds, struct err *err)
{
    struct live l;
    struct err ignored = {0};
    const struct timespec pause = {.tv_nsec = PAUSE};
    int status;
    if (seconds && live_open(&l, name, &ignored)) /* a paused program hears nothing */
        qmp_run(&l.qmp, "cont", NULL, -1, NULL, &ignored);
    if (seconds)
        live_close(&l);
    err_free(&ignored);
    char *request = alloc_printf("stop %lu\n", seconds);
    bool answered = false;
    /* One that listens not yet, or no more, has the lock for a moment. */
    for (int tries = 0; !answered && tries < TRIES; tries++) {
        int fd = supervisor_ask(name, request, err);
        answered = (fd >= 0 && supervisor_answer(fd, &status)) || !is_locked(name);
        if (!answered)
            nanosleep(&pause, NULL);
    }
    free(request);
    return true;
}
