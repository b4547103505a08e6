/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A raw disk of `ops build`, or an image of the store, where a program could stand: its manifest
 * says what runs and how, its root is used as it is. The kernel is the tool's own.
 */
#pragma once

#include <stdbool.h>

#include "config.h"
#include "err.h"
#include "strlist.h"

struct disk_source {
    char *path;
    char *program;       /* in the guest */
    struct strlist args; /* argv[0] first, with what was given besides */
};

/* Is the word a file with a partition table, or else the name of an image? */
bool disk_source_is(const char *word);

/* Reads it, and its manifest into the settings. Freed with disk_source_close(), also after a
 * failure. Errors: it is cut short or damaged, in what GRUB and the kernel read first. */
bool disk_source_open(struct disk_source *d, const char *word, struct config *c, struct err *err);
void disk_source_close(struct disk_source *d);
