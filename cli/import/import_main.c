/* SPDX-License-Identifier: Apache-2.0 */
/* ops-import's commands and options, and the one place where it prints errors: see import.h. */
#include "import/import.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "hostpath.h"
#include "import/jail.h"
#include "options.h"
#include "ops/exit.h"

#define AT(field) offsetof(struct import_options, field)

static const struct option rows[] = {
    {"max-bytes", 0, OPTION_TEXT, AT(max_bytes), "BYTES", "what archives may unpack to", NULL},
    {"max-entries", 0, OPTION_TEXT, AT(max_entries), "N", "how many files may be in them", NULL},
    {"max-ratio", 0, OPTION_TEXT, AT(max_ratio), "N",
     "how many times its own size an archive may unpack to", NULL},
    {"entrypoint", 0, OPTION_TEXT, AT(entrypoint), "PROGRAM", "what an image starts", NULL},
    {"insecure", 0, OPTION_FLAG, AT(insecure), NULL, "a registry without encryption", NULL},
    {"limit", 0, OPTION_TEXT, AT(limit), "BYTES", "what may be fetched", NULL},
    {"platform", 0, OPTION_TEXT, AT(platform), "OS/CPU", "of an image (linux/amd64)", NULL},
    {"resume", 0, OPTION_FLAG, AT(resume), NULL, "go on where an earlier fetch broke off", NULL},
    {"sha256", 0, OPTION_TEXT, AT(sha256), "HEX", "what the fetched file must have", NULL},
    {"stall", 0, OPTION_TEXT, AT(stall), "SECONDS", "how long a server may be silent", NULL},
    {"status", 0, OPTION_TEXT, AT(status), "FD", "a descriptor for progress", NULL},
};
static const struct option_table options = {rows, sizeof rows / sizeof rows[0]};

static const struct {
    const char *name, *usage;
    bool (*run)(struct import *i, struct err *err);
} commands[] = {
    {"archive", "archive DIR FILE", import_archive}, {"deb", "deb DIR FILE...", import_deb},
    {"fetch", "fetch URL FILE", import_fetch},       {"oci", "oci DIR REFERENCE", import_oci},
    {"tar", "tar DIR FILE...", import_tar},
};
#define COMMANDS (sizeof commands / sizeof commands[0])

static void help(FILE *to)
{
    fprintf(to, "usage: ops-import [OPTION...] COMMAND ...\n\nFetches and unpacks for `ops`.\n\n");
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(to, "  ops-import %s\n", commands[i].usage);
    fprintf(to, "\noptions:\n");
    options_print(&options, to);
}

static bool number(const char *option, const char *text, uint64_t *value, struct err *err)
{
    char *end;
    if (!text)
        return true;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno || n == 0 || n > INT64_MAX)
        return err_set(err, OPS_EXIT_USAGE, NULL, "--%s needs a number, not %s", option, text);
    *value = n;
    return true;
}

static bool numbers_read(struct import *i, struct err *err)
{
    const struct import_options *o = &i->options;
    uint64_t stall = 0, status = 0;
    i->budget =
        (struct budget){.bytes = BUDGET_BYTES, .entries = BUDGET_ENTRIES, .ratio = BUDGET_RATIO};
    bool ok = number("max-bytes", o->max_bytes, &i->budget.bytes, err) &&
              number("limit", o->limit, &i->budget.bytes, err) &&
              number("max-entries", o->max_entries, &i->budget.entries, err) &&
              number("max-ratio", o->max_ratio, &i->budget.ratio, err) &&
              number("stall", o->stall, &stall, err) && number("status", o->status, &status, err);
    i->stall = (unsigned)(stall < 86400 ? stall : 86400);
    i->status = status && status < INT_MAX ? (int)status : -1;
    return ok;
}

/* Options may stand anywhere; what is left is words, without the command's name. */
static bool words_read(struct import *i, char **argv, const char **command, struct strlist *words,
                       bool *asked, struct err *err)
{
    int next = 1;
    bool only_words = false;
    *command = NULL;
    while (argv[next] && !*asked) {
        char *word = argv[next];
        if (!only_words && strcmp(word, "--") == 0) {
            only_words = true;
            next++;
        } else if (!only_words && word[0] == '-' && word[1]) {
            if (!options_take(&options, &i->options, argv, &next, asked, err))
                return false;
        } else if (!*command) {
            *command = argv[next++];
        } else {
            strlist_add(words, argv[next++]);
        }
    }
    return true;
}

static bool dispatch(struct import *i, char **argv, struct err *err)
{
    const char *command;
    struct strlist words = {0};
    bool asked = false, ok = words_read(i, argv, &command, &words, &asked, err);
    size_t n = 0;
    while (n < COMMANDS && (!command || strcmp(commands[n].name, command) != 0))
        n++;
    if (ok && asked)
        help(stdout);
    else if (ok && n == COMMANDS)
        ok = err_set(err, OPS_EXIT_USAGE, "ops-import --help lists them", "no such command: %s",
                     command ? command : "none given");
    else if (ok && words.count < 2)
        ok = err_set(err, OPS_EXIT_USAGE, NULL, "usage: ops-import %s", commands[n].usage);
    else if (ok) {
        i->words = words.items;
        ok = numbers_read(i, err) && commands[n].run(i, err);
    }
    strlist_free(&words);
    return ok;
}

int main(int argc, char **argv)
{
    struct import i = {.dir_fd = -1};
    struct err err = {0};
    (void)argc;
    setlocale(LC_CTYPE, "C.UTF-8"); /* names in pax headers are UTF-8, and stay so */
    umask(022);
    bool ok = sodium_init() >= 0 || err_set(&err, OPS_EXIT_FAILED, NULL, "libsodium cannot start");
    ok = ok && dispatch(&i, argv, &err);
    if (ok && (fflush(stdout) != 0 || ferror(stdout)))
        ok = err_errno(&err, "write", "standard output");
    if (!ok) {
        fprintf(stderr, "ops: %s\n", err.message);
        if (err.hint)
            fprintf(stderr, "hint: %s\n", err.hint);
    }
    int status = ok ? OPS_EXIT_OK : err.exit;
    if (i.dir_fd >= 0)
        close(i.dir_fd);
    err_free(&err);
    return status;
}
