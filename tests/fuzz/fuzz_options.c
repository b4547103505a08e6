/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines of `ops run` from nowhere, a NUL behind each word, and what values of options are
 * read as. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "age.h"
#include "cidr.h"
#include "cmd_run.h"
#include "forward.h"
#include "ops/exit.h"
#include "size.h"

#define WORDS 64

static void error_check(bool ok, struct err *err)
{
    if (!ok && (!err->message || err->exit != OPS_EXIT_USAGE))
        abort(); /* a failure without a reason */
    if (ok && err->message)
        abort();
    err_free(err);
}

static void line_check(char **words, int count)
{
    struct request r = {0};
    struct err err = {0};
    bool help = false;
    int next = 0;
    bool ok = options_parse(&run_options, &r, words, &next, &help, &err);
    if (next < 0 || next > count)
        abort();
    error_check(ok, &err);
    for (size_t i = 0; i < run_options.count; i++)
        if (run_options.rows[i].type == OPTION_LIST)
            strlist_free((struct strlist *)((char *)&r + run_options.rows[i].offset));
}

static void value_check(const char *word)
{
    struct strlist ports = {0};
    struct forwards forwards = {0};
    struct err err = {0};
    struct cidr c, again;
    char text[CIDR_TEXT];
    uint64_t bytes;
    time_t then;
    if (size_parse(word, &bytes) && (bytes == 0 || bytes >> 62))
        abort();
    if (cidr_parse(&c, word)) {
        cidr_text(&c, text);
        if (!cidr_parse(&again, text) || !cidr_equal(&c, &again) || c.bits != again.bits)
            abort();
    }
    bool ok = age_before(word, 1800000000, &then, &err);
    if (ok && then >= 1800000000)
        abort();
    error_check(ok, &err);
    strlist_add(&ports, word);
    error_check(forwards_parse(&forwards, &ports, false, &err), &err);
    forwards_free(&forwards);
    strlist_free(&ports);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), *words[WORDS + 1];
    int count = 0;
    memcpy(text, data, size);
    text[size] = 0;
    for (size_t at = 0; at < size && count < WORDS; at += strlen(text + at) + 1)
        words[count++] = text + at;
    words[count] = NULL;
    line_check(words, count);
    for (int i = 0; i < count; i++)
        value_check(words[i]);
    free(text);
    return 0;
}
