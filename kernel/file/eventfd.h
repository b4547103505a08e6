/* SPDX-License-Identifier: Apache-2.0 */
/* eventfd(2): a counter that reads and writes of 8 bytes change. */
#pragma once

#include "file/file.h"

/* flags: O_NONBLOCK. */
int eventfd_create(uint64_t initial, bool semaphore, uint32_t flags, struct file **out);
