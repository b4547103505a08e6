# SPDX-License-Identifier: Apache-2.0
# Unit tests of kernel/net/: all of it over the unmodified lwIP, a wire in the test's hands, and a
# clock that stands still until the test moves it.
LWIP_UNIT := $(LWIP_NAMES:%=$(O)/unit-obj/lwip/%.o)
NET_ALL := $(wildcard kernel/net/*.c) kernel/dev/netdev.c kernel/core/manifest.c $(FS_ALL) \
	tests/unit/net_rig.c
UNIT_tcp_table := $(NET_ALL)
UNIT_tcp_life := $(NET_ALL)
UNIT_tcp_path := $(NET_ALL)
UNIT_dhcp6 := $(NET_ALL)
UNIT_ntp := $(NET_ALL)

# What fs.mk defines comes first by name; lwIP stands out of the tree and has warnings of its own.
$(O)/unit-obj/lwip/%.o: $(LWIP)/src/include/lwip/init.h
	@mkdir -p $(@D)
	$(call say,CC,lwip/$*.c)
	$(Q)$(CC) $(filter-out -W%,$(UNIT_CFLAGS)) -fno-sanitize=undefined -w $(LWIP_INCLUDE) \
		$(LWIP_RENAME_$(subst /,_,$*)) -c -o $@ $(LWIP)/src/$*.c

$(O)/unit-obj/kernel/net/%.o $(O)/unit-obj/tests/unit/net_rig.o \
	$(O)/unit-obj/tests/unit/test_tcp_%.o $(O)/unit-obj/tests/unit/test_dhcp6.o \
	$(O)/unit-obj/tests/unit/test_ntp.o: UNIT_CFLAGS += $(LWIP_INCLUDE)
$(O)/tests/unit/tcp_table $(O)/tests/unit/tcp_life $(O)/tests/unit/tcp_path $(O)/tests/unit/dhcp6 \
	$(O)/tests/unit/ntp: $(LWIP_UNIT)
$(patsubst %.c,$(O)/unit-obj/%.o,$(filter kernel/net/%,$(NET_ALL)) tests/unit/net_rig.c \
	$(wildcard tests/unit/test_tcp_*.c) tests/unit/test_dhcp6.c tests/unit/test_ntp.c): | $(LWIP)/src/include/lwip/init.h
