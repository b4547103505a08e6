/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes as people write them: 64M, 1G, 512k. Suffixes are binary; none is MiB. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Bytes of `text`; false when it is not a size, is zero or does not fit 2^62. */
bool size_parse(const char *text, uint64_t *bytes);
