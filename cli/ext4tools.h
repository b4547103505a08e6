/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left to the programs of e2fsprogs: replaying a journal and judging a
 * filesystem (e2fsck), changing its size (resize2fs). All take a filesystem that
 * ext4file_locate() found and that nobody has attached.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "ext4file.h"

/* Replays the journal. */
bool ext4tools_replay(const struct ext4file *f, struct err *err);

/* Judges the filesystem, or repairs it. *found: it has errors (or had, when repaired); `said`:
 * e2fsck's own words. Errors: e2fsck is missing, cannot read the file, cannot repair. */
bool ext4tools_check(const struct ext4file *f, bool repair, bool *found, struct buf *said,
                     struct err *err);

/* Grows the filesystem to `bytes`; the file is that large already. */
bool ext4tools_grow(const struct ext4file *f, uint64_t bytes, struct err *err);
