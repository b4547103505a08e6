/* SPDX-License-Identifier: Apache-2.0 */
/* All layers of settings: see settings.h. */
#include "settings.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "envfile.h"
#include "hostpath.h"
#include "ops/exit.h"
#include "package_ref.h"
#include "plan.h"
#include "size.h"

#define DEFAULT_ORIGIN "default"

static const char *const accels[] = {"auto", "kvm", "tcg"};
static const char *const machines[] = {"microvm", "q35"};
static const char *const policies[] = {"no", "on-failure", "always"};

static bool defaults_load(struct config *c, struct err *err)
{
    static const char text[] =
        "{\"Cwd\": \"/\", \"Env\": {"
        "\"PATH\": \"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\","
        "\"HOME\": \"/root\", \"USER\": \"root\"}, \"Gid\": 0, \"Hostname\": \"ops\","
        "\"RunConfig\": {\"Accel\": \"auto\", \"CPUs\": 1, \"LogSize\": \"10M\","
        "\"Machine\": \"microvm\", \"Restart\": \"no\"}, \"Uid\": 0}";
    const struct config_source s = {.name = DEFAULT_ORIGIN, .dir = "/"};
    if (!config_read(c, &s, text, sizeof text - 1, err))
        return false;
    for (size_t i = 1; i < c->origins.count; i += 2) /* lines say nothing here */
        c->origins.items[i][strlen(DEFAULT_ORIGIN)] = 0;
    return true;
}

static bool file_load(struct config *c, const char *path, const char *name, struct err *err)
{
    const struct config_source s = {.name = name};
    return config_load(c, path, &s, err);
}

static bool user_load(struct config *c, struct err *err)
{
    const char *named = getenv("OPS_DEFAULT_CONFIG"), *home = getenv("HOME");
    struct err none = {0};
    char *old = named && *named ? alloc_string(named) : home ? path_join(home, ".opsrc") : NULL;
    bool ok = !old || (!(named && *named) && access(old, F_OK) < 0) || file_load(c, old, old, err);
    char *own = ok ? path_user("XDG_CONFIG_HOME", ".config", "ops/config.json", &none) : NULL;
    if (own && access(own, F_OK) == 0)
        ok = file_load(c, own, own, err);
    err_free(&none);
    free(own);
    free(old);
    return ok;
}

static bool project_load(struct config *c, const char *given, const char *dir, struct err *err)
{
    const char *name = given ? given : SETTINGS_PROJECT;
    char *path = dir ? path_join(dir, name) : alloc_string(name);
    bool ok = (!given && access(path, F_OK) < 0) || file_load(c, path, name, err);
    free(path);
    return ok;
}

static void table_visit(const struct key *table, const char *prefix,
                        void (*visit)(const struct key *k, const char *entry, void *arg), void *arg)
{
    for (const struct key *k = table; k->name; k++) {
        if (!key_is_setting(k))
            continue;
        char *entry = alloc_printf("%s%s", prefix, k->name);
        visit(k, entry, arg);
        free(entry);
    }
}

void settings_keys(void (*visit)(const struct key *k, const char *entry, void *arg), void *arg)
{
    table_visit(config_keys, "", visit, arg);
    table_visit(config_key("RunConfig")->table, "RunConfig.", visit, arg);
}

/* What is run, if it is not a program of this host: a package or a disk. */
static bool source_load(struct request *r, struct err *err)
{
    const char *word = r->operands ? r->operands[0] : NULL;
    if (word && !package_ref_is(word) && disk_source_is(word)) {
        r->disk = alloc_zero(sizeof *r->disk);
        free(r->settings.program);
        r->settings.program = NULL;
        return disk_source_open(r->disk, word, &r->settings, err);
    }
    if (!word || !package_ref_is(word))
        return true;
    r->package = alloc_zero(sizeof *r->package);
    return package_ref_open(r->package, word, r->entrypoint, err) &&
           package_settings(r->package, &r->settings, err);
}

