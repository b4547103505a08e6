# SPDX-License-Identifier: Apache-2.0
# Unit tests of the file side.
FS_FAKES := tests/unit/fake_core.c tests/unit/fake_mem.c tests/unit/fake_sched.c \
	tests/unit/fake_uaccess.c kernel/vm/uio.c
FS_FILE := kernel/file/file.c kernel/file/wait.c kernel/file/fdtable.c kernel/file/epoll.c \
	kernel/file/pipe.c kernel/file/eventfd.c kernel/file/tty.c
FS_VFS := $(wildcard kernel/fs/*.c) $(wildcard kernel/fs/ext4/*.c) $(wildcard kernel/fs/p9/*.c) \
	kernel/dev/p9_channel.c kernel/lib/radix.c kernel/lib/crc.c
FS_ALL := $(FS_FAKES) $(FS_FILE) $(FS_VFS) tests/unit/fake_blkdev.c tests/unit/fake_stream.c

UNIT_radix := kernel/lib/radix.c kernel/lib/crc.c
UNIT_fdtable := $(FS_FAKES) $(FS_FILE) tests/unit/fake_stream.c
UNIT_pipe := $(UNIT_fdtable)
UNIT_tmpfs := $(FS_ALL)
UNIT_path := $(FS_ALL)
UNIT_ext4 := $(FS_ALL)
UNIT_p9 := $(FS_ALL) tests/unit/fake_p9.c
UNIT_ext4_write := $(FS_ALL) tests/unit/ext4_rig.c
UNIT_ext4_indirect := $(FS_ALL) tests/unit/ext4_rig.c
UNIT_ext4_trim := $(FS_ALL) tests/unit/ext4_rig.c
UNIT_ext4_crash := $(UNIT_ext4_write)
UNIT_ext4_model := $(UNIT_ext4_write)
