# SPDX-License-Identifier: Apache-2.0
# The suite under Xen: tests/xen/run.
$(O)/tests/xen/program: tests/xen/program.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) -std=gnu11 -O1 $(WARN) -static -o $@ $<

check-xen: all $(O)/tests/xen/program ## a program as a PVH guest of Xen, in an emulated machine
	$(Q)tests/xen/run $(O)

.PHONY: check-xen
