/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of an instance: a record a line,
 *   2026-01-31T12:00:00.000001Z out TEXT
 * `out` or `err` says which stream; with a `+` behind it the program has not ended the
 * line yet, and the next record of that stream goes on with it. So nothing is held back
 * and every byte can be given back as it came. At its limit the log becomes log.1, in
 * place of the one before.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define LOG_FILE "log"
#define LOG_OLD  "log.1"
#define LOG_TIME 28 /* "2026-01-31T12:00:00.000001Z" and its NUL */

enum log_stream { LOG_OUT, LOG_ERR };

struct instance_log {
    int dir; /* borrowed */
    int fd;
    uint64_t size, limit;
    uint64_t lost; /* bytes that found no room on the disk */
};

struct log_view {
    bool follow, timestamps;
    uint64_t lines; /* of the end; UINT64_MAX: all */
};

/* The time now, in UTC. */
void log_time(char text[LOG_TIME]);

/* Goes on with the log in that directory. Errors: it cannot be opened. */
bool log_open(struct instance_log *l, int dir, uint64_t limit, struct err *err);

/* A full disk costs the lines, and the next one that fits is preceded by their number. */
void log_write(struct instance_log *l, enum log_stream stream, const char *bytes, size_t n);
void log_close(struct instance_log *l);

/* Prints it, each stream to ours. Follows until `ended` (a socket) can be read; -1: not at all. */
bool log_show(int dir, const struct log_view *v, int ended, struct err *err);