struct environment {
    struct config *config;
    const char *dir;
    bool ok;
    struct err *err;
};

static void variable_load(const struct key *k, const char *entry, void *arg)
{
    struct environment *e = arg;
    char *name = key_variable(k);
    const char *text = e->ok ? getenv(name) : NULL;
    const struct config_source s = {.name = name, .dir = e->dir};
    (void)entry;
    if (text && *text) {
        strlist_add(&e->config->variables, name);
        e->ok = config_set(e->config, k, &s, text, e->err);
    }
    free(name);
}

static bool environment_load(struct config *c, const char *dir, struct err *err)
{
    struct environment e = {.config = c, .dir = dir, .ok = true, .err = err};
    settings_keys(variable_load, &e);
    return e.ok;
}

bool settings_choice(const char *option, const char *given, const char *const *words, size_t count,
                     size_t *index, struct err *err)
{
    for (*index = 0; *index < count; ++*index)
        if (!given || strcmp(given, words[*index]) == 0)
            return true;
    return err_set(err, OPS_EXIT_USAGE, NULL, "--%s must be %s%s%s%s%s, not %s", option, words[0],
                   count > 2 ? ", " : " or ", words[1], count > 2 ? " or " : "",
                   count > 2 ? words[2] : "", given);
}

/* What a flag says, if it was given. */
static void flag_text(struct config *c, char **field, const char *entry, const char *flag,
                      const char *text)
{
    if (!text)
        return;
    char *copy = alloc_string(text);
    free(*field);
    *field = copy;
    config_note_origin(c, entry, flag);
}

static void flag_true(struct config *c, bool *field, const char *entry, const char *flag,
                      bool given)
{
    if (!given)
        return;
    *field = true;
    config_note_origin(c, entry, flag);
}

static void flag_list(struct config *c, struct strlist *field, const char *entry, const char *flag,
                      const struct strlist *given)
{
    for (size_t i = 0; i < given->count; i++) {
        char *name = alloc_printf("%s[%zu]", entry, field->count);
        strlist_add(field, given->items[i]);
        config_note_origin(c, name, flag);
        free(name);
    }
}

static bool flag_number(struct config *c, const char *text, uint64_t *field, uint64_t most,
                        const char *entry, const char *flag)
{
    char *end = NULL;
    if (!text)
        return true;
    *field = strtoull(text, &end, 10);
    if (*end || end == text || strchr(text, '-') || *field < 1 || *field > most)
        return false;
    config_note_origin(c, entry, flag);
    return true;
}

static bool sizes_load(struct config *c, const struct request *r, struct err *err)
{
    if (r->memory && !size_parse(r->memory, &c->memory))
        return err_set(err, OPS_EXIT_USAGE, "write -m 64M or -m 2G", "-m %s is not a size",
                       r->memory);
    if (r->log_size && (!size_parse(r->log_size, &c->log_size) || c->log_size < SETTINGS_LOG))
        return err_set(err, OPS_EXIT_USAGE, "write --log-size 64K or more",
                       "--log-size %s is not a size for a log", r->log_size);
    if (r->memory)
        config_note_origin(c, "RunConfig.Memory", "--memory");
    if (r->log_size)
        config_note_origin(c, "RunConfig.LogSize", "--log-size");
    if (!flag_number(c, r->cpus, &c->cpus, SETTINGS_CPUS, "RunConfig.CPUs", "--smp"))
        return err_set(err, OPS_EXIT_USAGE, NULL, "--smp must be a number from 1 to %d",
                       SETTINGS_CPUS);
    if (!flag_number(c, r->timeout, &c->timeout, SETTINGS_SECONDS, "RunConfig.Timeout",
                     "--timeout"))
        return err_set(err, OPS_EXIT_USAGE, NULL,
                       "--timeout must be a number of seconds from 1 to %d, not %s",
                       SETTINGS_SECONDS, r->timeout);
    return true;
}

