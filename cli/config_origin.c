/* SPDX-License-Identifier: Apache-2.0 */
/* What a configuration holds besides its reading: origins, variables, its end. See config.h. */
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "config.h"

void config_note_origin(struct config *c, const char *entry, const char *origin)
{
    for (size_t i = 0; i + 1 < c->origins.count; i += 2) {
        if (strcmp(c->origins.items[i], entry) == 0) {
            free(c->origins.items[i + 1]);
            c->origins.items[i + 1] = alloc_string(origin);
            return;
        }
    }
    strlist_add(&c->origins, entry);
    strlist_add(&c->origins, origin);
}

const char *config_origin(const struct config *c, const char *entry)
{
    for (size_t i = 0; i + 1 < c->origins.count; i += 2)
        if (strcmp(c->origins.items[i], entry) == 0)
            return c->origins.items[i + 1];
    return NULL;
}

void config_drop_origin(struct config *c, const char *entry)
{
    size_t n = strlen(entry);
    struct strlist kept = {0};
    for (size_t i = 0; i + 1 < c->origins.count; i += 2) {
        const char *there = c->origins.items[i];
        if (strncmp(there, entry, n) == 0 && strchr(".[", there[n])) /* also the NUL */
            continue;
        strlist_add(&kept, there);
        strlist_add(&kept, c->origins.items[i + 1]);
    }
    strlist_free(&c->origins);
    c->origins = kept;
}

void config_set_env(struct strlist *env, const char *entry)
{
    size_t n = strcspn(entry, "=");
    for (size_t i = 0; i < env->count; i++) {
        if (strncmp(env->items[i], entry, n) == 0 && env->items[i][n] == '=') {
            char *copy = alloc_string(entry);
            free(env->items[i]);
            env->items[i] = copy;
            return;
        }
    }
    strlist_add(env, entry);
}

const struct key *config_key(const char *path)
{
    const struct key *table = config_keys;
    for (;;) {
        size_t n = strcspn(path, ".");
        while (table->name && (strncmp(table->name, path, n) != 0 || table->name[n]))
            table++;
        if (!table->name || !path[n])
            return table->name ? table : NULL;
        table = table->table;
        path += n + 1;
        if (!table)
            return NULL;
    }
}

void config_free(struct config *c)
{
    char *texts[] = {c->program,      c->hostname,    c->cwd,      c->accel,      c->machine,
                     c->network,      c->bridge_name, c->tap_name, c->ip_address, c->net_mask,
                     c->ipv6_address, c->gateway,     c->restart,  c->trace,      c->name,
                     c->code_dir,     c->stop_signal, c->metadata, c->user_data};
    struct strlist *lists[] = {&c->args,      &c->env,          &c->files,        &c->dirs,
                               &c->mounts,    &c->shares,       &c->name_servers, &c->map_dirs,
                               &c->exclude,   &c->ports,        &c->udp_ports,    &c->secrets,
                               &c->nets,      &c->card,         &c->origins,      &c->notes,
                               &c->variables, &c->default_args, &c->ntp_servers};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        free(texts[i]);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        strlist_free(lists[i]);
    *c = (struct config){0};
}

void config_faults_free(struct config_faults *f)
{
    for (size_t i = 0; i < f->count; i++)
        err_free(&f->items[i]);
    free(f->items);
    *f = (struct config_faults){0};
}
