/* SPDX-License-Identifier: Apache-2.0 */
/* What an image will hold and how its program starts: see plan.h. */
#include "plan.h"

#include <ctype.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "hostpath.h"
#include "ops/exit.h"
#include "package_code.h"
#include "runtimes.h"
#include "script.h"
#include "sysfiles.h"

#define PLAN_MEMORY ((uint64_t)256 << 20) /* of a machine, where nothing needs more */

static bool env_names(const char *entry, const char *name, size_t n)
{
    return strncmp(entry, name, n) == 0 && entry[n] == '=';
}

static const char *env_get(const struct strlist *env, const char *name)
{
    for (size_t i = 0; i < env->count; i++)
        if (env_names(env->items[i], name, strlen(name)))
            return env->items[i] + strlen(name) + 1;
    return NULL;
}

/* What this terminal is, unless the settings say something else. */
static void env_here(struct strlist *env, const char *name)
{
    const char *value = getenv(name);
    if (value && *value && !env_get(env, name))
        strlist_addf(env, "%s=%s", name, value);
}

/* The settings' variables; this terminal's are not for portable images. */
static void env_make(struct plan *p, bool portable)
{
    struct strlist *env = &p->manifest.env;
    const char *lang = getenv("LANG");
    strlist_add_all(env, &p->config->env);
    if (portable)
        return;
    env_here(env, "TERM");
    if (lang && strncmp(lang, "C", 1) == 0) /* other locales need files */
        env_here(env, "LANG");
}

static bool package_choose(struct plan *p)
{
    strlist_add_all(&p->manifest.arg, &p->package->args);
    p->program = alloc_string(p->package->program);
    p->deps.root = &p->package->root;
    p->deps.partial = true;
    return true;
}

static bool disk_choose(struct plan *p)
{
    strlist_add_all(&p->manifest.arg, &p->disk->args);
    strlist_add_all(&p->manifest.arg, &p->config->args);
    p->program = alloc_string(p->disk->program);
    p->guest_program = alloc_string(p->program);
    p->manifest.program = p->guest_program;
    return true;
}

static bool program_choose(struct plan *p, struct err *err)
{
    if (p->package)
        return package_choose(p);
    if (p->disk)
        return disk_choose(p);

    struct strlist *argv = &p->manifest.arg;
    const char *given = p->config->program;
    if (!given)
        return err_set(err, OPS_EXIT_USAGE, "write `ops run PROGRAM [ARGUMENT...]`",
                       "no program is given");
    strlist_add(argv, given);
    strlist_add_all(argv, &p->config->args);
    p->program = path_absolute(given);
    if (access(p->program, F_OK) == 0)
        return true;
    err_errno(err, "open", given);
    char *found = strchr(given, '/') ? NULL : script_find(NULL, given);
    if (found)
        err_hint(err, "did you mean %s?", found);
    free(found);
    return false;
}

/* The script that containers start with sets things up and runs other programs. */
static bool entry_check(const struct plan *p, const struct strlist *scripts, struct err *err)
{
    static const char *const shells[] = {"sh", "bash", "dash", "ash", "busybox"};
    for (size_t i = 0; scripts->count && i < sizeof shells / sizeof shells[0]; i++)
        if (strcmp(path_basename(p->program), shells[i]) == 0)
            return err_set(err, OPS_EXIT_FAILED,
                           "--entrypoint /path/of/the/program starts the program itself",
                           "%s starts with the shell script %s, and a unikernel runs one program",
                           p->package->label, scripts->items[0]);
    return true;
}

static bool program_add(struct plan *p, struct err *err)
{
    struct strlist scripts = {0};
    bool ok = script_resolve(p->deps.root, &p->program, &p->manifest.arg, &scripts, err) &&
              (!p->package || entry_check(p, &scripts, err));
    for (size_t i = 0; ok && !p->package && i < scripts.count; i++)
        ok = tree_mirror(&p->tree, scripts.items[i], "the script", err);
    strlist_free(&scripts);
    p->guest_program = p->package ? alloc_string(p->program) : tree_guest_path(p->program);
    p->manifest.program = p->guest_program;
    ok =
        ok && deps_program(&p->deps, p->program, env_get(&p->manifest.env, "LD_LIBRARY_PATH"), err);
    if (p->package)
        return ok;
    if (ok && access(p->program, X_OK) < 0)
        ok = err_set(err, OPS_EXIT_FAILED, "chmod +x makes it a program",
                     "%s is not marked executable", p->program);
    return ok && tree_mirror(&p->tree, p->program, "the program", err);
}

