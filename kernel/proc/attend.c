/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to a running machine: see attend.h. A thread of its own reads them, one at
 * a time, and may sleep as long as the answer takes. No state but its stream.
 */
#include "proc/attend.h"

#include "core/log.h"
#include "dev/stream.h"
#include "fs/volume.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "ops/control.h"
#include "sched/clock.h"
#include "sched/thread.h"

#define DISK_WAIT (10 * NSEC_PER_SEC) /* for a disk that was plugged in just now */

static struct stream *requests;

static void answer(const char *error)
{
    char line[128];
    int n = snprintf(line, sizeof line, "%s%s\n", error ? "error " : "ok", error ? error : "");
    stream_write_all(requests, line, MIN((size_t)n, sizeof line - 1));
}

static void handle(const char *line)
{
    const char *why = "the kernel does not know that request";
    int err = -1;
    if (!strncmp(line, "mount ", 6))
        err = volume_mount(line + 6, clock_now() + DISK_WAIT, &why);
    else if (!strncmp(line, "unmount ", 8))
        err = volume_unmount(line + 8, &why);
    if (err)
        log_info("%s: %s (error %d)", line, why, -err);
    answer(err ? why : NULL);
}

static void attend(void *arg)
{
    static char line[OPS_CONTROL_LINE];
    (void)arg;
    for (;;) {
        stream_read_line(requests, line, sizeof line);
        handle(line);
    }
}

void attend_init(void)
{
    struct thread *t;
    requests = stream_find(OPS_PORT_INSTANCE);
    if (!requests)
        return;
    int err = thread_create(&t, "attend", attend, NULL);
    if (err)
        log_error("no requests are answered: error %d", -err);
    else
        thread_start(t);
}
