/* SPDX-License-Identifier: Apache-2.0 */
/* Ending a detached machine: see instance_end.h. */
#include "instance_end.h"

#include <stdlib.h>

#include "alloc.h"
#include "instance_show.h"
#include "supervisor.h"

bool instance_end(const char *name, unsigned long seconds, struct err *err)
{
    struct live l;
    struct err ignored = {0};
    int status;
    if (seconds && live_open(&l, name, &ignored)) /* a paused program hears nothing */
        qmp_run(&l.qmp, "cont", NULL, -1, NULL, &ignored);
    if (seconds)
        live_close(&l);
    err_free(&ignored);
    char *request = alloc_printf("stop %lu\n", seconds);
    int fd = supervisor_ask(name, request, err);
    free(request);
    if (fd >= 0)
        supervisor_answer(fd, &status);
    return true;
}