/* Host path to guest path, with what is below a directory. */
static bool path_add(struct plan *p, const char *host, const char *guest, const char *why,
                     struct err *err)
{
    char *real = realpath(host, NULL);
    if (!real)
        return err_errno(err, "open", host);
    bool ok = tree_add_all(&p->tree, guest, real, why, runtimes_seen, &p->deps, err);
    free(real);
    return ok;
}

static bool pairs_add(struct plan *p, const struct strlist *pairs, const char *why, struct err *err)
{
    bool ok = true;
    for (size_t i = 0; ok && i + 1 < pairs->count; i += 2)
        ok = path_add(p, pairs->items[i], pairs->items[i + 1], why, err);
    return ok;
}

/* MapDirs: a directory's content, or all that a pattern matches, into a guest directory. */
static bool map_add(struct plan *p, const char *pattern, const char *guest, struct err *err)
{
    glob_t found;
    bool wild = strpbrk(pattern, "*?[") != NULL && access(pattern, F_OK) < 0;
    if (!wild)
        return path_add(p, pattern, guest, "MapDirs", err);
    if (glob(pattern, 0, NULL, &found) != 0)
        return err_set(err, OPS_EXIT_FAILED, "check the pattern and the directory it starts from",
                       "nothing matches %s of MapDirs", pattern);
    bool ok = tree_add_dir(&p->tree, guest, 0755, "MapDirs", err);
    for (size_t i = 0; ok && i < found.gl_pathc; i++) {
        char *to = path_join(guest, path_basename(found.gl_pathv[i]));
        ok = tree_add_all(&p->tree, to, found.gl_pathv[i], "MapDirs", runtimes_seen, &p->deps, err);
        free(to);
    }
    globfree(&found);
    return ok;
}

/* Code of the user for a package that runs such. */
static bool code_add(struct plan *p, struct err *err)
{
    bool taken;
    if (!package_code(&p->tree, p->config->code_dir, &p->manifest.arg, p->package->own, &taken,
                      err))
        return false;
    if (taken && strcmp(config_origin(p->config, "Cwd"), "default") == 0)
        p->manifest.cwd = p->config->code_dir;
    return true;
}

static bool files_add(struct plan *p, const struct request *r, struct err *err)
{
    const struct strlist none = {0}; /* --dns goes to the kernel, which tells them */
    const struct sysfiles s = {.hostname = p->manifest.hostname,
                               .name_servers = r->dns.count ? &none : &p->config->name_servers,
                               .uid = p->config->uid,
                               .gid = p->config->gid,
                               .modest = p->package != NULL};
    if (!sysfiles_add_dirs(&p->tree, err) || !program_add(p, err))
        return false;
    if (p->package && !rootdir_add(&p->package->root, &p->tree, p->package->label, err))
        return false;
    if (p->package && !tree_find(&p->tree, p->config->cwd) &&
        !tree_add_dir(&p->tree, p->config->cwd, 0755, "the program starts there", err))
        return false;
    if (p->package && p->config->code_dir && !code_add(p, err))
        return false;
    p->tree.exclude = &p->config->exclude;
    if (!p->config->no_system_files &&
        (!sysfiles_add(&p->tree, &p->deps, &s, err) ||
         (!p->package && !runtimes_add(&p->tree, &p->deps, p->program, err))))
        return false;
    p->tree.exclude = NULL;
    bool ok = pairs_add(p, &p->config->files, "Files", err) &&
              pairs_add(p, &p->config->dirs, "Dirs", err);
    for (size_t i = 0; ok && i + 1 < p->config->map_dirs.count; i += 2)
        ok = map_add(p, p->config->map_dirs.items[i], p->config->map_dirs.items[i + 1], err);
    return ok && deps_finish(&p->deps, err);
}

