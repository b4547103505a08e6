/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a machine leaves on its disk when it ends badly: records in the partition OPS_LOG_LABEL, of
 * OPS_LOG_SLOTS slots. The record number n (from 1) stands in slot n % OPS_LOG_SLOTS, over an older
 * one. A slot whose magic or checksum is wrong holds none; a fresh disk's are zero. Numbers are
 * little-endian.
 *
 * Behind the head stands text, lines ended by '\n': what is known of the end, as the lines `crash`
 * and `frame` of include/ops/control.h, or a panic's report; then `log:` and the kernel's last
 * lines. Bytes of it come from the program and may be anything.
 */
#pragma once

#include <stdint.h>

#define OPS_LOG_LABEL "ops-log"
#define OPS_LOG_SLOTS 8u
#define OPS_LOG_SLOT  8192u /* bytes */
#define OPS_LOG_BYTES (OPS_LOG_SLOTS * OPS_LOG_SLOT)
#define OPS_LOG_MAGIC "OPSCRASH"

enum ops_log_kind {
    OPS_LOG_PANIC = 1, /* of the kernel */
    OPS_LOG_SIGNAL,    /* one ended the program: `status` is its number */
    OPS_LOG_EXIT,      /* the program ended with a `status` that is not 0 */
};

struct ops_log_head {
    char magic[8];
    uint32_t crc;    /* CRC-32C (start and end inverted) of what follows, text included */
    uint32_t length; /* of the text */
    uint64_t number;
    uint64_t time; /* ns since 1970 */
    uint32_t kind;
    uint32_t status;
    char version[24]; /* the kernel's, NUL-padded */
    char reason[192]; /* NUL-padded */
};
