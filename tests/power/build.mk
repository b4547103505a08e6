# SPDX-License-Identifier: Apache-2.0
# Power cuts: the program under load (static, boots as a unikernel) and its judges.
POWER := $(O)/tests/power
POWER_CFLAGS := -std=gnu11 -O2 -g $(WARN) -MMD -MP
POWER_JUDGE := $(patsubst %,$(POWER)/%.o,judge model plan)

$(POWER)/%.o: tests/power/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(POWER_CFLAGS) -c -o $@ $<

$(POWER)/load: $(POWER)/load.o $(POWER)/plan.o
	$(call say,LD,$@)
	$(Q)$(CC) -static -pthread -o $@ $^

$(POWER)/kill $(POWER)/replay: $(POWER)/%: $(POWER)/%.o $(POWER_JUDGE)
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $^ -lext2fs -lcom_err

POWER_TESTS := $(POWER)/load $(POWER)/kill $(POWER)/replay

check-power: all $(POWER_TESTS) ## machines killed under load, and every order of their writes
	$(Q)tests/power/run $(O)

-include $(wildcard $(POWER)/*.d)

.PHONY: check-power
