/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `ops run`: settle what the image holds, take it from the cache or build it,
 * start the machine and relay its streams. The program's exit status is ours. With
 * --detach all that is done by an instance's supervisor.
 */
#include "cmd_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "alloc.h"
#include "bootchart.h"
#include "cache.h"
#include "child.h"
#include "debug.h"
#include "explain.h"
#include "handover.h"
#include "hostpath.h"
#include "kvm.h"
#include "instance_store.h"
#include "launch.h"
#include "ops/exit.h"
#include "qemu.h"
#include "settings.h"
#include "supervisor.h"
#include "terminal.h"
#include "watch.h"

#define LEAST_MEMORY  (UINT64_C(2) << 20) /* the kernel, its tables and a small program */
#define Q35_VOLUMES   8 /* and shares: more slots a small PCI bus should not be asked for */
#define MICROVM_SLOTS 5 /* for what is not always there */

static bool accel_choose(struct machine *m, const struct request *r, struct err *err)
{
    const struct config *c = &r->settings;
    bool forced = strcmp(c->accel, "kvm") == 0;
    char *reason = NULL;
    m->kvm = strcmp(c->accel, "tcg") != 0 && kvm_probe(&reason);
    bool ok = m->kvm || !forced;
    if (!ok)
        err_set(err, OPS_EXIT_FAILED, "--accel auto falls back to emulation",
                "KVM does not work here: %s", reason);
    else if (c->verbose)
        fprintf(stderr, "ops: %s: %s\n", m->kvm ? "KVM" : "emulation (TCG)",
                reason ? reason : "asked for with --accel");
    free(reason);
    return ok;
}

static bool size_choose(struct machine *m, const struct plan *p, struct err *err)
{
    m->memory = plan_memory(p);
    if (m->memory < LEAST_MEMORY)
        return err_set(err, OPS_EXIT_USAGE, "the least is 2M",
                       "%llu bytes are too little for a machine", (unsigned long long)m->memory);
    m->cpus = p->config->cpus ? (unsigned)p->config->cpus : 1;
    return true;
}

/* What only this run's machine is told; `shown`: for people, who see no secret. */
static void secrets_add(struct plan *p, bool shown)
{
    const struct strlist *all = &p->config->secrets;
    for (size_t i = 0; i < all->count; i++) {
        size_t n = strcspn(all->items[i], "=");
        char *entry = alloc_printf("%.*s=(secret)", (int)n, all->items[i]);
        config_set_env(&p->manifest.env, shown ? entry : all->items[i]);
        free(entry);
    }
}

static bool manifest_finish(struct plan *p, bool chart, struct buf *text, struct err *err)
{
    struct manifest *m = &p->manifest;
    unsigned rows, columns;
    m->phases = chart;
    m->stdin = terminal_kind(STDIN_FILENO);
    m->stdout = terminal_kind(STDOUT_FILENO);
    m->stderr = terminal_shared() ? "stdout" : terminal_kind(STDERR_FILENO);
    if (terminal_size(&rows, &columns)) {
        m->rows = rows;
        m->columns = columns;
    }
    return manifest_write(m, text, err);
}

/* In memory that QEMU opens by its number: nothing to remove later. */
static bool manifest_place(struct plan *p, bool chart, char **path, struct err *err)
{
    struct buf text = {0};
    secrets_add(p, false);
    if (!manifest_finish(p, chart, &text, err))
        return false;
    int fd = memfd_create("manifest", 0);
    bool ok = fd >= 0 && write(fd, text.data, text.size) == (ssize_t)text.size;
    if (ok)
        *path = alloc_printf("/proc/self/fd/%d", fd);
    else
        err_errno(err, "write", "the manifest");
    buf_free(&text);
    return ok;
}

static bool manifest_print(struct plan *p, struct err *err)
{
    struct buf text = {0};
    secrets_add(p, true);
    bool ok = manifest_finish(p, false, &text, err);
    if (ok)
        fwrite(text.data, 1, text.size, stdout);
    buf_free(&text);
    return ok;
}

static bool sockets_make(struct machine *m, int ours[STREAM_COUNT], struct err *err)
{
    for (int s = 0; s < STREAM_COUNT; s++) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
            return err_errno(err, "make", "a socket");
        ours[s] = pair[0];
        m->fds[s] = pair[1];
    }
    return true;
}

/* QEMU inherits our ends of the streams, the tap devices, files it may not open itself, and the
 * locks of the volumes, of addresses, of the name and of its user. */
