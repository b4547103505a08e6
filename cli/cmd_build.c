/* SPDX-License-Identifier: Apache-2.0 */
/* `ops build`: the same image as `run`, as a disk that boots by itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "disk.h"
#include "launch.h"
#include "ops/exit.h"
#include "settings.h"

#define OUTPUT_OPTION                                                                              \
    {                                                                                              \
        .name = "output", .letter = 'o', .type = OPTION_TEXT,                                      \
        .offset = offsetof(struct request, output), .argument = "FILE",                            \
        .help = "the disk to write"                                                                \
    }

static const struct option build_rows[] = {
    LAUNCH_OPTIONS,
    OUTPUT_OPTION,
    {.name = "read-only",
     .type = OPTION_FLAG,
     .offset = offsetof(struct request, read_only),
     .help = "the root filesystem cannot be written"},
    {.name = "trace",
     .type = OPTION_MAYBE,
     .offset = offsetof(struct request, trace),
     .argument = "CALLS",
     .bare = "all",
     .help = "let the kernel log system calls"},
    {.name = "verbose",
     .letter = 'v',
     .type = OPTION_FLAG,
     .offset = offsetof(struct request, verbose),
     .help = "let the kernel log everything"},
};

static const struct option output_row = OUTPUT_OPTION;
static const struct option_table build_options = {build_rows,
                                                  sizeof build_rows / sizeof build_rows[0]};
static const struct option_table output_options = {&output_row, 1};

static bool plan_build(struct plan *p, const struct request *r, struct err *err)
{
    struct buf manifest = {0};
    struct disk_content c = {.root = &p->tree, .root_size = p->config->volume_size};
    if (!r->output)
        return err_set(err, OPS_EXIT_USAGE, "write `ops build PROGRAM -o FILE`",
                       "no output file is given");
    char *kernel = launch_kernel(r, err);
    c.kernel = kernel;
    c.manifest = &manifest;
    bool ok =
        kernel && manifest_write(&p->manifest, &manifest, err) && disk_write(r->output, &c, err);
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

const struct command cmd_build = {
    .name = "build",
    .usage = "build [OPTION...] PROGRAM -o FILE [ARGUMENT...]",
    .summary = "write a bootable disk that runs the program",
    .text =
        "The disk is raw, with a GPT, GRUB for BIOS machines and an ext4 root filesystem. Equal\n"
        "inputs give equal bytes. The program's streams are the serial line.\n",
    .options = &build_options,
    .run = run,
};
