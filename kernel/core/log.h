/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel log: a ring in memory, and one sink that a device registers. Safe
 * in any context; formatting is on the stack, at most LOG_LINE bytes a line.
 */
#pragma once

#include "lib/types.h"

#define LOG_LINE 256

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* One line, without its newline. */
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)  log_write(LOG_INFO, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)

/* Lines below `level` stay in the ring and do not reach the sink. */
void log_set_level(enum log_level level);
/* "debug" .. "error"; -EINVAL for another word. */
int log_level_parse(const char *name, enum log_level *out);
const char *log_level_name(enum log_level level);

/* Copies the last lines in the ring, whatever their level: their bytes. Not terminated. */
size_t log_copy(char *buf, size_t n);
/* The same when nobody else runs any more, whoever holds the lock. */
size_t log_copy_unlocked(char *buf, size_t n);

/* Replaces the sink; it gets each line as it is logged, in any context. */
typedef void log_sink_fn(enum log_level level, const char *line, size_t len);
void log_set_sink(log_sink_fn *sink);
