/* SPDX-License-Identifier: Apache-2.0 */
/* `ops build`: the same image as `run`, as a disk that boots by itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "command.h"
#include "cmd_build.h"
#include "disk_build.h"
#include "disk_format.h"
#include "forward.h"
#include "hostpath.h"
#include "image_boot.h"
#include "image_verify.h"
#include "image_store.h"
#include "launch.h"
#include "ops/exit.h"
#include "outfile.h"
#include "sbom.h"
#include "settings.h"
#include "target.h"

/* What is written, and where to: these may also stand right behind PROGRAM. */
#define OUTPUT_OPTIONS                                                                             \
    {.name = "output",                                                                             \
     .letter = 'o',                                                                                \
     .type = OPTION_TEXT,                                                                          \
     .offset = offsetof(struct request, output),                                                   \
     .argument = "FILE",                                                                           \
     .help = "the disk to write"},                                                                 \
        {.name = "format",                                                                         \
         .letter = 'f',                                                                            \
         .type = OPTION_TEXT,                                                                      \
         .offset = offsetof(struct request, format),                                               \
         .argument = "raw|qcow2|qcow2-compressed|vmdk|vhd|vhdx|vdi|gcp|ova|vmdk-flat|iso|"         \
                     "containerdisk|direct",                                                       \
         .help = "what it is written as (default: the suffix of FILE says)"},                      \
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

#define TRUST_OPTIONS                                                                              \
    {.name = "sbom",                                                                               \
     .type = OPTION_TEXT,                                                                          \
     .offset = offsetof(struct request, sbom),                                                     \
     .argument = "FILE",                                                                           \
     .help = "write what it is made of: SPDX 2.3, JSON"},                                          \
        {.name = "sign",                                                                           \
         .type = OPTION_TEXT,                                                                      \
         .offset = offsetof(struct request, sign),                                                 \
         .argument = "KEY",                                                                        \
         .help = "sign FILE with this secret key: FILE.minisig"},                                  \
        {.name = "efi-key",                                                                        \
         .type = OPTION_TEXT,                                                                      \
         .offset = offsetof(struct request, efi_key),                                              \
         .argument = "PEM",                                                                        \
         .help = "sign for Secure Boot, with --efi-cert"},                                         \
    {                                                                                              \
        .name = "efi-cert", .type = OPTION_TEXT,                                                   \
        .offset = offsetof(struct request, efi_certificate), .argument = "PEM",                    \
        .help = "the certificate that the firmware trusts"                                         \
    }

static const struct option build_rows[] = {BUILD_OPTIONS, OUTPUT_OPTIONS, TRUST_OPTIONS};

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

static const struct option output_rows[] = {OUTPUT_OPTIONS, TRUST_OPTIONS};
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

/* What a user of the target needs beside the disk. */
static bool target_write(const struct target *t, enum disk_format format, const struct plan *p,
                         const char *path, struct err *err)
{
    struct appliance a = appliance_of(p, path);
    struct forwards f = {0};
    bool ok = forwards_parse(&f, &p->config->ports, false, err);
    unsigned *ports = alloc_array(NULL, f.count + 1, sizeof *ports);
    for (size_t i = 0; ok && i < f.count; i++)
        ports[i] = f.items[i].guest;
    ok = ok && target_files(t, format, path, &a, ports, f.count, err);
    forwards_free(&f);
    free(ports);
    free((char *)a.name);
    return ok;
}

/* What the request makes of it: format and target. Errors: unknown, or not both at once. */
static bool shape_choose(const struct request *r, enum disk_format *format,
                         const struct target **target, struct err *err)
{
    *target = r->target ? target_find(r->target, err) : NULL;
    if ((r->target && !*target) || !format_choose(r->format, r->output, format, err))
        return false;
    if (*target && !r->format)
        *format = target_format(*target, r->output);
    if (*target && !target_takes(*target, *format, r->output, err))
        return false;
    if (r->sign && (*format == FORMAT_DIRECT || *format == FORMAT_VMDK_FLAT))
        return err_set(err, OPS_EXIT_USAGE, "write another format, or sign what you pack them into",
                       "%s is more than one file: --sign signs one", format_name(*format));
    if (r->sign && !image_sign_ready(r->sign, err))
        return false;
    if (!r->efi_key != !r->efi_certificate)
        return err_set(err, OPS_EXIT_USAGE, "a signature needs both",
                       "--efi-%s is given without --efi-%s", r->efi_key ? "key" : "cert",
                       r->efi_key ? "cert" : "key");
    return !r->efi_key || *format != FORMAT_DIRECT ||
           err_set(err, OPS_EXIT_USAGE, "write a disk", "--format direct has no program of UEFI");
}

