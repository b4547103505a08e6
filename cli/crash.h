/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The report of a program that a signal ended (`crash` and `frame` lines of
 * include/ops/control.h): collected while the machine ends, then printed with the
 * names of functions, which come from the files the image was made of.
 */
#pragma once

#include <stdio.h>

#include "buf.h"
#include "tree.h"

struct crash {
    const struct tree *tree; /* NULL: guest paths are host paths */
    struct buf text;
    unsigned frames;
};

void crash_add_line(struct crash *c, const char *line);
/* "HOW ADDRESS OFFSET PATH"; what cannot be read is passed on as it is. */
void crash_add_frame(struct crash *c, const char *line);
void crash_print(const struct crash *c, FILE *to);
void crash_free(struct crash *c);
