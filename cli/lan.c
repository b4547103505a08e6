/* SPDX-License-Identifier: Apache-2.0 */
/* Networks by name: see lan.h. */
#include "lan.h"

#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "alloc.h"
#include "hostpath.h"
#include "json.h"
#include "nearest.h"
#include "ops/exit.h"

#define SUFFIX    ".json"
#define FILE_MOST 65536

static char *store_dir(struct err *err)
{
    return path_user("XDG_DATA_HOME", ".local/share", "ops/networks", err);
}

bool lan_init(struct lan *l, const char *name, struct err *err)
{
    static const char *const taken[] = {"user", "tap", "bridge", "none"};
    *l = (struct lan){0};
    if (!path_name_ok(name, LAN_NAME_MAX))
        return err_set(err, OPS_EXIT_USAGE,
                       "1 to 11 letters, digits, '.', '_' or '-', the first a letter or digit",
                       "'%s' cannot be the name of a network", name);
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        if (strcmp(name, taken[i]) == 0)
            return err_set(err, OPS_EXIT_USAGE, "choose another name",
                           "%s is a network that is always there", name);
    strcpy(l->name, name);
    snprintf(l->bridge, sizeof l->bridge, "ops-%s", name);
    return true;
}

bool lan_names(struct strlist *names, struct err *err)
{
    char *dir = store_dir(err);
    bool ok = dir && path_names(dir, SUFFIX, names, err);
    free(dir);
    return ok;
}

char *lan_dir(const struct lan *l, struct err *err)
{
    char *dir = store_dir(err), *own = dir ? path_join(dir, l->name) : NULL;
    free(dir);
    return own;
}

static void unknown(const char *name, struct err *err)
{
    struct strlist names = {0};
    struct err ignored = {0};
    lan_names(&names, &ignored);
    err_set(err, OPS_EXIT_FAILED, "`ops network list` lists them", "there is no network %s", name);
    const char *near = nearest_word(name, (const char *const *)names.items, names.count);
    if (near)
        err_hint(err, "did you mean %s?", near);
    else if (!names.count)
        err_hint(err, "`ops network create %s` makes it; always there: user, tap, none", name);
    err_free(&ignored);
    strlist_free(&names);
}

const char *lan_firewall_text(enum lan_firewall f)
{
    return f == LAN_NFTABLES ? "nftables" : f == LAN_IPTABLES ? "iptables" : "none";
}

static enum lan_firewall firewall_of(const char *text)
{
    enum lan_firewall f = LAN_IPTABLES;
    while (f != LAN_NO_FIREWALL && (!text || strcmp(text, lan_firewall_text(f)) != 0))
        f = f == LAN_IPTABLES ? LAN_NFTABLES : LAN_NO_FIREWALL;
    return f;
}

static bool read_members(struct lan *l, const cJSON *o)
{
    const char *gateway = cJSON_GetStringValue(cJSON_GetObjectItem(o, "gateway"));
    const char *gateway6 = cJSON_GetStringValue(cJSON_GetObjectItem(o, "gateway6"));
    l->nat = cJSON_IsTrue(cJSON_GetObjectItem(o, "nat"));
    l->ready = cJSON_IsTrue(cJSON_GetObjectItem(o, "ready"));
    l->firewall = firewall_of(cJSON_GetStringValue(cJSON_GetObjectItem(o, "firewall")));
    return gateway && cidr_parse(&l->gateway, gateway) &&
           (!gateway6 || cidr_parse(&l->gateway6, gateway6));
}

bool lan_load(struct lan *l, const char *name, struct err *err)
{
    size_t size;
    struct err gone = {0};
    char *dir = lan_init(l, name, &gone) ? store_dir(&gone) : NULL;
    char *path = dir ? alloc_printf("%s/%s" SUFFIX, dir, name) : NULL;
    bool there = path && access(path, F_OK) == 0;
    char *text = there ? path_read(path, FILE_MOST, &size, err) : NULL;
    cJSON *o = text ? json_parse(&(struct json_text){path, text, size}, err) : NULL;
    bool ok = o != NULL;
    if (!there)
        unknown(name, err);
    else if (o && !read_members(l, o))
        ok = err_set(err, OPS_EXIT_FAILED, NULL, "%s does not describe a network", path);
    cJSON_Delete(o);
    free(text);
    free(path);
    free(dir);
    err_free(&gone);
    return ok;
}

int lan_lock(struct err *err)
{
    char *path = store_dir(err);
    int fd = path ? path_lock(path, err) : -1;
    free(path);
    return fd;
}

static void members_add(const struct lan *l, cJSON *o)
{
    char text[CIDR_TEXT];
    cJSON_AddStringToObject(o, "name", l->name);
    cJSON_AddStringToObject(o, "bridge", l->bridge);
    struct cidr net = cidr_network(&l->gateway);
    cidr_text(&net, text);
    cJSON_AddStringToObject(o, "subnet", text);
    cidr_text(&l->gateway, text);
    cJSON_AddStringToObject(o, "gateway", text);
    if (l->gateway6.family) {
        net = cidr_network(&l->gateway6);
        cidr_text(&net, text);
        cJSON_AddStringToObject(o, "ipv6", text);
        cidr_text(&l->gateway6, text);
        cJSON_AddStringToObject(o, "gateway6", text);
    }
    cJSON_AddBoolToObject(o, "nat", l->nat);
    cJSON_AddStringToObject(o, "firewall", lan_firewall_text(l->firewall));
}

const char *lan_state(const struct lan *l)
{
    return !l->ready ? "incomplete" : if_nametoindex(l->bridge) ? "up" : "down";
}

void lan_describe(const struct lan *l, cJSON *o)
{
    members_add(l, o);
    cJSON_AddStringToObject(o, "state", lan_state(l));
}

bool lan_save(int dir, const struct lan *l, struct err *err)
{
    cJSON *o = cJSON_CreateObject();
    members_add(l, o);
    cJSON_AddBoolToObject(o, "ready", l->ready);
    char *text = cJSON_Print(o), *name = alloc_printf("%s" SUFFIX, l->name);
    char *temp = alloc_printf(".%s", l->name);
    bool ok = text && path_write(dir, temp, text, strlen(text)) &&
              renameat(dir, temp, dir, name) == 0 && fsync(dir) == 0;
    if (!ok)
        err_errno(err, "write the network", l->name);
    free(temp);
    free(name);
    free(text);
    cJSON_Delete(o);
    return ok;
}

void lan_forget(int dir, const struct lan *l)
{
    char *name = alloc_printf("%s" SUFFIX, l->name);
    unlinkat(dir, name, 0);
    unlinkat(dir, l->name, AT_REMOVEDIR);
    fsync(dir);
    free(name);
}
