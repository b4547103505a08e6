/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel log: see log.h. Lock: log_lock for the ring; the sink runs outside it. */
#include "core/log.h"

#include <linux/errno.h>
#include <stdarg.h>

#include "core/spinlock.h"
#include "lib/fmt.h"
#include "lib/string.h"

#define RING_SIZE 8192

static char ring[RING_SIZE]; /* the last lines, for crash dumps: gdb and panic read it */
static size_t ring_head;
static struct spinlock log_lock;
static enum log_level log_min = LOG_WARN;
static log_sink_fn *log_sink;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static void ring_add(const char *line, size_t len)
{
    irqflags_t flags = spin_lock_irq(&log_lock);
    for (size_t i = 0; i <= len; i++)
        ring[ring_head++ % RING_SIZE] = i < len ? line[i] : '\n';
    spin_unlock_irq(&log_lock, flags);
}

void log_write(enum log_level level, const char *fmt, ...)
{
    char line[LOG_LINE];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    size_t len = MIN((size_t)n, sizeof line - 1);
    ring_add(line, len);
    log_sink_fn *sink = log_sink;
    if (sink && level >= log_min)
        sink(level, line, len);
}

size_t log_copy_unlocked(char *buf, size_t n)
{
    size_t have = MIN(ring_head, (size_t)RING_SIZE), from = ring_head - MIN(have, n), len = 0;
    /* What was there before a line's first byte is lost with the rest of the line. */
    while (from > 0 && from < ring_head && ring[(from - 1) % RING_SIZE] != '\n')
        from++;
    while (from < ring_head)
        buf[len++] = ring[from++ % RING_SIZE];
    return len;
}

size_t log_copy(char *buf, size_t n)
{
    irqflags_t flags = spin_lock_irq(&log_lock);
    size_t len = log_copy_unlocked(buf, n);
    spin_unlock_irq(&log_lock, flags);
    return len;
}

void log_set_level(enum log_level level)
{
    log_min = level;
}

int log_level_parse(const char *name, enum log_level *out)
{
    for (unsigned i = 0; i < ARRAY_SIZE(level_names); i++) {
        if (!strcmp(name, level_names[i])) {
            *out = (enum log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

void log_set_sink(log_sink_fn *sink)
{
    log_sink = sink;
}
