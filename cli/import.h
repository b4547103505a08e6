/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ops-import (cli/import/): the one process that reads what comes from elsewhere, archives and
 * servers' answers. It may write into the directory it is given only.
 */
#pragma once

#include <stdbool.h>

#include "buf.h"
#include "err.h"
#include "hold.h"
#include "strlist.h"

/* Runs it with these words to its end. *said (NULL: not wanted) is what it printed, freed with
 * buf_free(). Errors: its own, as it says them. */
bool import_run(const struct strlist *words, struct hold *h, struct buf *said, struct err *err);
