/* SPDX-License-Identifier: Apache-2.0 */
/* Intel's gigabit network cards, as hypervisors without virtio emulate them. */
#pragma once

#include "dev/pci.h"

/*
 * Registers a netdev for the function if it is a 82540EM (QEMU's e1000, VirtualBox), 82545EM
 * (VMware's E1000) or 82574L (e1000e, VMware's E1000e), else returns false.
 */
bool e1000_probe(const struct pci_device *pci);
