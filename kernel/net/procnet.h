/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/net and /sys/class/net. */
#pragma once

/* At boot. -ENOMEM. */
int procnet_init(void);
