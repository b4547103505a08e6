# SPDX-License-Identifier: Apache-2.0
# Tests. A unit test is tests/unit/test_<name>.c and the unchanged sources that
# UNIT_<name> lists, compiled natively with ASan and UBSan; headers in
# tests/unit/fake/ stand before the kernel's own (arch/ is replaced there) and
# tests/unit/fake_*.c stand in for the parts below the tested one.
UNIT_TESTS := $(patsubst tests/unit/test_%.c,%,$(sort $(wildcard tests/unit/test_*.c)))
UNIT_CFLAGS := -std=gnu11 -O1 -g $(WARN) -D_GNU_SOURCE -fsanitize=address,undefined \
	-fno-sanitize-recover=undefined -fno-omit-frame-pointer -DUNIT_TEST \
	-Itests/unit/fake -Itests/unit -Ikernel -Iinclude -Icli -DOPS_VERSION='"$(VERSION)"' -MMD -MP

include $(sort $(wildcard tests/unit/*.mk))

define unit_rule
$(O)/tests/unit/$(1): $(patsubst %.c,$(O)/unit-obj/%.o,tests/unit/test_$(1).c $(UNIT_$(1)))
	$$(call say,LD,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) -fsanitize=address,undefined -o $$@ $$^ -lcmocka $$(UNIT_LIBS_$(1))
endef
$(foreach t,$(UNIT_TESTS),$(eval $(call unit_rule,$(t))))

$(O)/unit-obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(UNIT_CFLAGS) -c -o $@ $<

-include $(shell find $(O)/unit-obj -name '*.d' 2>/dev/null)

include tests/guest/build.mk
include tests/fuzz/build.mk
include tests/power/build.mk
include tests/kvm/build.mk
include tests/xen/build.mk
include tests/bench/build.mk

check: ## install what is missing, build, run every test
	$(Q)scripts/setup tests
	$(Q)$(MAKE) --no-print-directory all lint
	$(Q)tests/run-all $(O)

check-unit: $(UNIT_TESTS:%=$(O)/tests/unit/%) ## unit tests, native, with sanitizers
	$(Q)tests/run-unit $(O)

check-e2e: all ## the tool end to end, real programs, every way to boot
	$(Q)O=$(O) tests/e2e/run

check-long: all $(GUEST_TESTS) $(POWER_TESTS) $(FUZZ_TESTS:%=$(O)/fuzz/%) $(O)/fuzz/guest/syscalls ## hours: suites in rounds, long fuzzing
	$(Q)tests/run-long $(O)

.PHONY: check check-unit check-e2e check-long
