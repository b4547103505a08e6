# SPDX-License-Identifier: Apache-2.0
# The ext4 fuzzer: unchanged kernel sources over the fakes of the unit tests. Without
# checksums, so that damage gets past them.
FUZZ_EXT4_DIR := $(O)/tests/fuzz
FUZZ_EXT4_SRC := tests/fuzz/fuzz_ext4.c $(FS_ALL)
FUZZ_EXT4_CFLAGS := -std=gnu11 -O1 -g $(WARN) -D_GNU_SOURCE -DUNIT_TEST -fsanitize=fuzzer,address,undefined \
	-fno-sanitize-recover=undefined -Itests/unit/fake -Itests/unit -Ikernel -Iinclude \
	-DOPS_VERSION='"$(VERSION)"'

$(FUZZ_EXT4_DIR)/ext4.img:
	@mkdir -p $(@D)/tree/d
	$(call say,MKE2FS,$@)
	$(Q)printf hello > $(@D)/tree/f; seq 1 9000 > $(@D)/tree/d/n; ln -sf f $(@D)/tree/l; \
		ln -sf $$(printf 'x%.0s' $$(seq 1 100)) $(@D)/tree/s; \
		for i in $$(seq 1 90); do : > $(@D)/tree/d/a-name-of-some-length-$$i; done
	$(Q)rm -f $@; /sbin/mke2fs -q -F -t ext4 -b 1024 -I 256 -N 128 \
		-O ^metadata_csum,^uninit_bg,^resize_inode,^has_journal,inline_data -d $(@D)/tree $@ 2M > /dev/null 2>&1
	$(Q)/sbin/e2fsck -fyD $@ > /dev/null 2>&1; test $$? -le 1

$(FUZZ_EXT4_DIR)/ext4-image.o: $(FUZZ_EXT4_DIR)/ext4.img
	$(Q)printf '.section .rodata\n.globl fuzz_ext4_image, fuzz_ext4_image_end\nfuzz_ext4_image: .incbin "$<"\nfuzz_ext4_image_end:\n.section .note.GNU-stack,"",@progbits\n' \
		| $(CC) -x assembler -c -o $@ -

$(FUZZ_EXT4_DIR)/fuzz_ext4: $(FUZZ_EXT4_SRC) $(FUZZ_EXT4_DIR)/ext4-image.o
	$(call say,FUZZ,$@)
	$(Q)clang $(FUZZ_EXT4_CFLAGS) -o $@ $^
