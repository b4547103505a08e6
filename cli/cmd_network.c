/* SPDX-License-Identifier: Apache-2.0 */
/* `ops network`: bridges of this host that machines stand on (`ops run --net NAME`). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "command.h"
#include "lan.h"
#include "lan_make.h"
#include "lan_setup.h"
#include "lease.h"
#include "ops/exit.h"
#include "verbs.h"

static const struct option create_rows[] = {
    {.name = "dry-run",
     .type = OPTION_FLAG,
     .offset = offsetof(struct verb_request, dry_run),
     .help = "print the commands, and do nothing"},
    {.name = "ipv6",
     .type = OPTION_TEXT,
     .offset = offsetof(struct verb_request, ipv6),
     .argument = "CIDR",
     .help = "IPv6 addresses too: fd00:7::/64"},
    {.name = "no-nat",
     .type = OPTION_FLAG,
     .offset = offsetof(struct verb_request, no_nat),
     .help = "only this host and the machines; nothing is forwarded"},
    {.name = "subnet",
     .type = OPTION_TEXT,
     .offset = offsetof(struct verb_request, subnet),
     .argument = "CIDR",
     .help = "its addresses (default: a free 10.77.N.0/24)"},
};

static bool create_run(const struct verb_request *r, char **operands, size_t count, int *status,
                       struct err *err)
{
    const struct lan_wish w = {
        .name = operands[0], .subnet = r->subnet, .ipv6 = r->ipv6, .nat = !r->no_nat};
    struct lan l;
    struct strlist lines = {0};
    (void)count, (void)status;
    if (!r->dry_run)
        return lan_create(&l, &w, err);
    bool ok = lan_plan(&l, &w, err);
    if (ok)
        lan_commands(&l, &lines);
    for (size_t i = 0; i < lines.count; i++)
        puts(lines.items[i]);
    strlist_free(&lines);
    return ok;
}

static char *names_join(const struct tenant *t)
{
    char *all = alloc_string("");
    for (size_t i = 0; i < t->names.count; i++) {
        char *longer = alloc_printf("%s%s%s", all, i ? " " : "", t->names.items[i]);
        free(all);
        all = longer;
    }
    return all;
}

/* For JSON an object a machine, for people a line. */
static cJSON *tenant_describe(const struct tenant *t, bool json)
{
    char address[CIDR_TEXT], address6[CIDR_TEXT] = "";
    char *names = names_join(t);
    cidr_address_text(&t->address, address);
    if (t->address6.family)
        cidr_address_text(&t->address6, address6);
    cJSON *o;
    if (json) {
        o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "name", t->names.count ? t->names.items[0] : "");
        cJSON_AddStringToObject(o, "address", address);
        if (address6[0])
            cJSON_AddStringToObject(o, "address6", address6);
    } else {
        char *line = alloc_printf("%s%s%s%s%s", address, address6[0] ? " " : "", address6,
                                  *names ? " " : "", names);
        o = cJSON_CreateString(line);
        free(line);
    }
    free(names);
    return o;
}

static cJSON *describe(const struct lan *l, bool json)
{
    cJSON *o = cJSON_CreateObject(), *machines = cJSON_CreateArray();
    struct tenants t;
    lan_describe(l, o);
    tenants_find(&t, l);
    for (size_t i = 0; i < t.count; i++)
        cJSON_AddItemToArray(machines, tenant_describe(&t.items[i], json));
    cJSON_AddItemToObject(o, "machines", machines);
    tenants_free(&t);
    return o;
}

static const char *text_of(const cJSON *o, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(o, key));
    return text ? text : "-";
}

static bool list_run(const struct verb_request *r, char **operands, size_t count, int *status,
                     struct err *err)
{
    struct strlist names = {0};
    (void)operands, (void)count, (void)status;
    if (!lan_names(&names, err))
        return false;
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < names.count; i++) {
        struct lan l;
        struct err gone = {0};
        if (lan_load(&l, names.items[i], &gone))
            cJSON_AddItemToArray(list, describe(&l, true));
        err_free(&gone);
    }
    if (r->json) {
        verb_print(r, list);
    } else if (list->child) {
        printf("%-12s %-18s %-20s %-10s %-10s %s\n", "NAME", "SUBNET", "IPV6", "FIREWALL", "STATE",
               "MACHINES");
        for (const cJSON *o = list->child; o; o = o->next)
            printf("%-12s %-18s %-20s %-10s %-10s %d\n", text_of(o, "name"), text_of(o, "subnet"),
                   text_of(o, "ipv6"), text_of(o, "firewall"), text_of(o, "state"),
                   cJSON_GetArraySize(cJSON_GetObjectItem(o, "machines")));
    }
    cJSON_Delete(list);
    strlist_free(&names);
    return true;
}

static bool inspect_run(const struct verb_request *r, char **operands, size_t count, int *status,
                        struct err *err)
{
    struct lan l;
    (void)count, (void)status;
    if (!lan_load(&l, operands[0], err))
        return false;
    cJSON *o = describe(&l, r->json);
    verb_print(r, o);
    cJSON_Delete(o);
    return true;
}

static bool delete_run(const struct verb_request *r, char **operands, size_t count, int *status,
                       struct err *err)
{
    bool ok = true;
    (void)r, (void)status;
    for (size_t i = 0; ok && i < count; i++)
        ok = lan_delete(operands[i], err);
    return ok;
}

static const struct verb network_verbs[] = {
    {"create", "create NAME [--subnet CIDR] [--ipv6 CIDR]", "make a network", create_rows, 4, 1, 1,
     create_run},
    {"list", "list [--json]", "list the networks", &verb_json_row, 1, 0, 0, list_run},
    {"inspect", "inspect NAME [--json]", "show addresses and machines", &verb_json_row, 1, 1, 1,
     inspect_run},
    {"delete", "delete NAME...", "delete networks", NULL, 0, 1, SIZE_MAX, delete_run},
};

static const struct verb_family network_family = {.verbs = network_verbs,
                                                  .count = sizeof network_verbs /
                                                           sizeof network_verbs[0],
                                                  .names = NAMES_FILES};

static bool network_run(const struct command *self, char **words, int *status, struct err *err)
{
    return verbs_run(self, &network_family, words, status, err);
}

const struct command cmd_network = {
    .name = "network",
    .usage = "network VERB ...",
    .summary = "networks that machines share",
    .text = "A network is a bridge of this host, ops-NAME, with NAT to the outside; it needs root\n"
            "to make one and to start a machine on it. `ops run --net NAME` gives a machine an\n"
            "address of it; there the others are found by the names of their machines (`--name`)\n"
            "and by their `--hostname`. What is on the outside cannot reach in.\n",
    .verbs = &network_family,
    .run = network_run,
};
