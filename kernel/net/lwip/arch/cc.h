/* SPDX-License-Identifier: Apache-2.0 */
/* What lwIP asks of compiler and platform. */
#pragma once

#include "core/log.h"
#include "core/panic.h"
#include "core/random.h"
#include "lib/string.h"
#include "lib/types.h"
#include "mem/kmalloc.h"

#define LWIP_NO_UNISTD_H 1
#define LWIP_NO_CTYPE_H  1
#define SSIZE_MAX        INT64_MAX
#ifndef BYTE_ORDER /* a C library's, in unit tests */
#define BYTE_ORDER LITTLE_ENDIAN
#endif

#define LWIP_PLATFORM_DIAG(x)         (void)0
#define LWIP_PLATFORM_ASSERT(message) panic("lwIP: %s", message)
#define LWIP_RAND()                   ((u32_t)random_u64())

void *net_calloc(size_t count, size_t size);
