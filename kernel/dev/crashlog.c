/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The crash record: see crashlog.h. Main struct: state; the record is put together in one slot's
 * memory, so that a panic needs none.
 */
#include "dev/crashlog.h"

#include <errno.h>

#include "core/log.h"
#include "dev/blkdev.h"
#include "lib/crc.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "sched/clock.h"

#define TEXT_MAX (OPS_LOG_SLOT - sizeof(struct ops_log_head))
#define LOG_PART (TEXT_MAX / 3) /* kept free for the kernel's last lines */

static struct {
    struct blkdev *dev; /* referenced; NULL: there is no partition */
    char *slot;
    size_t length; /* of the text so far */
    uint64_t number;
    bool written;
} state;

static struct ops_log_head *head(void)
{
    return (struct ops_log_head *)state.slot;
}

static uint32_t record_crc(const struct ops_log_head *h)
{
    size_t from = offsetof(struct ops_log_head, length);
    return ~crc32c(UINT32_MAX, (const char *)h + from, sizeof *h - from + h->length);
}

static bool record_sound(const struct ops_log_head *h)
{
    return !memcmp(h->magic, OPS_LOG_MAGIC, sizeof h->magic) && h->length <= TEXT_MAX &&
           record_crc(h) == h->crc;
}

static int search(struct blkdev *dev, void *arg)
{
    (void)arg;
    if (!dev->parent || strcmp(dev->label, OPS_LOG_LABEL) || dev->read_only ||
        dev->sectors * 512 < OPS_LOG_BYTES || dev->block_size > OPS_LOG_SLOT)
        return 0;
    blkdev_get(dev);
    state.dev = dev;
    return 1;
}

void crashlog_init(void)
{
    if (!blkdev_for_each(search, NULL))
        return;
    state.slot = kmalloc(OPS_LOG_SLOT);
    int err = state.slot ? 0 : -ENOMEM;
    for (unsigned i = 0; i < OPS_LOG_SLOTS && !err; i++) {
        err = blkdev_read(state.dev, (uint64_t)i * OPS_LOG_SLOT, state.slot, OPS_LOG_SLOT);
        if (!err && record_sound(head()))
            state.number = MAX(state.number, head()->number);
    }
    if (!err)
        return;
    log_warn("%s: no record of a crash will be kept: error %d", state.dev->name, -err);
    kfree(state.slot);
    blkdev_put(state.dev);
    state.slot = NULL;
    state.dev = NULL;
}

void crashlog_text(const void *text, size_t n)
{
    if (!state.slot || state.written)
        return;
    size_t room = TEXT_MAX - LOG_PART - MIN(state.length, TEXT_MAX - LOG_PART);
    n = MIN(n, room);
    memcpy(state.slot + sizeof(struct ops_log_head) + state.length, text, n);
    state.length += n;
}

void crashlog_line(const char *kind, const char *text)
{
    crashlog_text(kind, strlen(kind));
    crashlog_text(" ", 1);
    crashlog_text(text, strlen(text));
    crashlog_text("\n", 1);
}

static void text_set(char *to, size_t size, const char *text)
{
    memset(to, 0, size);
    memcpy(to, text, strnlen(text, size - 1));
}

/* The record, ready to be written; false: there is none to write. */
static bool record_make(enum ops_log_kind kind, unsigned status, const char *reason)
{
    static const char title[] = "log:\n";
    if (!state.dev || state.written)
        return false;
    struct ops_log_head *h = head();
    char *text = state.slot + sizeof *h;
    memcpy(text + state.length, title, sizeof title - 1);
    state.length += sizeof title - 1;
    state.written = true;
    state.length += log_copy_unlocked(text + state.length, TEXT_MAX - state.length);
    memset(text + state.length, 0, TEXT_MAX - state.length);
    memcpy(h->magic, OPS_LOG_MAGIC, sizeof h->magic);
    h->length = (uint32_t)state.length;
    h->number = state.number + 1;
    h->time = clock_wall_unlocked();
    h->kind = kind;
    h->status = status;
    text_set(h->version, sizeof h->version, OPS_VERSION);
    text_set(h->reason, sizeof h->reason, reason);
    h->crc = record_crc(h);
    return true;
}

static uint64_t record_place(void)
{
    return head()->number % OPS_LOG_SLOTS * OPS_LOG_SLOT;
}

void crashlog_write(enum ops_log_kind kind, unsigned status, const char *reason)
{
    if (!record_make(kind, status, reason))
        return;
    int err = blkdev_write(state.dev, record_place(), state.slot, OPS_LOG_SLOT);
    if (!err)
        err = blkdev_flush(state.dev);
    if (err)
        log_warn("%s: the record of the end is not written: error %d", state.dev->name, -err);
}

void crashlog_panic(const char *reason)
{
    if (record_make(OPS_LOG_PANIC, 0, reason))
        blkdev_write_emergency(state.dev, record_place(), state.slot, OPS_LOG_SLOT);
}
