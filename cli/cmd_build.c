/* SPDX-License-Identifier: Apache-2.0 */
/* `ops build`: the same image as `run`, as a disk that boots by itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "command.h"
#include "cmd_build.h"
#include "disk.h"
#include "disk_format.h"
#include "forward.h"
#include "hostpath.h"
#include "image_store.h"
#include "launch.h"
#include "ops/exit.h"
#include "outfile.h"
#include "settings.h"
#include "target.h"

#define OUTPUT_OPTION                                                                              \
    {                                                                                              \
        .name = "output", .letter = 'o', .type = OPTION_TEXT,                                      \
        .offset = offsetof(struct request, output), .argument = "FILE",                            \
        .help = "the disk to write"                                                                \
    }

#define FORMAT_OPTION                                                                              \
    {                                                                                              \
        .name = "format", .letter = 'f', .type = OPTION_TEXT,                                      \
        .offset = offsetof(struct request, format),                                                \
        .argument = "raw|qcow2|vmdk|vhd|vhdx|vdi|gcp|ova",                                         \
        .help = "what the disk is written as (default: the suffix of FILE says)"                   \
    }

#define TARGET_OPTION                                                                              \
    {                                                                                              \
        .name = "target", .type = OPTION_TEXT, .offset = offsetof(struct request, target),         \
        .argument = "NAME", .help = "where it shall run: gcp, libvirt, kubevirt, ..."              \
    }

#define BUILD_OPTIONS                                                                              \
    LAUNCH_OPTIONS,                                                                                \
        {.name = "read-only",                                                                      \
         .type = OPTION_FLAG,                                                                      \
         .offset = offsetof(struct request, read_only),                                            \
         .help = "the root filesystem cannot be written"},                                         \
        {.name = "trace",                                                                          \
         .type = OPTION_MAYBE,                                                                     \
         .offset = offsetof(struct request, trace),                                                \
         .argument = "CALLS",                                                                      \
         .bare = "all",                                                                            \
         .help = "let the kernel log system calls"},                                               \
    {                                                                                              \
        .name = "verbose", .letter = 'v', .type = OPTION_FLAG,                                     \
        .offset = offsetof(struct request, verbose), .help = "let the kernel log everything"       \
    }

static const struct option build_rows[] = {BUILD_OPTIONS, OUTPUT_OPTION, FORMAT_OPTION,
                                           TARGET_OPTION};

/* In the store of images instead of a file. */
static const struct option create_rows[] = {
    BUILD_OPTIONS,
    {.name = "name",
     .letter = 'n',
     .type = OPTION_TEXT,
     .offset = offsetof(struct request, name),
     .argument = "NEW",
     .help = "name of the image (default: the program's)"},
};

static const struct option output_rows[] = {OUTPUT_OPTION, FORMAT_OPTION, TARGET_OPTION};
static const struct option_table build_options = {build_rows,
                                                  sizeof build_rows / sizeof build_rows[0]};
const struct option_table image_create_options = {create_rows,
                                                  sizeof create_rows / sizeof create_rows[0]};
static const struct option_table output_options = {output_rows,
                                                   sizeof output_rows / sizeof output_rows[0]};

/* The base of a name, without a known suffix: "web" of out/web.qcow2. */
static char *output_name(const char *path)
{
    const char *base = path_basename(path);
    size_t n = strcspn(base, ".");
    return n ? alloc_bytes(base, n) : alloc_string(base);
}

/* What the machine of a disk should have; the name is freed with free(). */
static struct appliance appliance_of(const struct plan *p, const char *path)
{
    return (struct appliance){.name = output_name(path),
                              .memory = plan_memory(p),
                              .cpus = p->config->cpus ? p->config->cpus : 1,
                              .virtio = true};
}

/* The disk as it is first, then as it is wanted. */
static bool disk_convert(enum disk_format format, const struct outfile *out,
                         const struct disk_content *c, const struct plan *p, struct err *err)
{
    struct appliance a = appliance_of(p, out->path);
    int raw = outfile_scratch(out, err);
    bool ok =
        raw >= 0 && disk_write(raw, out->path, c, err) && format_write(format, raw, out, &a, err);
    if (raw >= 0)
        close(raw);
    free((char *)a.name);
    return ok;
}

/* What a user of the target needs beside the disk. */
static bool target_write(const struct target *t, const struct plan *p, const char *path,
                         struct err *err)
{
    struct appliance a = appliance_of(p, path);
    struct forwards f = {0};
    bool ok = forwards_parse(&f, &p->config->ports, false, err);
    unsigned *ports = alloc_array(NULL, f.count + 1, sizeof *ports);
    for (size_t i = 0; ok && i < f.count; i++)
        ports[i] = f.items[i].guest;
    ok = ok && target_files(t, path, &a, ports, f.count, err);
    forwards_free(&f);
    free(ports);
    free((char *)a.name);
    return ok;
}

