/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The identifiers inside disk formats, made to follow from the disk's own: qemu-img draws
 * them at random. Offsets: Microsoft's VHD 1.0 and [MS-VHDX], VMware's Virtual Disk Format
 * 5.0, VirtualBox' VDICore.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

/* An identifier that follows from the disk's and the word `use`, formed as a version 4 GUID. */
void stamp_id(const uint8_t disk_id[16], const char *use, uint8_t id[16]);

/* Each for a finished file `fd`, called `shown` in messages. */
bool stamp_vdi(int fd, const char *shown, const uint8_t disk_id[16], struct err *err);
bool stamp_vhdx(int fd, const char *shown, const uint8_t disk_id[16], struct err *err);

/* `name`: what the descriptor calls the file. */
bool stamp_vmdk(int fd, const char *shown, const char *name, const uint8_t disk_id[16],
                struct err *err);

/* The footer of a fixed VHD behind `size` bytes of raw disk. */
void stamp_vhd(uint8_t footer[512], uint64_t size, const uint8_t disk_id[16]);
