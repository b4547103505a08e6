/* SPDX-License-Identifier: Apache-2.0 */
/* `ops profile`: what this host offers; asks no network. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "alloc.h"
#include "command.h"
#include "kvm.h"
#include "launch.h"
#include "ops/exit.h"
#include "qemu.h"

struct profile_request {
    bool json;
};

static const struct option profile_rows[] = {
    {.name = "json",
     .type = OPTION_FLAG,
     .offset = offsetof(struct profile_request, json),
     .help = "print one JSON object"},
};

static const struct option_table profile_options = {profile_rows, 1};

/* What is missing stays NULL. */
struct profile {
    char *kernel, *qemu, *qemu_version, *kvm_reason;
    bool kvm;
    long cpus;
    unsigned long long memory_mib;
    struct utsname host;
};

static void profile_take(struct profile *p)
{
    const struct request none = {0};
    struct err err = {0};
    p->kernel = launch_kernel(&none, &err);
    p->qemu = qemu_find(&err);
    p->qemu_version = p->qemu ? qemu_version(p->qemu) : NULL;
    p->kvm = kvm_probe(&p->kvm_reason);
    p->cpus = sysconf(_SC_NPROCESSORS_ONLN);
    p->memory_mib =
        (unsigned long long)sysconf(_SC_PHYS_PAGES) * (unsigned long long)sysconf(_SC_PAGESIZE) >>
        20;
    uname(&p->host);
    err_free(&err);
}

static void profile_json(const struct profile *p)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "ops", OPS_VERSION);
    cJSON_AddStringToObject(o, "kernel", p->kernel ? p->kernel : "");
    cJSON_AddStringToObject(o, "arch", p->host.machine);
    cJSON_AddStringToObject(o, "host", p->host.release);
    cJSON_AddNumberToObject(o, "cpus", (double)p->cpus);
    cJSON_AddNumberToObject(o, "memoryMiB", (double)p->memory_mib);
    cJSON_AddStringToObject(o, "qemu", p->qemu ? p->qemu : "");
    cJSON_AddStringToObject(o, "qemuVersion", p->qemu_version ? p->qemu_version : "");
    cJSON_AddBoolToObject(o, "kvm", p->kvm);
    cJSON_AddStringToObject(o, "kvmReason", p->kvm_reason);
    cJSON_AddStringToObject(o, "accel", p->kvm ? "kvm" : "tcg");
    char *text = cJSON_Print(o);
    if (text)
        puts(text);
    free(text);
    cJSON_Delete(o);
}

static void profile_print(const struct profile *p)
{
    printf("ops      %s\n", OPS_VERSION);
    printf("kernel   %s\n", p->kernel ? p->kernel : "not found; build or install it");
    printf("host     Linux %s, %s, %ld CPUs, %llu MiB\n", p->host.release, p->host.machine, p->cpus,
           p->memory_mib);
    printf("QEMU     %s (%s)\n", p->qemu_version ? p->qemu_version : "not found",
           p->qemu ? p->qemu : "apt install qemu-system-x86");
    printf("KVM      %s: %s\n", p->kvm ? "works" : "not usable", p->kvm_reason);
    printf("run uses %s\n", p->kvm ? "KVM" : "emulation (TCG)");
}

static bool run(const struct command *self, char **words, int *status, struct err *err)
{
    struct profile_request r = {0};
    struct profile p = {0};
    bool help;
    int next = 0;
    (void)status;
    if (!options_parse(self->options, &r, words, &next, &help, err))
        return false;
    if (help) {
        command_help(self);
        return true;
    }
    if (words[next])
        return err_set(err, OPS_EXIT_USAGE, NULL, "profile takes no argument");
    profile_take(&p);
    if (r.json)
        profile_json(&p);
    else
        profile_print(&p);
    free(p.kernel);
    free(p.qemu);
    free(p.qemu_version);
    free(p.kvm_reason);
    return true;
}

const struct command cmd_profile = {
    .name = "profile",
    .usage = "profile [--json]",
    .summary = "show what this host offers: QEMU, KVM, versions",
    .options = &profile_options,
    .run = run,
};
