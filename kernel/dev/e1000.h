/* SPDX-License-Identifier: Apache-2.0 */
/* Intel's gigabit network cards, as hypervisors without virtio emulate them. */
#pragma once

/*
 * Finds 82540EM (QEMU's e1000, VirtualBox), 82545EM (VMware's E1000) and 82574L (e1000e, VMware's
 * E1000e) on PCI and registers a netdev for each.
 */
void e1000_probe_all(void);