static bool machine_start(const struct machine *m, const struct instance *instance,
                          struct child *child, const struct strlist *argv, struct err *err)
{
    size_t count = STREAM_COUNT + m->mounts->count;
    size_t more = NETWORK_KEEP + HANDOVER_MOST + m->handover.volume_count + 2;
    int *keep = alloc_array(NULL, count + more, sizeof *keep);
    memcpy(keep, m->fds, sizeof m->fds);
    for (size_t i = 0; i < m->mounts->count; i++)
        keep[STREAM_COUNT + i] = m->mounts->items[i].fd;
    count += network_keep(m->network, keep + count);
    count += handover_keep(&m->handover, keep + count);
    if (instance->lock >= 0)
        keep[count++] = instance->lock;
    if (m->confine.lock >= 0)
        keep[count++] = m->confine.lock;
    bool ok = child_start_as(child, argv, keep, count, confine_enter, &m->confine, err);
    free(keep);
    if (ok && instance->lock >= 0 && !instance_write_pid(instance, child->pid, err)) {
        kill(child->pid, SIGKILL);
        ok = false;
    }
    return ok;
}

/* A user of its own for QEMU, where it gets one, and then what that user may not open. */
static bool user_give(struct machine *m, struct err *err)
{
    return !m->confine.own_user || (confine_take(&m->confine, err) && handover_open(m, err));
}

static bool machine_run(struct machine *m, const struct instance *instance, const struct plan *p,
                        const struct request *r, struct relay_watch *watch, int *status,
                        struct err *err)
{
    struct relay_options o = {
        .verbose = r->settings.verbose,
        .trace = r->settings.trace != NULL,
        .limit = (unsigned)r->settings.timeout,
        .stop = r->settings.stop_signal ? settings_signal(r->settings.stop_signal) : 0,
        .forwards = &m->network->forwards,
        .watch = watch,
        .tree = &p->tree};
    struct strlist argv = {0};
    struct child child;
    int ours[STREAM_COUNT];
    if (!sockets_make(m, ours, err) || (!r->dry_run && !user_give(m, err)))
        return false;
    qemu_command(m, &argv);
    chart_step("manifest, files and sockets");
    char *line = qemu_shell_line(&argv);
    bool ok = true;
    if (r->settings.verbose && !r->dry_run)
        fprintf(stderr, "ops: %s\n", line);
    if (r->dry_run) {
        puts(line);
    } else {
        relay_block_signals();
        ok = network_start(m->network, err) && machine_start(m, instance, &child, &argv, err);
        for (int s = 0; s < STREAM_COUNT; s++)
            close(m->fds[s]);
        chart_machine();
        ok = ok && relay_run(&child, ours, &o, status, err);
    }
    free(line);
    strlist_free(&argv);
    return ok;
}

static bool image_take(struct plan *p, const struct request *r, struct cache_image *image,
                       struct err *err)
{
    if (p->disk) {
        image->path = alloc_string(p->disk->path);
        return true;
    }
    if (!cache_root_image(&p->tree, p->config->volume_size, image, err))
        return false;
    chart_step(image->built ? "building the image" : "image from the cache");
    for (size_t i = 0; r->settings.verbose && i < p->deps.missing.count; i++)
        fprintf(stderr, "ops: %s\n", p->deps.missing.items[i]);
    if (r->settings.verbose && image->note)
        fprintf(stderr, "ops: %s\n", image->note);
    if (r->settings.verbose)
        fprintf(stderr, "ops: image %s: %s\n", image->built ? "built" : "from the cache",
                image->path);
    return true;
}

static bool debug_prepare(struct debug *d, const struct plan *p, const char *kernel,
                          const struct request *r, struct machine *m, struct err *err)
{
    if (r->core && !debug_core_open(d, r->core, err))
        return false;
    if (p->config->debug && !debug_socket_make(d, err))
        return false;
    if (p->config->debug)
        debug_print(d, kernel, p->program, stderr);
    m->core = d->core;
    m->debug = d->directory;
    return true;
}

/* Is something to be printed instead of run? */
static bool answers_only(const struct request *r)
{
    return r->dry_run || r->list_files || r->print_manifest || r->explain;
}

static bool network_choose(struct network *n, struct plan *p, const struct request *r,
                           struct err *err)
{
    const struct config *c = p->config;
    struct strlist nets = {0}, options = {0};
    bool ok = config_card(c, &nets, &options, err);
    strlist_add_all(&nets, &c->nets); /* Nics are further ones */
    const struct network_wish wish = {
        .nets = &nets, .options = &options, .ports = &c->ports, .udp_ports = &c->udp_ports};
    ok = ok && network_parse(n, &wish, err) && (answers_only(r) || network_check(n, err));
    strlist_free(&options);
    strlist_free(&nets);
    return ok;
}

