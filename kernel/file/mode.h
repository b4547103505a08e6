/* SPDX-License-Identifier: Apache-2.0 */
/* S_IF* and S_IS*: from the UAPI, or from libc where a unit test has pulled that in. */
#pragma once

#include <stdint.h>

#ifdef __GLIBC__
#include <sys/stat.h>
#else
#include <linux/stat.h>
#endif