static bool disk_build(enum disk_format format, const char *path, const struct disk_content *c,
                       const struct plan *p, struct err *err)
{
    struct outfile out;
    if (!format_ready(format, err))
        return false;
    bool ok = outfile_begin(&out, path, err);
    if (ok && format_flat(format))
        ok = disk_write(out.fd, path, c, err) && format_finish(format, out.fd, path, err);
    else if (ok)
        ok = disk_convert(format, &out, c, p, err);
    return outfile_end(&out, ok, err);
}

static bool plan_build(struct plan *p, const struct request *r, struct err *err)
{
    struct buf manifest = {0};
    struct disk_content c = {.root = &p->tree, .root_size = p->config->volume_size};
    enum disk_format format;
    if (!r->output)
        return err_set(err, OPS_EXIT_USAGE, "write `ops build PROGRAM -o FILE`",
                       "no output file is given");
    const struct target *target = r->target ? target_find(r->target, err) : NULL;
    if ((r->target && !target) || !format_choose(r->format, r->output, &format, err))
        return false;
    if (target && !r->format)
        format = target_format(target);
    char *kernel = launch_kernel(r, err);
    c.kernel = kernel;
    c.manifest = &manifest;
    c.align = format_align(format);
    bool ok = kernel && manifest_write(&p->manifest, &manifest, err) &&
              disk_build(format, r->output, &c, p, err) &&
              (!target || target_write(target, p, r->output, err));
    buf_free(&manifest);
    free(kernel);
    return ok;
}

/* `-o FILE` may also stand right behind the program. */
static bool operands_take(struct request *r, char **words, int next, struct err *err)
{
    int after = next + 1;
    bool help;
    r->operands = words + next;
    if (!words[next] || !words[after] ||
        (strncmp(words[after], "-o", 2) != 0 && strncmp(words[after], "--output", 8) != 0))
        return true;
    if (!options_take(&output_options, r, words, &after, &help, err))
        return false;
    words[after - 1] = words[next];
    r->operands = words + after - 1;
    return true;
}

static bool run(const struct command *self, char **words, int *status, struct err *err)
{
    struct request r = {0};
    struct plan p = {0};
    bool help, answered;
    int next = 0;
    (void)status;
    bool ok = options_parse(self->options, &r, words, &next, &help, err);
    if (ok && help) {
        command_help(self);
    } else if (ok) {
        ok = operands_take(&r, words, next, err) && settings_load(&r, NULL, err) &&
             plan_make(&p, &r, true, err) && launch_answer(&p, &r, &answered, err) &&
             (answered || plan_build(&p, &r, err));
        plan_free(&p);
    }
    request_free(&r);
    return ok;
}

static const struct command create_help = {
    .name = "create",
    .usage = "image create [OPTION...] PROGRAM [ARGUMENT...]",
    .summary = "write the disk of `ops build` into the store of images",
    .text = "Prints the name; an image of that name is replaced.\n",
    .options = &image_create_options,
};

/* `name` is the request's, or that of the program's file. */
static bool image_write(struct request *r, struct err *err)
{
    struct plan p = {0};
    bool answered = false;
    bool ok = plan_make(&p, r, true, err) && launch_answer(&p, r, &answered, err);
    char *path = NULL;
    if (ok && !answered) {
        const char *name = r->settings.name ? r->settings.name : path_basename(p.program);
        path = image_store_place(name, err);
        r->output = path;
        ok = path && plan_build(&p, r, err);
        if (ok)
            puts(name);
    }
    plan_free(&p);
    free(path);
    return ok;
}

bool image_create(char **words, struct err *err)
{
    struct request r = {0};
    bool help;
    int next = 0;
    bool ok = options_parse(&image_create_options, &r, words, &next, &help, err);
    r.operands = words + next;
    if (ok && help)
        command_help(&create_help);
    else if (ok)
        ok = settings_load(&r, NULL, err) && image_write(&r, err);
    request_free(&r);
    return ok;
}

const struct command cmd_build = {
    .name = "build",
    .usage = "build [OPTION...] PROGRAM -o FILE [ARGUMENT...]",
    .summary = "write a bootable disk that runs the program",
    .text = "The disk has a GPT, GRUB for BIOS and UEFI machines and an ext4 root filesystem. "
            "--format,\n"
            "or else the suffix of FILE (.qcow2, .vmdk, .vhd, .vhdx, .vdi, .tar.gz for gcp, .ova), "
            "says\n"
            "what it is written as; else it is raw. Equal inputs give equal bytes in every format. "
            "The\n"
            "program's streams are the serial line.\n",
    .options = &build_options,
    .run = run,
};
