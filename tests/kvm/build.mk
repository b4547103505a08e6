# SPDX-License-Identifier: Apache-2.0
# The suite of the real KVM path: tests/kvm/run.
$(O)/tests/kvm/static $(O)/tests/kvm/dynamic: tests/kvm/program.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) -std=gnu11 -O1 $(WARN) -pthread $(if $(filter %/static,$@),-static) -o $@ $<

check-kvm: all $(O)/tests/kvm/static $(O)/tests/kvm/dynamic ## ops run on real KVM, nested in an emulated machine
	$(Q)tests/kvm/run $(O)

.PHONY: check-kvm
