/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Volumes of machines that run. QEMU gets the open file, and with it the lock: it
 * need not find the file, and the volume is in use until QEMU has closed it. Disk
 * and node are named after the volume's UUID, so that a later ops finds them.
 */
#include "hotplug.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "guest.h"
#include "instance.h"
#include "mounts.h"
#include "ops/exit.h"
#include "ops/image.h"
#include "qemu.h"
#include "qmp.h"
#include "volume_store.h"

#define ID_DIGITS 24 /* of the UUID: QEMU's names have 31 characters at most */

/* A machine that is asked: QEMU and the kernel in it. */
struct talk {
    struct instance instance;
    struct qmp qmp;
    char uuid[37];
    char id[2 + ID_DIGITS]; /* of disk and node: "v" and digits */
};

static void id_make(struct talk *t)
{
    size_t n = 0;
    t->id[n++] = 'v';
    for (const char *c = t->uuid; *c && n <= ID_DIGITS; c++)
        if (*c != '-')
            t->id[n++] = *c;
    t->id[n] = 0;
}

static bool talk_open(struct talk *t, const char *name, struct err *err)
{
    return instance_find(&t->instance, name, err) && qmp_open(&t->qmp, &t->instance, err);
}

static void talk_close(struct talk *t)
{
    qmp_close(&t->qmp);
    instance_free(&t->instance);
}

static cJSON *disk_arguments(const struct talk *t)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "driver", "scsi-hd");
    cJSON_AddStringToObject(o, "id", t->id);
    cJSON_AddStringToObject(o, "drive", t->id);
    cJSON_AddStringToObject(o, "bus", QEMU_SCSI_BUS);
    return o;
}

static cJSON *node_arguments(const struct talk *t, int set, bool read_only)
{
    cJSON *o = cJSON_CreateObject(), *file = cJSON_CreateObject();
    char *name = alloc_printf("/dev/fdset/%d", set);
    cJSON_AddStringToObject(o, "driver", "raw");
    cJSON_AddStringToObject(o, "node-name", t->id);
    cJSON_AddBoolToObject(o, "read-only", read_only);
    cJSON_AddStringToObject(o, "discard", "unmap");
    cJSON_AddStringToObject(file, "driver", "file");
    cJSON_AddStringToObject(file, "filename", name);
    cJSON_AddItemToObject(o, "file", file);
    free(name);
    return o;
}

static cJSON *name_arguments(const char *key, const char *value)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, key, value);
    return o;
}

static bool node_add(struct talk *t, const struct mount *m, struct err *err)
{
    cJSON *added = NULL, *arguments;
    if (!qmp_run(&t->qmp, "add-fd", NULL, m->fd, &added, err))
        return false;
    int set = (int)cJSON_GetNumberValue(cJSON_GetObjectItem(added, "fdset-id"));
    cJSON_Delete(added);
    bool ok = qmp_run(&t->qmp, "blockdev-add", node_arguments(t, set, m->read_only), -1, NULL, err);
    /* QEMU has copies of its own now. */
    struct err ignored = {0};
    arguments = cJSON_CreateObject();
    cJSON_AddNumberToObject(arguments, "fdset-id", set);
    qmp_run(&t->qmp, "remove-fd", arguments, -1, NULL, &ignored);
    err_free(&ignored);
    return ok;
}

static bool node_remove(struct talk *t, struct err *err)
{
    return qmp_run(&t->qmp, "blockdev-del", name_arguments("node-name", t->id), -1, NULL, err);
}

static bool disk_remove(struct talk *t, struct err *err)
{
    return qmp_run(&t->qmp, "device_del", name_arguments("id", t->id), -1, NULL, err) &&
           qmp_wait(&t->qmp, "DEVICE_DELETED", t->id, err) && node_remove(t, err);
}