/* A directory among the volumes means a share. */
static void mounts_sort(const struct strlist *words, struct strlist *volumes,
                        struct strlist *shares)
{
    for (size_t i = 0; i < words->count; i++)
        strlist_add(share_meant(words->items[i]) ? shares : volumes, words->items[i]);
}

static bool mounts_make(struct plan *p, bool portable, struct err *err)
{
    struct strlist volumes = {0}, shares = {0};
    mounts_sort(&p->config->mounts, &volumes, &shares);
    strlist_add_all(&shares, &p->config->shares);
    bool ok = mounts_parse(&p->mounts, &volumes, &p->tree, err) &&
              shares_parse(&p->shares, &shares, &p->mounts, &p->tree, err) &&
              (!portable || mounts_declare(&p->mounts, &p->manifest.mount, err));
    if (ok && portable && p->shares.count)
        ok = err_set(err, OPS_EXIT_USAGE, "MapDirs puts a copy into the image",
                     "a disk cannot share %s: that is here and not where it runs",
                     p->shares.items[0].host);
    shares_declare(&p->shares, &p->manifest.share);
    strlist_free(&volumes);
    strlist_free(&shares);
    return ok;
}

/* As sethostname(2) and RFC 1123 have it. */
static bool hostname_check(const char *name, struct err *err)
{
    size_t n = strlen(name);
    bool ok = n >= 1 && n <= 64 && name[0] != '-' && name[0] != '.' && name[n - 1] != '-';
    for (size_t i = 0; ok && i < n; i++)
        ok = isalnum((unsigned char)name[i]) || strchr(".-", name[i]);
    return ok || err_set(err, OPS_EXIT_USAGE, "1 to 64 letters, digits, '-' and '.'",
                         "'%s' cannot be a host name", name);
}

/* HOST, HOST:PORT, [ADDRESS]:PORT or the word dhcp. */
static bool ntp_server_check(const char *text, struct err *err)
{
    const char *end = *text == '[' ? strchr(text, ']') : NULL, *colon = strchr(text, ':');
    char *rest = NULL;
    if (end)
        colon = end[1] ? end + 1 : NULL;
    else if (colon && strchr(colon + 1, ':'))
        colon = NULL; /* an IPv6 address */
    unsigned long port =
        colon && isdigit((unsigned char)colon[1]) ? strtoul(colon + 1, &rest, 10) : 0;
    size_t name = colon ? (size_t)(colon - text) : strlen(text);
    bool sound = name && name <= 255 && (*text != '[' || end) && !strpbrk(text, " \t/");
    if (colon)
        sound = sound && *colon == ':' && rest && !*rest && port && port < 65536;
    return sound || err_set(err, OPS_EXIT_USAGE, "HOST, HOST:PORT or \"dhcp\"",
                            "'%s' of NtpServers cannot be a time server", text);
}

static bool ntp_make(struct manifest *m, const struct config *c, struct err *err)
{
    bool ok = true;
    for (size_t i = 0; ok && i < c->ntp_servers.count; i++)
        ok = ntp_server_check(c->ntp_servers.items[i], err);
    strlist_add_all(&m->ntp, &c->ntp_servers);
    m->ntp_poll_min = c->ntp_poll_min ? c->ntp_poll_min : m->ntp_poll_min;
    m->ntp_poll_max = c->ntp_poll_max ? c->ntp_poll_max : m->ntp_poll_max;
    m->ntp_step = c->ntp_reset ? c->ntp_reset * 1000 : m->ntp_step;
    if (ok && (m->ntp_poll_min < 4 || m->ntp_poll_max > 17 || m->ntp_poll_min > m->ntp_poll_max ||
               c->ntp_reset > INT32_MAX))
        ok = err_set(err, OPS_EXIT_USAGE, "4 <= NtpPollMin <= NtpPollMax <= 17",
                     "time servers cannot be asked every 2^%llu to 2^%llu s",
                     (unsigned long long)m->ntp_poll_min, (unsigned long long)m->ntp_poll_max);
    return ok;
}

