# SPDX-License-Identifier: Apache-2.0
# The kernel: $(O)/kernel.elf (stripped but for what panics need), $(O)/kernel.debug.elf
K := $(O)/kernel
KERNEL_C := $(sort $(shell find kernel -name '*.c' -not -path 'kernel/proc/vdso/*'))
KERNEL_S := $(sort $(shell find kernel -name '*.S' -not -path 'kernel/proc/vdso/*'))
KERNEL_OBJ := $(KERNEL_C:%.c=$(O)/%.o) $(KERNEL_S:%.S=$(O)/%.S.o)
KERNEL_CFLAGS := -std=gnu11 -O2 -g $(WARN) -ffreestanding -fno-pic -fno-pie -mcmodel=kernel \
	-mno-red-zone -mgeneral-regs-only -fno-omit-frame-pointer -fno-strict-aliasing \
	-fno-asynchronous-unwind-tables -fno-common -fstack-protector-strong \
	-mstack-protector-guard=global -fno-tree-loop-distribute-patterns \
	-falign-functions=16 -falign-loops=1 -falign-jumps=1 -falign-labels=1 \
	-fno-delete-null-pointer-checks -Ikernel -Iinclude -MMD -MP \
	-DOPS_VERSION='"$(VERSION)"'
KERNEL_LDFLAGS := -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,max-page-size=4096 \
	-Wl,-z,noexecstack -Wl,--no-warn-rwx-segments -Wl,--gc-sections -T kernel/arch/x86_64/kernel.lds

# lwIP is built out of tree from its unmodified source. The names of some functions are exchanged
# for ours, most of which call the real ones: net/tcp_table.c, net/tcp_check.c, net/udp_socket.c,
# net/link.c, net/icmp_error.c, net/neighbour.c.
LWIP := $(O)/lwip
LWIP_NAMES := $(addprefix core/,def dns inet_chksum init ip mem memp netif pbuf raw stats tcp tcp_in tcp_out udp) \
	$(addprefix core/ipv4/,dhcp etharp icmp igmp ip4 ip4_addr ip4_frag) \
	$(addprefix core/ipv6/,ethip6 icmp6 inet6 ip6 ip6_addr ip6_frag mld6 nd6) netif/ethernet
LWIP_OBJ := $(LWIP_NAMES:%=$(LWIP)/obj/%.o)
LWIP_INCLUDE := -Ikernel/net/lwip -I$(LWIP)/src/include
KERNEL_OBJ += $(LWIP_OBJ)

$(LWIP)/src/include/lwip/init.h: scripts/fetch-lwip
	$(call say,FETCH,lwip)
	$(Q)scripts/fetch-lwip $(LWIP)
	$(Q)touch $@

$(LWIP)/obj/%.o: $(LWIP)/src/include/lwip/init.h
	@mkdir -p $(@D)
	$(call say,CC,lwip/$*.c)
	$(Q)$(CC) $(filter-out -W%,$(KERNEL_CFLAGS)) -w -ffunction-sections $(LWIP_INCLUDE) $(LWIP_RENAME_$(subst /,_,$*)) -c -o $@ $(LWIP)/src/$*.c

# Of each of lwIP's files, by its name.
LWIP_RENAME_core_ipv4_ip4 := -Dtcp_input=tcp_table_input -Dudp_input=udp_length_input
LWIP_RENAME_core_ipv6_ip6 := $(LWIP_RENAME_core_ipv4_ip4)
LWIP_RENAME_core_tcp_out := -Dip4_output_if=link_tcp_output4 -Dip6_output_if=link_tcp_output6
LWIP_RENAME_core_tcp_in := -Dtcp_rst=tcp_check_reset -Dtcp_rst_netif=tcp_check_reset_netif
LWIP_RENAME_core_ipv4_icmp := -Dicmp_dest_unreach=icmp_dest_unreach_short
LWIP_RENAME_core_ipv6_nd6 := -Dmemp_malloc=neighbour_entry_malloc
LWIP_RENAME_core_tcp := -Dtcp_split_unsent_seg=tcp_table_split
# DHCP gives name servers to net/interface.c, which gives those in use to the resolver.
LWIP_RENAME_core_dns := -Ddns_setserver=resolver_set_server

$(O)/kernel/net/%.o: KERNEL_CFLAGS += $(LWIP_INCLUDE)
$(filter $(O)/kernel/net/%,$(KERNEL_C:%.c=$(O)/%.o)): | $(LWIP)/src/include/lwip/init.h

$(O)/kernel/%.o: kernel/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(KERNEL_CFLAGS) -c -o $@ $<

$(O)/kernel/%.S.o: kernel/%.S
	@mkdir -p $(@D)
	$(call say,AS,$<)
	$(Q)$(CC) $(KERNEL_CFLAGS) -D__ASSEMBLER__ -c -o $@ $<

$(K)/syscall_names.inc: kernel/build.mk
	@mkdir -p $(@D)
	$(Q)echo '#include <asm/unistd.h>' | $(CC) -E -dM - | \
		sed -n 's/^#define __NR_\([a-z0-9_]*\) \([0-9]*\)$$/[\2] = "\1",/p' > $@

$(O)/kernel/syscall/names.o: $(K)/syscall_names.inc
$(O)/kernel/syscall/names.o: KERNEL_CFLAGS += -I$(K)

# The symbol table for backtraces is made from a first link and linked in by a second.
$(K)/nosyms.elf: $(KERNEL_OBJ) $(K)/vdso-image.o kernel/arch/x86_64/kernel.lds
	$(call say,LD,$@)
	$(Q)$(CC) $(KERNEL_LDFLAGS) -o $@ $(filter %.o,$^)

$(K)/symbols.S: $(K)/nosyms.elf scripts/symbols
	$(Q)nm -n $< | scripts/symbols > $@

$(O)/kernel.debug.elf: $(KERNEL_OBJ) $(K)/vdso-image.o $(K)/symbols.S
	$(call say,LD,$@)
	$(Q)$(CC) $(KERNEL_CFLAGS) -c -o $(K)/symbols.o $(K)/symbols.S
	$(Q)$(CC) $(KERNEL_LDFLAGS) -o $@ $(filter %.o,$^) $(K)/symbols.o

$(O)/kernel.elf: $(O)/kernel.debug.elf
	$(call say,STRIP,$@)
	$(Q)strip -o $@ $<

# The vDSO is a small shared object of its own, embedded as data.
VDSO_SRC := $(wildcard kernel/proc/vdso/*.c)
$(K)/vdso.so: $(VDSO_SRC) kernel/proc/vdso/vdso.lds kernel/sched/clock_page.h
	@mkdir -p $(@D)
	$(call say,VDSO,$@)
	$(Q)$(CC) -std=gnu11 -O2 $(WARN) -fpic -ffreestanding -nostdlib -shared -mno-sse -fno-stack-protector \
		-fno-asynchronous-unwind-tables -Wl,--hash-style=both -Wl,--build-id=none \
		-Wl,-soname,linux-vdso.so.1 -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack \
		-Wl,-T,kernel/proc/vdso/vdso.lds -Ikernel -o $@ $(VDSO_SRC)
	$(Q)strip --strip-debug $@

$(K)/vdso-image.o: $(K)/vdso.so
	$(Q)printf '.section .rodata\n.globl vdso_image, vdso_image_end\n.balign 4096\nvdso_image: .incbin "$<"\n.balign 4096\nvdso_image_end:\n.section .note.GNU-stack,"",@progbits\n' \
		| $(CC) -x assembler -c -o $@ -

-include $(KERNEL_OBJ:.o=.d)
