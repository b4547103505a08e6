# SPDX-License-Identifier: Apache-2.0
# Fuzzers: tests/fuzz/fuzz_<name>.c with the unchanged sources FUZZ_<name> lists, by
# clang's libFuzzer with ASan and UBSan. First inputs are in tests/fuzz/seeds/<name>, corpora and
# findings in $(O)/fuzz.
# `make check-fuzz` is bounded (FUZZ_SECONDS each); `make fuzz FUZZ_SECONDS=3600` is not CI's.
FUZZ_SECONDS ?= 6
FUZZ_TESTS := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_CFLAGS := -std=gnu11 -O1 -g $(WARN) -Wno-missing-prototypes -D_GNU_SOURCE -DUNIT_TEST \
	-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
	-DOPS_VERSION='"$(VERSION)"' -Iinclude

FUZZ_CLI := cli/alloc.c cli/buf.c cli/err.c cli/hostpath.c cli/strlist.c
FUZZ_elf := cli/elfinfo.c cli/ldpath.c $(FUZZ_CLI)
FUZZ_INC_elf := -Icli
FUZZ_LIBS_elf := -lelf
FUZZ_config := cli/config.c cli/config_keys.c cli/config_origin.c cli/config_canonical.c cli/config_card.c cli/interpolate.c cli/json.c cli/nearest.c cli/size.c $(FUZZ_CLI)
FUZZ_INC_config := -Icli
FUZZ_LIBS_config := -lcjson -lm
FUZZ_compose := cli/compose.c cli/instance.c cli/lan.c cli/cidr.c cli/json.c cli/nearest.c $(FUZZ_CLI)
FUZZ_INC_compose := -Icli
FUZZ_LIBS_compose := -lcjson -lyaml -lm
FUZZ_index := $(addprefix cli/,repo.c minisign.c import.c child.c digest.c hold.c json.c nearest.c toolfile.c) $(FUZZ_CLI)
FUZZ_INC_index := -Icli
FUZZ_LIBS_index := -lcjson -lsodium -lm
FUZZ_mtree := cli/mtree.c cli/mtree_read.c cli/digest.c $(FUZZ_CLI)
FUZZ_INC_mtree := -Icli
FUZZ_LIBS_mtree := -lsodium
FUZZ_UNPACK := $(addprefix cli/import/,deb.c layout.c place.c stream.c unpack.c) cli/digest.c \
	cli/mtree.c cli/mtree_read.c cli/mtree_verify.c
FUZZ_unpack := $(FUZZ_UNPACK) $(FUZZ_CLI)
FUZZ_INC_unpack := -Icli
FUZZ_LIBS_unpack := -larchive -lz -lsodium
FUZZ_oci := $(addprefix cli/import/,account.c fetch.c image_package.c oci_json.c reference.c rootpath.c token.c) cli/json.c \
	cli/digest.c cli/mtree.c cli/mtree_read.c $(FUZZ_CLI)
