/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel that was taken over says anything on the control channel: lines of every kind, in any
 * order and in pieces. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bootchart.h"
#include "control_lines.h"
#include "tree.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    stderr = fopen("/dev/null", "we"); /* what is told to people; the fuzzer has its own */
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    struct forwards forwards = {0};
    struct strlist ports = {0};
    struct tree tree = {0};
    strlist_add(&ports, "8080:80");
    if (!size || !forwards_parse(&forwards, &ports, false, &err) ||
        !tree_add_text(&tree, "/made", 0644, "x", "a test", &err))
        goto out;
    struct control c = {.verbose = data[0] & 1,
                        .trace = data[0] & 2,
                        .announce = true,
                        .forwards = &forwards,
                        .crash.tree = data[0] & 4 ? &tree : NULL};
    size_t piece = 1 + data[0] % 37;
    chart_begin();
    if (!(data[0] & 8) || chart_open("/dev/null", "fuzz", &err)) {
        for (size_t at = 1; at < size; at += piece)
            control_feed(&c, (const char *)data + at, size - at < piece ? size - at : piece);
        if (!control_verdict(&c, 15, &err) && !err.message)
            abort();
    }
    if (c.line.size > 4200 || c.unsupported.count > 64 || c.crash.text.size > 80000)
        abort(); /* what is kept has bounds */
    control_free(&c);
    struct err drawn = {0};
    chart_close(&drawn);
    err_free(&drawn);
out:
    err_free(&err);
    forwards_free(&forwards);
    strlist_free(&ports);
    tree_free(&tree);
    return 0;
}
