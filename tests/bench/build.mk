# SPDX-License-Identifier: Apache-2.0
# The benchmark: tests/bench/run, its guest program and the empty guest.
BENCH_CC ?= $(shell command -v musl-gcc || echo $(CC))

BENCH_SRC := $(sort $(wildcard tests/bench/guest/*.c))

$(O)/bench/guest: $(BENCH_SRC) tests/bench/guest/guest.h
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(BENCH_CC) -O2 $(WARN) -pthread -static -no-pie -o $@ $(BENCH_SRC)

$(O)/bench/guest-sqlite: $(BENCH_SRC) tests/bench/guest/guest.h
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) -O2 $(WARN) -DWITH_SQLITE -pthread -static -no-pie -o $@ $(BENCH_SRC) -lsqlite3 -lm

$(O)/bench/empty.elf: tests/bench/empty.S
	@mkdir -p $(@D)
	$(call say,AS,$@)
	$(Q)$(CC) -nostdlib -static -no-pie -Wl,--build-id=none,--no-warn-rwx-segments,-N,-Ttext=0x100000,-e,entry -o $@ $<

bench: all $(O)/bench/guest $(O)/bench/guest-sqlite $(O)/bench/empty.elf ## figures beside a distribution's Linux under the same QEMU
	$(Q)scripts/fetch-linux $(O) || [ $$? -eq 77 ]
	$(Q)for p in guest guest-sqlite; do scripts/initramfs $(O)/bench/initramfs-$$p init=$(O)/bench/$$p dev/console=c:5:1 dev/zero=c:1:5 \
	    $$(for m in $(O)/linux/modules/*; do echo modules/$${m##*/}=$$m; done); done
	$(Q)tests/bench/run $(O)

$(O)/bench/client: tests/bench/net/client.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) -O2 $(WARN) -o $@ $<

$(O)/bench/linux-init: tests/bench/net/init.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(BENCH_CC) -O2 $(WARN) -static -o $@ $<

bench-net: all $(O)/bench/client $(O)/bench/linux-init ## the same for servers: nginx and Redis over a tap device (root)
	$(Q)scripts/fetch-linux $(O) || [ $$? -eq 77 ]
	$(Q)scripts/fetch-programs $(O)
	$(Q)tests/bench/net/run $(O)

.PHONY: bench bench-net
