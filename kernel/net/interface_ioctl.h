/* SPDX-License-Identifier: Apache-2.0 */
/* ioctl(2) requests about interfaces, on any socket: netdevice(7). */
#pragma once

#include "vm/uaccess.h"

/* -ENOTTY: none of these; -ENODEV, -ENXIO, -EADDRNOTAVAIL, -EPERM, -EFAULT. */
long interface_ioctl(unsigned cmd, struct uptr arg);
