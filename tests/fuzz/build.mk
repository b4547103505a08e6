# SPDX-License-Identifier: Apache-2.0
# Fuzzers: tests/fuzz/fuzz_<name>.c with the unchanged sources FUZZ_<name> lists,
# by clang's libFuzzer with ASan and UBSan. `make fuzz` runs each for a bounded time;
# findings are left in $(O)/fuzz.
FUZZ_SECONDS ?= 10
FUZZ_BASE := cli/alloc.c cli/buf.c cli/err.c cli/hostpath.c cli/strlist.c
FUZZ_elf := cli/elfinfo.c cli/ldpath.c $(FUZZ_BASE)
FUZZ_LIBS_elf := -lelf
FUZZ_config := cli/config.c cli/json.c cli/nearest.c cli/size.c $(FUZZ_BASE)
FUZZ_LIBS_config := -lcjson -lm
FUZZ_CLI := elf config
FUZZ_CFLAGS := -std=gnu11 -O1 -g $(WARN) -Wno-missing-prototypes -D_GNU_SOURCE \
	-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -Icli -Iinclude

define fuzz_rule
$(O)/fuzz/$(1): tests/fuzz/fuzz_$(1).c $(FUZZ_$(1)) $(wildcard cli/*.h)
	$$(call say,FUZZ,$$@)
	@mkdir -p $$(@D)/corpus-$(1)
	$$(Q)clang $$(FUZZ_CFLAGS) -o $$@ $$(filter %.c,$$^) $$(FUZZ_LIBS_$(1))

fuzz-$(1): $(O)/fuzz/$(1)
	$$(Q)cd $(O)/fuzz && ./$(1) -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=512 -timeout=5 \
		-print_final_stats=1 -artifact_prefix=$(1)- corpus-$(1) >$(1).log 2>&1 \
		&& echo "ok fuzz-$(1)" || { tail -40 $(1).log; echo "not ok fuzz-$(1): see $(O)/fuzz/$(1).log"; exit 1; }
.PHONY: fuzz-$(1)
endef
$(foreach t,$(FUZZ_CLI),$(eval $(call fuzz_rule,$(t))))

fuzz: $(FUZZ_CLI:%=fuzz-%) ## fuzz the parsers, 10 s each
.PHONY: fuzz
