/* SPDX-License-Identifier: Apache-2.0 */
/* The interfaces and their addresses: from the manifest or by DHCP; lo is always there. */
#pragma once

#include "core/manifest.h"
#include "net/stack.h"

/* Before the stack starts; the list must stay. */
void interface_configure(const struct manifest_list *list);
/* Brings up every device. Under the stack lock, once. */
void interface_start(void);
/* Once a second. */
void interface_tick(void);

#define INTERFACE_NAME 16 /* IFNAMSIZ */
/* What programs call an interface: "lo", "eth0". */
void interface_name(unsigned index, char name[INTERFACE_NAME]); /* "" if there is none */
unsigned interface_index(const char *name);                     /* 0 if there is none */