static bool words_load(struct config *c, const struct request *r, struct err *err)
{
    size_t index;
    if (!settings_choice("accel", r->accel, accels, 3, &index, err) ||
        !settings_choice("machine", r->machine, machines, 2, &index, err) ||
        !settings_choice("restart", r->restart, policies, 3, &index, err))
        return false;
    flag_text(c, &c->accel, "RunConfig.Accel", "--accel", r->accel);
    flag_text(c, &c->machine, "RunConfig.Machine", "--machine", r->machine);
    flag_text(c, &c->restart, "RunConfig.Restart", "--restart", r->restart);
    flag_text(c, &c->name, "RunConfig.InstanceName", "--name", r->name);
    flag_text(c, &c->hostname, "Hostname", "--hostname", r->hostname);
    flag_text(c, &c->trace, "RunConfig.Trace", "--trace", r->trace);
    flag_true(c, &c->debug, "RunConfig.Debug", "--debug", r->debug);
    flag_true(c, &c->no_aslr, "NoAslr", "--no-aslr", r->no_aslr);
    flag_true(c, &c->no_system_files, "NoSystemFiles", "--no-system-files", r->no_system_files);
    flag_true(c, &c->readonly_rootfs, "ReadonlyRootfs", "--read-only", r->read_only);
    flag_true(c, &c->verbose, "RunConfig.Verbose", "--verbose", r->verbose);
    return true;
}

/* A package starts its own program with its own arguments, and those that were given. */
static bool package_arguments(struct config *c, struct package *p, struct err *err)
{
    struct strlist origins = {0};
    size_t given = c->args.count;
    for (size_t i = 0; i < given; i++) {
        char *entry = alloc_printf("Args[%zu]", i);
        const char *origin = config_origin(c, entry);
        strlist_add(&origins, origin ? origin : p->label);
        free(entry);
    }
    if (!package_start(p, &c->args, err)) {
        strlist_free(&origins);
        return false;
    }
    strlist_free(&c->args);
    config_drop_origin(c, "Args");
    for (size_t i = 1; i < p->args.count; i++) {
        char *entry = alloc_printf("Args[%zu]", i - 1);
        strlist_add(&c->args, p->args.items[i]);
        config_note_origin(c, entry,
                           i + given < p->args.count ? p->label
                                                     : origins.items[i + given - p->args.count]);
        free(entry);
    }
    free(c->program);
    c->program = alloc_string(p->program);
    config_note_origin(c, "Program", p->label);
    strlist_free(&origins);
    return true;
}

/* The program and its arguments: without arguments the configuration's are meant. */
static void operands_load(struct config *c, const struct request *r)
{
    char *const *words = r->operands;
    bool given = words && words[0];
    if (given && !r->package && !r->disk) {
        free(c->program);
        c->program = alloc_string(words[0]);
        config_note_origin(c, "Program", "command line");
    }
    if (!r->args.count && !(given && words[1]))
        return;
    strlist_free(&c->args);
    config_drop_origin(c, "Args");
    strlist_add_all(&c->args, &r->args);
    for (size_t i = 1; given && words[i]; i++)
        strlist_add(&c->args, words[i]);
    for (size_t i = 0; i < c->args.count; i++) {
        char *entry = alloc_printf("Args[%zu]", i);
        config_note_origin(c, entry, i < r->args.count ? "--args" : "command line");
        free(entry);
    }
}

static void cards_load(struct config *c, const struct request *r)
{
    config_card_flags(c, &r->nets);
    for (size_t i = 0; i < r->ips.count; i++)
        config_card_flag(c, "ip", r->ips.items[i]);
    for (size_t i = 0; i < r->gateways.count; i++)
        config_card_flag(c, "gateway", r->gateways.items[i]);
    for (size_t i = 0; i < r->dns.count; i++)
        config_card_flag(c, "dns", r->dns.items[i]);
    if (r->mac)
        config_card_flag(c, "mac", r->mac);
    if (r->mtu)
        config_card_flag(c, "mtu", r->mtu);
}

