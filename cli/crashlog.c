/* SPDX-License-Identifier: Apache-2.0 */
/* Records of bad ends: see crashlog.h. The disk's bytes are believed as far as their sums hold. */
#include "crashlog.h"

#include <ext2fs/ext2fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "ext4file.h"
#include "ops/crashlog.h"
#include "ops/exit.h"

#define NSEC     1000000000ull
#define TEXT_MAX (OPS_LOG_SLOT - sizeof(struct ops_log_head))

static bool record_sound(const unsigned char *slot, struct ops_log_head *h)
{
    const size_t from = offsetof(struct ops_log_head, length);
    memcpy(h, slot, sizeof *h);
    return memcmp(h->magic, OPS_LOG_MAGIC, sizeof h->magic) == 0 && h->length <= TEXT_MAX &&
           ~ext2fs_crc32c_le(UINT32_MAX, slot + from, sizeof *h - from + h->length) == h->crc;
}

/* n bytes up to a NUL as text that a terminal takes; freed with free(). */
static char *plain(const void *bytes, size_t n)
{
    char *text = alloc_zero(n + 1);
    memcpy(text, bytes, n);
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
            *p = '?';
    return text;
}

static void string_add(cJSON *o, const char *name, const char *bytes, size_t n)
{
    char *text = plain(bytes, n);
    cJSON_AddStringToObject(o, name, text);
    free(text);
}

static void time_add(cJSON *o, uint64_t ns)
{
    char text[40] = "", whole[48];
    struct tm tm;
    time_t at = (time_t)(ns / NSEC);
    if (gmtime_r(&at, &tm))
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(whole, sizeof whole, "%s.%03dZ", text, (int)(ns % NSEC / 1000000));
    cJSON_AddStringToObject(o, "time", whole);
}

/* The lines of the text: those before "log:" and those behind it. */
static void lines_add(cJSON *o, const char *text, size_t n)
{
    cJSON *list = cJSON_AddArrayToObject(o, "details");
    cJSON *log = NULL;
    while (n) {
        const char *end = memchr(text, '\n', n);
        size_t len = end ? (size_t)(end - text) : n;
        if (!log && len == 4 && memcmp(text, "log:", 4) == 0) {
            log = cJSON_AddArrayToObject(o, "log");
        } else if (len) {
            char *line = plain(text, len);
            cJSON_AddItemToArray(log ? log : list, cJSON_CreateString(line));
            free(line);
        }
        text += end ? len + 1 : len;
        n -= end ? len + 1 : len;
    }
    if (!log)
        cJSON_AddArrayToObject(o, "log");
}

static cJSON *record_describe(const unsigned char *slot, const struct ops_log_head *h)
{
    static const char *const kinds[] = {
        [OPS_LOG_PANIC] = "panic", [OPS_LOG_SIGNAL] = "signal", [OPS_LOG_EXIT] = "exit"};
    cJSON *o = cJSON_CreateObject();
    bool known = h->kind >= OPS_LOG_PANIC && h->kind <= OPS_LOG_EXIT;
    cJSON_AddNumberToObject(o, "number", (double)h->number);
    time_add(o, h->time);
    cJSON_AddStringToObject(o, "kind", known ? kinds[h->kind] : "unknown");
    cJSON_AddNumberToObject(o, "status", h->status);
    string_add(o, "kernel", h->version, sizeof h->version);
    string_add(o, "reason", h->reason, sizeof h->reason);
    lines_add(o, (const char *)slot + sizeof *h, h->length);
    return o;
}

/* Adds the records of the slots in the order of their numbers. */
static void records_add(cJSON *list, const unsigned char *slots)
{
    struct ops_log_head h;
    uint64_t after = 0;
    for (;;) {
        const unsigned char *next = NULL;
        uint64_t least = UINT64_MAX;
        for (unsigned i = 0; i < OPS_LOG_SLOTS; i++) {
            const unsigned char *slot = slots + (size_t)i * OPS_LOG_SLOT;
            if (record_sound(slot, &h) && h.number > after && h.number < least) {
                least = h.number;
                next = slot;
            }
        }
        if (!next)
            return;
        record_sound(next, &h);
        cJSON_AddItemToArray(list, record_describe(next, &h));
        after = least;
    }
}

cJSON *crashlog_read(const char *file, struct err *err)
{
    struct ext4file f;
    cJSON *list = NULL;
    if (!ext4file_locate(&f, file, OPS_LOG_LABEL, EXT4FILE_READ, err))
        return NULL;
    unsigned char *slots = alloc_zero(OPS_LOG_BYTES);
    if (!f.disk || f.size < OPS_LOG_BYTES)
        err_set(err, OPS_EXIT_FAILED, "raw disks of `ops build` have one; qemu-img converts others",
                "%s has no partition for records", file);
    else if (pread(f.fd, slots, OPS_LOG_BYTES, (off_t)f.offset) != (ssize_t)OPS_LOG_BYTES)
        err_errno(err, "read", file);
    else
        records_add(list = cJSON_CreateArray(), slots);
    free(slots);
    ext4file_abandon(&f);
    return list;
}

static const char *text_of(const cJSON *o, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItem(o, name));
}

static void lines_print(const cJSON *list, const char *title)
{
    const cJSON *line;
    if (cJSON_GetArraySize(list))
        printf("  %s:\n", title);
    cJSON_ArrayForEach(line, list) printf("    %s\n", cJSON_GetStringValue(line));
}

void crashlog_print(const cJSON *records)
{
    const cJSON *o;
    cJSON_ArrayForEach(o, records)
    {
        printf("%.0f  %s  %s %.0f  kernel %s\n  %s\n",
               cJSON_GetObjectItem(o, "number")->valuedouble, text_of(o, "time"),
               text_of(o, "kind"), cJSON_GetObjectItem(o, "status")->valuedouble,
               text_of(o, "kernel"), text_of(o, "reason"));
        lines_print(cJSON_GetObjectItem(o, "details"), "details");
        lines_print(cJSON_GetObjectItem(o, "log"), "log");
    }
}