static bool output_missing(const struct request *r, struct err *err)
{
    err_set(err, OPS_EXIT_USAGE, "write `ops build PROGRAM -o FILE`", "no output file is given");
    for (char **w = r->operands; w && *w; w++)
        if (w > r->operands && strncmp(*w, "-o", 2) == 0)
            err_hint(err,
                     "%s belongs to the program there: write it before the program's own "
                     "words, `ops build PROGRAM -o FILE ARGUMENT...`",
                     *w);
    return false;
}

/* The list of what the image is made of. */
static bool sbom_write(const struct plan *p, const char *name, const char *path, struct err *err)
{
    struct image_files files;
    struct buf text = {0};
    bool ok = image_files_of_tree(&files, &p->tree, err) &&
              sbom_make(&text, name, &files, p->package ? p->package->dir : NULL, false, err) &&
              outfile_text(path, text.data, err);
    image_files_free(&files);
    buf_free(&text);
    return ok;
}

static bool plan_build(struct plan *p, const struct request *r, struct err *err)
{
    struct buf manifest = {0}, sealed = {0};
    const struct target *target;
    enum disk_format format;
    if (!r->output)
        return output_missing(r, err);
    if (!shape_choose(r, &format, &target, err))
        return false;
    char *kernel = launch_kernel(r, err);
    struct disk_content c = {.root = &p->tree,
                             .root_size = p->config->volume_size,
                             .kernel = kernel,
                             .manifest = &sealed,
                             .efi_key = r->efi_key,
                             .efi_certificate = r->efi_certificate};
    struct appliance a = appliance_of(p, r->output);
    a.virtio = !target || target_virtio(target);
    bool ok = kernel && manifest_write(&p->manifest, &manifest, err);
    if (ok)
        image_boot_seal(&sealed, &manifest);
    ok = ok && disk_build(format, r->output, &c, &a, err) &&
         (!r->sbom || sbom_write(p, a.name, r->sbom, err)) &&
         (!r->sign || image_sign(r->output, format_name(format), r->sign, err)) &&
         (!target || target_write(target, format, p, r->output, err));
    buf_free(&manifest);
    buf_free(&sealed);
    free((char *)a.name);
    free(kernel);
    return ok;
}

/* Is the word one of the output's options that nobody has given yet? Not by a letter but for -o:
 * programs have options of their own. */
static bool output_word(const struct request *r, const char *word)
{
    if (!word || word[0] != '-')
        return false;
    if (word[1] != '-')
        return word[1] == 'o' && !r->output;
    size_t n = strcspn(word + 2, "=");
    for (size_t i = 0; i < output_options.count; i++) {
        const struct option *o = &output_options.rows[i];
        if (strlen(o->name) == n && strncmp(o->name, word + 2, n) == 0)
            return *(const char *const *)((const char *)r + o->offset) == NULL;
    }
    return false;
}

/* Options of the output may also stand right behind the program, up to `--` or another word,
 * unless `--` stands before the program. */
static bool operands_take(struct request *r, char **words, int next, struct err *err)
{
    int after = next + 1;
    bool help, ended = next > 0 && strcmp(words[next - 1], "--") == 0;
    r->operands = words + next;
    if (!words[next] || ended || !output_word(r, words[after]))
        return true;
    while (output_word(r, words[after]))
        if (!options_take(&output_options, r, words, &after, &help, err))
            return false;
    if (words[after] && strcmp(words[after], "--") == 0)
        after++;
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
    .text =
        "The disk has a GPT, GRUB for BIOS and UEFI machines and an ext4 root filesystem. "
        "--format,\n"
        "or else the suffix of FILE (.qcow2, .vmdk, .vhd, .vhdx, .vdi, .iso, .ova, .oci for\n"
        "containerdisk, .tar.gz for gcp), says what it is written as: one of these, vmdk-flat, or\n"
        "direct (a directory with kernel, manifest and root filesystem); else it is raw. Equal\n"
        "inputs give equal bytes in every format. The program's streams are the serial line.\n\n"
        "Options stand before PROGRAM, as for `ops run`; what follows PROGRAM is the program's.\n"
        "Only those of the output (-o, --output, --format, --target, --sign, --sbom, --efi-key,\n"
        "--efi-cert) that are not given before may also stand right behind it, up to the first\n"
        "other word or `--`; not if `--` stands before PROGRAM:\n"
        "  ops build ./app --format qcow2 -o app.qcow2 its own words\n"
        "  ops build ./app -o app.img -- --format its-own\n",
    .options = &build_options,
    .run = run,
};