static bool flags_load(struct config *c, const struct request *r, const char *dir, struct err *err)
{
    if (!sizes_load(c, r, err) || !words_load(c, r, err))
        return false;
    flag_list(c, &c->exclude, "Exclude", "--exclude", &r->exclude);
    flag_list(c, &c->mounts, "Mounts", "--mounts", &r->mounts);
    flag_list(c, &c->shares, "Shares", "--share", &r->shares);
    flag_list(c, &c->ports, "RunConfig.Ports", "--port", &r->ports);
    flag_list(c, &c->udp_ports, "RunConfig.UDPPorts", "--udp", &r->udp_ports);
    for (size_t i = 0; i < r->env_files.count; i++)
        if (!envfile_load(c, r->env_files.items[i], dir, err))
            return false;
    for (size_t i = 0; i < r->env.count; i++)
        if (!envfile_set(c, r->env.items[i], "-e", err))
            return false;
    for (size_t i = 0; i < r->secrets.count; i++)
        if (!envfile_secret(c, r->secrets.items[i], dir, err))
            return false;
    cards_load(c, r);
    operands_load(c, r);
    return !r->package || package_arguments(c, r->package, err);
}

int settings_signal(const char *text)
{
    char *end;
    long number = strtol(text, &end, 10);
    if (end > text && !*end)
        return number > 0 && number < NSIG ? (int)number : 0;
    if (strncmp(text, "SIG", 3) == 0)
        text += 3;
    for (int i = 1; i < NSIG; i++) {
        const char *name = sigabbrev_np(i);
        if (name && strcmp(name, text) == 0)
            return i;
    }
    return 0;
}

/* What no single layer could judge. */
static bool settings_check(const struct config *c, struct err *err)
{
    if (c->stop_signal && !settings_signal(c->stop_signal))
        return err_set(err, OPS_EXIT_USAGE, "write SIGQUIT, or 3", "%s: %s is no signal",
                       config_origin(c, "StopSignal"), c->stop_signal);
    if (c->cpus > SETTINGS_CPUS)
        return err_set(err, OPS_EXIT_USAGE, NULL, "%s: CPUs must be a number from 1 to %d",
                       config_origin(c, "RunConfig.CPUs"), SETTINGS_CPUS);
    if (c->timeout > SETTINGS_SECONDS)
        return err_set(err, OPS_EXIT_USAGE, NULL, "%s: Timeout must be seconds from 1 to %d",
                       config_origin(c, "RunConfig.Timeout"), SETTINGS_SECONDS);
    if (c->log_size < SETTINGS_LOG)
        return err_set(err, OPS_EXIT_USAGE, "write \"64K\" or more", "%s: LogSize is too small",
                       config_origin(c, "RunConfig.LogSize"));
    return true;
}

bool settings_load(struct request *r, const char *dir, struct err *err)
{
    struct config *c = &r->settings;
    char *here = dir ? alloc_string(dir) : path_absolute(".");
    bool ok = defaults_load(c, err) && (r->no_config || user_load(c, err)) && source_load(r, err) &&
              (r->no_config || project_load(c, r->config, dir, err)) &&
              environment_load(c, here, err) && flags_load(c, r, dir, err) &&
              settings_check(c, err);
    free(here);
    return ok;
}

void request_free(struct request *r)
{
    struct strlist *lists[] = {&r->args,   &r->env,      &r->env_files, &r->exclude,   &r->mounts,
                               &r->shares, &r->secrets,  &r->ports,     &r->udp_ports, &r->nets,
                               &r->ips,    &r->gateways, &r->dns};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        strlist_free(lists[i]);
    config_free(&r->settings);
    if (r->package)
        package_close(r->package);
    free(r->package);
    if (r->disk)
        disk_source_close(r->disk);
    free(r->disk);
}
