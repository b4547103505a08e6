/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The serial line: a 16550 at port 0x3f8. Output is polled and works in any
 * context, a panic included. Where no virtio-console brings the program's
 * streams, the line stands in for ops.stdin, ops.stdout and ops.stderr.
 */
#pragma once

#include "lib/types.h"

/* Finds and programs it (115200 8n1, FIFOs, no interrupts). False: there is none. */
bool serial_init(void);
/* Bytes as they are; nothing happens without a line. */
void serial_write(const void *buf, size_t n);
/* Registers the three streams; input comes by interrupt. 0, or -errno. */
int serial_register_streams(void);