/* Its addresses, once the machine's name is settled (NULL: it has none). */
static bool network_take(struct machine *m, struct plan *p, const struct request *r,
                         const char *name, struct err *err)
{
    struct network *n = m->network;
    struct strlist names = {0};
    if (name)
        strlist_add(&names, name);
    if (strcmp(config_origin(p->config, "Hostname"), "default") != 0)
        strlist_add(&names, p->manifest.hostname);
    bool ok = network_open(n, &names, !answers_only(r), m->confine.own_user ? m->cpus : 0, err);
    if (ok)
        network_interfaces(n, &p->manifest.interface);
    strlist_free(&names);
    return ok;
}

/* microvm has 8 slots: the streams, the root, random numbers, each network card and the controller
 * of a machine with a name take one each; one that is left over is the balloon's. */
static bool slots_count(bool q35, const struct network *n, bool named, size_t *volumes,
                        struct err *err)
{
    size_t slots = MICROVM_SLOTS - named;
    *volumes = q35 ? Q35_VOLUMES : slots - (n->nic_count < slots ? n->nic_count : slots);
    return q35 || n->nic_count <= slots ||
           err_set(err, OPS_EXIT_USAGE, "--machine q35 has room for more",
                   "this machine has room for %zu network cards", slots);
}

/* Its directory is only made when the machine is really started. */
static bool name_choose(struct instance *i, const struct request *r, struct err *err)
{
    const char *name = r->settings.name;
    if (!name)
        return true;
    if (!instance_place(i, name, err) || !store_free(name, err))
        return false;
    return r->dry_run || instance_claim(i, err);
}

/* Volumes and shares take the machine's slots together; *left: not all of them. */
static bool mounts_take(struct plan *p, const struct request *r, size_t most, const char *qemu,
                        bool *left, struct err *err)
{
    size_t shares = p->shares.count;
    if (shares > most || (shares && shares + p->mounts.count > most))
        return err_set(err, OPS_EXIT_USAGE, "--machine q35 has room for more",
                       "this machine has room for %zu volumes and shares, not %zu", most,
                       shares + p->mounts.count);
    *left = most > shares + p->mounts.count;
    return mounts_attach(&p->mounts, &p->manifest.mount, most, err) &&
           (!shares || answers_only(r) || qemu_can_share(qemu, err));
}

/* What a machine is made of, as far as it has to be freed. */
struct parts {
    struct machine machine;
    struct network network;
    struct cache_image image;
    char *qemu, *kernel, *manifest;
};

static void user_choose(struct parts *s, const struct plan *p)
{
    const struct forwards *f = &s->network.forwards;
    struct confine_needs needs = {.qemu = s->qemu,
                                  .kvm = s->machine.kvm,
                                  .shares = p->shares.count > 0,
                                  .memory = s->machine.memory,
                                  .cpus = s->machine.cpus};
    for (size_t i = 0; i < f->count; i++)
        needs.low_ports |= !f->items[i].v6 && !confine_port_free(f->items[i].host);
    confine_choose(&s->machine.confine, &needs);
}

/* All that the manifest and QEMU's command line say, but for the image. */
static bool parts_settle(struct parts *s, struct plan *p, const struct request *r, bool named,
                         struct err *err)
{
    size_t most;
    bool q35 = s->machine.q35 = strcmp(p->config->machine, "q35") == 0;
    if (!size_choose(&s->machine, p, err) || !network_choose(&s->network, p, r, err))
        return false;
    if (!slots_count(q35, &s->network, named, &most, err))
        return false;
    if (r->print_manifest)
        return mounts_take(p, r, most, NULL, &s->machine.balloon, err);
    bool ok = (s->kernel = launch_kernel(r, err)) && (s->qemu = qemu_find(err)) &&
              accel_choose(&s->machine, r, err) &&
              mounts_take(p, r, most, s->qemu, &s->machine.balloon, err);
    if (ok)
        user_choose(s, p);
    return ok;
}

static bool parts_run(struct parts *s, struct plan *p, const struct request *r,
                      const struct instance *instance, struct relay_watch *watch, int *status,
                      struct err *err)
{
    struct debug debug = {0};
    struct machine *m = &s->machine;
    m->qemu = s->qemu;
    m->kernel = s->kernel;
    m->root = s->image.path;
    m->root_read_only = p->manifest.readonly_rootfs;
    m->manifest = s->manifest;
    m->mounts = &p->mounts;
    m->shares = &p->shares;
    m->instance = instance->dir;
    bool ok = debug_prepare(&debug, p, s->kernel, r, m, err) &&
              machine_run(m, instance, p, r, watch, status, err);
    debug_end(&debug, p->program, stderr);
    return ok;
}

static void parts_free(struct parts *s)
{
    handover_close(&s->machine.handover);
    confine_free(&s->machine.confine);
    network_free(&s->network);
    free(s->image.path);
    free(s->image.note);
    free(s->manifest);
    free(s->kernel);
    free(s->qemu);
}

