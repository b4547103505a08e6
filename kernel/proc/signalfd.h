/* SPDX-License-Identifier: Apache-2.0 */
/* signalfd(2): pending signals of the reading thread as records of 128 bytes. */
#pragma once

#include "file/file.h"

/* flags: O_NONBLOCK. -ENOMEM. */
int signalfd_create(uint64_t mask, uint32_t flags, struct file **out);
/* A new mask; -EINVAL: no signalfd. */
int signalfd_set_mask(struct file *f, uint64_t mask);
