# SPDX-License-Identifier: Apache-2.0
# Guest tests: ordinary Linux programs, $(O)/tests/guest/t_<family>, static; a few
# also dynamic, t_<family>-dynamic. tests/run-guest runs them here and in the guest.
GUEST_SRC := $(sort $(wildcard tests/guest/t_*.c))
GUEST_DYNAMIC := t_mmap_file t_signal t_start t_thread
GUEST_TESTS := $(GUEST_SRC:tests/guest/%.c=$(O)/tests/guest/%) \
	$(GUEST_DYNAMIC:%=$(O)/tests/guest/%-dynamic)
GUEST_CFLAGS := -std=gnu11 -O1 -g $(WARN) -pthread

$(O)/tests/guest/%-dynamic: tests/guest/%.c tests/guest/guest.h
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(GUEST_CFLAGS) -o $@ $<

$(O)/tests/guest/%: tests/guest/%.c tests/guest/guest.h
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(GUEST_CFLAGS) -static -o $@ $<

guest-tests: $(GUEST_TESTS)

check-guest: $(GUEST_TESTS) $(O)/ops $(O)/kernel.elf ## the same programs on the host and in the guest
	$(Q)tests/run-guest $(O)

.PHONY: guest-tests check-guest