/* The disk is there: the kernel mounts it, or it goes again. */
static bool disk_mount(struct talk *t, const struct mount *m, struct err *err)
{
    struct err ignored = {0};
    char *request = alloc_printf("mount %s:%s%s", t->uuid, m->path, m->read_only ? ":ro" : "");
    char *wrong;
    bool ok = guest_ask(&t->instance, request, &wrong, err);
    if (wrong)
        ok = err_set(err, OPS_EXIT_FAILED, NULL, "%s cannot mount %s on %s: %s", t->instance.name,
                     m->name, m->path, wrong);
    if (!ok && !disk_remove(t, &ignored))
        err_hint(err, "the disk could not be taken away: %s", ignored.message);
    err_free(&ignored);
    free(request);
    free(wrong);
    return ok;
}

static bool disk_add(struct talk *t, const struct mount *m, struct err *err)
{
    struct err ignored = {0};
    id_make(t);
    if (!node_add(t, m, err))
        return false;
    bool ok = qmp_run(&t->qmp, "device_add", disk_arguments(t), -1, NULL, err);
    if (!ok)
        node_remove(t, &ignored);
    err_free(&ignored);
    return ok && disk_mount(t, m, err);
}

/* NAME[:/path][:ro] of a machine and the volume: what --mounts would say. */
static bool words_parse(const char *volume, const char *word, char **machine, struct mount *m,
                        struct err *err)
{
    const char *colon = strchr(word, ':');
    bool bare = !colon || strcmp(colon, ":ro") == 0;
    *machine = colon ? alloc_bytes(word, (size_t)(colon - word)) : alloc_string(word);
    if (bare && strchr(volume, '/'))
        return err_set(err, OPS_EXIT_USAGE, "write NAME:/path",
                       "say where in the machine %s shall be", volume);
    char *spec = bare ? alloc_printf("%s:/%s%s", volume, volume, colon ? colon : "")
                      : alloc_printf("%s%s", volume, colon);
    bool ok = mount_parse(m, spec, err);
    free(spec);
    return ok;
}

bool hotplug_attach(const struct verb_request *r, char **operands, size_t count, int *status,
                    struct err *err)
{
    struct talk t = {.instance.lock = -1, .qmp.lines.fd = -1};
    struct mount m = {.fd = -1};
    char *machine = NULL;
    (void)r, (void)count, (void)status;
    bool ok = words_parse(operands[0], operands[1], &machine, &m, err) &&
              talk_open(&t, machine, err) && mount_attach(&m, t.uuid, err) && disk_add(&t, &m, err);
    talk_close(&t);
    mount_free(&m);
    free(machine);
    return ok;
}

/* Whether QEMU has the volume's disk among those that came while it ran. */
static bool disk_is_there(struct talk *t, const char *volume, struct err *err)
{
    cJSON *nodes = NULL;
    const cJSON *node;
    bool found = false;
    if (!qmp_run(&t->qmp, "query-named-block-nodes", NULL, -1, &nodes, err))
        return false;
    cJSON_ArrayForEach(node, nodes)
    {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(node, "node-name"));
        found |= name && strcmp(name, t->id) == 0;
    }
    cJSON_Delete(nodes);
    return found ||
           err_set(err, OPS_EXIT_FAILED, "what a machine got at its start, it keeps until its end",
                   "%s was not attached to %s", volume, t->instance.name);
}

bool hotplug_detach(const struct verb_request *r, char **operands, size_t count, int *status,
                    struct err *err)
{
    struct talk t = {.instance.lock = -1, .qmp.lines.fd = -1};
    char *file = volume_path(operands[0], err), *request = NULL, *wrong = NULL;
    (void)r, (void)count, (void)status;
    bool ok = file && talk_open(&t, operands[1], err) && volume_uuid(file, t.uuid, err);
    if (ok)
        id_make(&t);
    ok = ok && disk_is_there(&t, operands[0], err);
    if (ok) {
        request = alloc_printf("unmount %s", t.uuid);
        ok = guest_ask(&t.instance, request, &wrong, err);
    }
    if (wrong)
        ok = err_set(err, OPS_EXIT_FAILED, "the program has to close them first",
                     "%s cannot be taken from %s: %s", operands[0], operands[1], wrong);
    if (ok && !disk_remove(&t, err)) {
        ok = t.qmp.lines.ended; /* the program ended, and its machine: the volume is free */
        if (ok)
            err_free(err);
    }
    talk_close(&t);
    free(request);
    free(wrong);
    free(file);
    return ok;
}
