/* SPDX-License-Identifier: Apache-2.0 */
/* Holes of files: parts that were never written, which read as zeros and need not be read. */
#pragma once

#include <sys/types.h>

/* The first place from `at` on, at most `end`, that may hold anything but zeros. A filesystem that
 * does not know its holes has none. */
off_t hole_skip(int fd, off_t at, off_t end);