static bool plan_run(struct plan *p, const struct request *r, const struct instance *claimed,
                     struct relay_watch *watch, int *status, struct err *err)
{
    struct parts s = {.machine = {.handover = HANDOVER_NONE, .confine = {.lock = -1}}};
    struct instance own = {.lock = -1};
    bool ok = parts_settle(&s, p, r, claimed || p->config->name, err);
    const char *name = claimed ? claimed->name : p->config->name;
    s.machine.qemu = s.qemu;
    s.machine.network = &s.network;
    chart_step("kernel, QEMU and accelerator");
    if (ok && r->print_manifest)
        ok = network_take(&s.machine, p, r, name, err) && manifest_print(p, err);
    else if (ok && r->explain)
        explain_print(&s.machine, p, &s.network);
    else if (ok)
        ok = image_take(p, r, &s.image, err) && (claimed || name_choose(&own, r, err)) &&
             network_take(&s.machine, p, r, name, err) &&
             manifest_place(p, r->chart != NULL, &s.manifest, err) &&
             parts_run(&s, p, r, claimed ? claimed : &own, watch, status, err);
    instance_free(&own);
    parts_free(&s);
    return ok;
}

bool run_machine(const struct request *r, const struct instance *claimed, struct relay_watch *watch,
                 int *status, struct err *err)
{
    struct plan p = {0};
    bool ok =
        (!r->chart || chart_open(r->chart, run_subject(r), err)) && plan_make(&p, r, false, err);
    chart_step("settings, libraries and files");
    if (ok && r->list_files)
        plan_print(&p);
    if (ok && (r->print_manifest || r->explain || !r->list_files))
        ok = plan_run(&p, r, claimed, watch, status, err);
    plan_free(&p);
    struct err ignored = {0};
    bool drawn = chart_close(ok ? err : &ignored);
    err_free(&ignored);
    return ok && drawn;
}

bool run_check(const struct request *r, struct err *err)
{
    struct plan p = {0};
    bool ok = plan_make(&p, r, false, err);
    plan_free(&p);
    return ok;
}

const char *run_subject(const struct request *r)
{
    return path_basename(r->settings.program ? r->settings.program : "");
}

bool run_request(struct request *r, char **words, const char *dir, bool *help, struct err *err)
{
    int next = 0;
    *r = (struct request){0};
    if (!options_parse(&run_options, r, words, &next, help, err))
        return false;
    r->operands = words + next;
    if (*help)
        return true;
    if (!settings_load(r, dir, err))
        return false;
    if (r->rm && r->restart && strcmp(r->restart, "no") != 0)
        return err_set(err, OPS_EXIT_USAGE, NULL, "--rm and --restart %s exclude each other",
                       r->restart);
    return true;
}

static bool request_run(const struct request *r, char **words, int *status, struct err *err)
{
    if (r->chart && (answers_only(r) || r->watch || r->detach))
        return err_set(err, OPS_EXIT_USAGE, NULL,
                       "--boot-chart is for a machine in the foreground that starts once");
    if (r->detach && r->settings.debug)
        return err_set(err, OPS_EXIT_USAGE, NULL, "--debug and --detach exclude each other");
    if (r->watch && (answers_only(r) || r->settings.debug || r->detach))
        return err_set(err, OPS_EXIT_USAGE, NULL, "--watch is for machines in the foreground");
    if (r->detach && !answers_only(r))
        return supervisor_detach(r, words, status, err);
    if (!r->detach && (r->rm || r->restart || r->log_size))
        return err_set(err, OPS_EXIT_USAGE, "add -d to leave it running",
                       "--%s is for machines that run detached",
                       r->rm        ? "rm"
                       : r->restart ? "restart"
                                    : "log-size");
    return r->watch ? watch_run(r, status, err) : run_machine(r, NULL, NULL, status, err);
}

static bool run(const struct command *self, char **words, int *status, struct err *err)
{
    struct request r;
    bool help;
    bool ok = run_request(&r, words, NULL, &help, err);
    if (ok && help)
        command_help(self);
    else if (ok)
        ok = request_run(&r, words, status, err);
    request_free(&r);
    return ok;
}

const struct command cmd_run = {
    .name = "run",
    .usage = "run [OPTION...] PROGRAM [ARGUMENT...]",
    .summary = "boot a Linux program as a unikernel",
    .text = "The program, its libraries and its files keep their paths. Options end at PROGRAM;\n"
            "what follows is the program's. Its exit status is passed on (128 + n after signal\n"
            "n; 125 when the machine failed). Ctrl-C reaches the program; a second one ends the\n"
            "machine.\n",
    .options = &run_options,
    .run = run,
};