FUZZ_INC_oci := -Icli
FUZZ_LIBS_oci := -lcurl -lcjson -lsodium
FUZZ_manifest := kernel/core/manifest.c kernel/lib/crc.c
FUZZ_INC_manifest := -Itests/unit/fake -Itests/unit -Ikernel
FUZZ_kelf := kernel/proc/elf.c tests/unit/fake_core.c
FUZZ_INC_kelf := -Itests/unit/fake -Itests/unit -Ikernel
FUZZ_metadata := kernel/net/http_reply.c kernel/proc/metadata_text.c
FUZZ_INC_metadata := -Ikernel
FUZZ_seed := $(wildcard kernel/fs/seed/*.c) $(FS_ALL) $(O)/fuzz/seed-images.o
FUZZ_INC_seed := -Itests/unit/fake -Itests/unit -Ikernel
FUZZ_ext4 := $(FS_ALL) $(O)/fuzz/ext4-image.o
FUZZ_INC_ext4 := -Itests/unit/fake -Itests/unit -Ikernel

FUZZ_options := cli/options.c cli/run_options.c cli/nearest.c cli/size.c cli/cidr.c cli/age.c cli/forward.c cli/portowner.c $(FUZZ_CLI)
FUZZ_INC_options := -Icli
FUZZ_qmp := cli/qmp.c cli/lines.c cli/guest.c cli/manifest_text.c $(FUZZ_CLI)
FUZZ_INC_qmp := -Icli
FUZZ_LIBS_qmp := -lcjson
FUZZ_control := cli/control_lines.c cli/bootchart.c cli/forward.c cli/portowner.c cli/crash.c cli/symbols.c cli/tree.c \
	cli/manifest_text.c cli/terminal.c $(FUZZ_CLI)
FUZZ_INC_control := -Icli
FUZZ_LIBS_control := -lelf
FUZZ_envfile := cli/envfile.c cli/config.c cli/config_keys.c cli/config_origin.c cli/config_canonical.c cli/config_card.c \
	cli/interpolate.c cli/json.c cli/nearest.c cli/size.c $(FUZZ_CLI)
FUZZ_INC_envfile := -Icli
FUZZ_LIBS_envfile := -lcjson -lm

define fuzz_rule
$(O)/fuzz/$(1): tests/fuzz/fuzz_$(1).c $(FUZZ_$(1)) $(wildcard cli/*.h cli/import/*.h)
	$$(call say,FUZZ,$$@)
	@mkdir -p $$(@D)/corpus-$(1)
	$$(Q)clang $$(FUZZ_CFLAGS) $$(FUZZ_INC_$(1)) -o $$@ $$(filter %.c %.o,$$^) $$(FUZZ_LIBS_$(1))
endef
$(foreach t,$(FUZZ_TESTS),$(eval $(call fuzz_rule,$(t))))

# A small image without checksums, so that damage gets past them.
$(O)/fuzz/ext4.img:
	@mkdir -p $(@D)/tree/d
	$(call say,MKE2FS,$@)
	$(Q)printf hello > $(@D)/tree/f; seq 1 9000 > $(@D)/tree/d/n; ln -sf f $(@D)/tree/l; \
		ln -sf $$(printf 'x%.0s' $$(seq 1 100)) $(@D)/tree/s; \
		for i in $$(seq 1 90); do : > $(@D)/tree/d/a-name-of-some-length-$$i; done
	$(Q)rm -f $@; /sbin/mke2fs -q -F -t ext4 -b 1024 -I 256 -N 128 \
		-O ^metadata_csum,^uninit_bg,^resize_inode,^has_journal,inline_data -d $(@D)/tree $@ 2M > /dev/null 2>&1
	$(Q)/sbin/e2fsck -fyD $@ > /dev/null 2>&1; test $$? -le 1

$(O)/fuzz/ext4-image.o: $(O)/fuzz/ext4.img
	$(Q)printf '.section .rodata\n.globl fuzz_ext4_image, fuzz_ext4_image_end\nfuzz_ext4_image: .incbin "$<"\nfuzz_ext4_image_end:\n.section .note.GNU-stack,"",@progbits\n' \
		| $(CC) -x assembler -c -o $@ -

# Disks of a cloud: small, with long names and directories.
$(O)/fuzz/seed-images.o:
	@mkdir -p $(@D)/seed-tree/openstack/latest
	$(call say,MKFS,$@)
	$(Q)cd $(@D) && printf 'local-hostname: a\n' > seed-tree/meta-data && seq 1 600 > seed-tree/user-data && \
		seq 1 300 > seed-tree/openstack/latest/user_data
	$(Q)cd $(@D) && rm -f seed-*.img && truncate -s 256K seed-fat12.img && truncate -s 33M seed-fat32.img && \
		/sbin/mkfs.vfat -F 12 -s 1 -n CIDATA seed-fat12.img > /dev/null && \
		/sbin/mkfs.vfat -F 32 -s 1 -n CIDATA seed-fat32.img > /dev/null && \
		for f in fat12 fat32; do mcopy -s -i seed-$$f.img seed-tree/* ::; done
	$(Q)cd $(@D) && xorriso -as mkisofs -quiet -V cidata -J -o seed-joliet.img seed-tree 2> /dev/null && \
		xorriso -as mkisofs -quiet -V cidata -R -o seed-rock.img seed-tree 2> /dev/null
	$(Q)cd $(@D) && truncate -s 1M seed-fat32.img && for f in fat12 fat32 joliet rock; do \
		printf '.section .rodata\n.globl fuzz_seed_%s, fuzz_seed_%s_end\nfuzz_seed_%s: .incbin "seed-%s.img"\nfuzz_seed_%s_end:\n' \
		$$f $$f $$f $$f $$f; done > seed-images.S && \
		echo '.section .note.GNU-stack,"",@progbits' >> seed-images.S && $(CC) -c -o seed-images.o seed-images.S

# The system-call fuzzer is a program for the guest.
$(O)/fuzz/guest/syscalls: tests/fuzz/syscalls.c
	@mkdir -p $(@D)
	$(call say,FUZZ,$@)
	$(Q)$(CC) -std=gnu11 -O1 -g $(WARN) -pthread -static -o $@ $<

fuzz: $(FUZZ_TESTS:%=$(O)/fuzz/%) $(O)/fuzz/guest/syscalls all ## fuzz parsers and system calls, FUZZ_SECONDS each
	$(Q)tests/run-fuzz $(O) $(FUZZ_SECONDS)

check-fuzz: fuzz

.PHONY: fuzz check-fuzz
