# SPDX-License-Identifier: Apache-2.0
# Unit tests of kernel/lib, core, mem and vm.
UNIT_metadata := kernel/net/http_reply.c kernel/proc/metadata_text.c
UNIT_string :=
UNIT_fmt :=
UNIT_rbtree := kernel/lib/rbtree.c tests/unit/fake_core.c
UNIT_page := kernel/mem/page.c tests/unit/fake_core.c
UNIT_kmalloc := kernel/mem/page.c kernel/mem/kmalloc.c tests/unit/fake_core.c
UNIT_manifest := kernel/core/manifest.c kernel/lib/crc.c
UNIT_vmmap := kernel/vm/map.c kernel/vm/vma.c kernel/vm/remap.c kernel/vm/range.c \
	kernel/lib/rbtree.c tests/unit/fake_core.c tests/unit/fake_mem.c tests/unit/fake_sched.c
UNIT_uio := kernel/vm/uio.c tests/unit/fake_uaccess.c
