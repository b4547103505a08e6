/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IDE controllers at the ports that they have always had (ATA/ATAPI-7, PCI IDE in
 * compatibility mode): where hypervisors attach disks and CDs if nobody asks for
 * something better. Data goes through the processor (PIO).
 */
#pragma once

#include "dev/pci.h"

/* Looks for disks at both channels of the controller. Sleeps. */
void ide_probe(const struct pci_device *pci);