/* Sources as include/ops/manifest.h lists them. */
static bool metadata_sources_check(const char *list, struct err *err)
{
    static const char *const known[] = {"auto",  "nocloud",   "configdrive",  "gcp",
                                        "ec2",   "openstack", "digitalocean", "hetzner",
                                        "vultr", "azure"};
    for (const char *word = list; word;) {
        size_t n = strcspn(word, ","), i = 0;
        while (i < sizeof known / sizeof known[0] &&
               (strncmp(known[i], word, n) != 0 || known[i][n]))
            i++;
        if (i == sizeof known / sizeof known[0])
            return err_set(
                err, OPS_EXIT_USAGE,
                "auto, nocloud, configdrive, gcp, ec2, openstack, digitalocean, hetzner, "
                "vultr, azure, with commas between",
                "'%.*s' of Metadata is no source", (int)n, word);
        word = word[n] ? word + n + 1 : NULL;
    }
    return true;
}

static bool metadata_make(struct manifest *m, const struct config *c, struct err *err)
{
    m->metadata = c->metadata ? c->metadata : m->metadata;
    m->user_data = c->user_data ? c->user_data : m->user_data;
    m->metadata_required = c->metadata_required;
    if (*m->metadata && !metadata_sources_check(m->metadata, err))
        return false;
    if (!*m->metadata && (*m->user_data || m->metadata_required))
        return err_set(err, OPS_EXIT_USAGE, "\"Metadata\": \"auto\" tries all there are",
                       "%s needs Metadata", *m->user_data ? "UserData" : "MetadataRequired");
    if (*m->user_data && strcmp(m->user_data, "env") != 0 &&
        (m->user_data[0] != '/' || m->user_data[strlen(m->user_data) - 1] == '/'))
        return err_set(err, OPS_EXIT_USAGE, "\"env\" or a path that starts with a slash",
                       "UserData cannot be '%s'", m->user_data);
    return true;
}

bool plan_make(struct plan *p, const struct request *r, bool portable, struct err *err)
{
    *p = (struct plan){0};
    p->deps.tree = &p->tree;
    manifest_init(&p->manifest);
    const struct config *c = p->config = &r->settings;
    p->package = r->package;
    p->disk = r->disk;
    struct manifest *m = &p->manifest;
    m->uid = c->uid;
    m->gid = c->gid;
    m->readonly_rootfs = c->readonly_rootfs;
    m->cwd = c->cwd;
    m->hostname = c->hostname;
    if (!hostname_check(m->hostname, err) || !ntp_make(m, c, err) || !metadata_make(m, c, err))
        return false;
    m->aslr = !c->no_aslr && !c->debug; /* gdb is told fixed addresses */
    m->core = r->core != NULL;
    m->trace = c->trace ? c->trace : m->trace;
    m->log = c->verbose ? "debug" : m->log;
    if (p->disk && portable)
        return err_set(err, OPS_EXIT_USAGE, "`qemu-img convert` changes its format",
                       "%s is a disk already", p->disk->path);
    env_make(p, portable);
    if (!program_choose(p, err) || (!p->disk && !files_add(p, r, err)) ||
        !mounts_make(p, portable, err))
        return false;
    p->program_bytes = deps_memory(&p->deps);
    return true;
}

uint64_t plan_memory(const struct plan *p)
{
    uint64_t need = (4 * p->program_bytes + (64 << 20) - 1) >> 26 << 26;
    uint64_t memory = need > PLAN_MEMORY ? need : PLAN_MEMORY;
    if (p->config->memory)
        memory = p->config->memory;
    return (memory + (1 << 20) - 1) >> 20 << 20;
}

void plan_print(const struct plan *p)
{
    static const char *const made[] = {
        [TREE_DIR] = "(directory)", [TREE_FILE] = "(made by ops)", [TREE_LINK] = "(link)"};
    struct tree_entry **all = tree_entries(&p->tree);
    for (size_t i = 0; all[i]; i++) {
        const struct tree_entry *e = all[i];
        if (e->implied)
            continue;
        printf("%s%s%s\t%s\t%s\n", e->path, e->kind == TREE_LINK ? " -> " : "",
               e->kind == TREE_LINK ? e->text : "", e->source ? e->source : made[e->kind], e->why);
    }
    free(all);
}

void plan_free(struct plan *p)
{
    mounts_free(&p->mounts);
    shares_free(&p->shares);
    tree_free(&p->tree);
    deps_free(&p->deps);
    manifest_free(&p->manifest);
    free(p->program);
    free(p->guest_program);
    *p = (struct plan){0};
}
