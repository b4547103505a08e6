/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU's machine protocol: see qmp.h. */
#include "qmp.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "ops/exit.h"

static cJSON *message_next(struct qmp *q, struct err *err)
{
    char *line = lines_next(&q->lines, err);
    if (!line)
        return NULL;
    cJSON *message = cJSON_Parse(line);
    free(line);
    if (!message)
        err_set(err, OPS_EXIT_FAILED, NULL, "QEMU says what is no JSON");
    return message;
}

/* The answer to the last command; events on the way are kept. */
static bool answer_take(struct qmp *q, cJSON **value, struct err *err)
{
    for (;;) {
        cJSON *m = message_next(q, err);
        if (!m)
            return false;
        if (cJSON_HasObjectItem(m, "event")) {
            cJSON_AddItemToArray(q->events, m);
            continue;
        }
        cJSON *error = cJSON_GetObjectItem(m, "error");
        const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(error, "desc"));
        if (error)
            err_set(err, OPS_EXIT_FAILED, NULL, "QEMU refuses: %s", text ? text : "?");
        else if (value)
            *value = cJSON_DetachItemFromObject(m, "return");
        cJSON_Delete(m);
        return !error;
    }
}

bool qmp_run(struct qmp *q, const char *command, cJSON *arguments, int fd, cJSON **value,
             struct err *err)
{
    cJSON *m = cJSON_CreateObject();
    cJSON_AddStringToObject(m, "execute", command);
    if (arguments)
        cJSON_AddItemToObject(m, "arguments", arguments);
    char *text = cJSON_PrintUnformatted(m);
    cJSON_Delete(m);
    char *line = alloc_printf("%s\n", text ? text : "");
    bool ok = lines_send(&q->lines, line, fd, err) && answer_take(q, value, err);
    free(line);
    free(text);
    return ok;
}

bool qmp_open(struct qmp *q, const struct instance *i, struct err *err)
{
    *q = (struct qmp){.lines = {.fd = instance_connect(i, INSTANCE_QMP, err), .whom = "QEMU"},
                      .events = cJSON_CreateArray()};
    cJSON *greeting = q->lines.fd >= 0 ? message_next(q, err) : NULL;
    bool ok = greeting && qmp_run(q, "qmp_capabilities", NULL, -1, NULL, err);
    cJSON_Delete(greeting);
    if (!ok)
        qmp_close(q);
    return ok;
}

static bool event_is(const cJSON *m, const char *event, const char *device)
{
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(m, "event"));
    const cJSON *data = cJSON_GetObjectItem(m, "data");
    const char *about = cJSON_GetStringValue(cJSON_GetObjectItem(data, "device"));
    return name && about && strcmp(name, event) == 0 && strcmp(about, device) == 0;
}

bool qmp_wait(struct qmp *q, const char *event, const char *device, struct err *err)
{
    const cJSON *kept;
    cJSON_ArrayForEach(kept, q->events)
    {
        if (event_is(kept, event, device))
            return true;
    }
    for (;;) {
        cJSON *m = message_next(q, err);
        bool found = m && event_is(m, event, device);
        cJSON_Delete(m);
        if (!m || found)
            return found;
    }
}

void qmp_close(struct qmp *q)
{
    lines_close(&q->lines);
    cJSON_Delete(q->events);
    q->events = NULL;
}
