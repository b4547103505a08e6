# SPDX-License-Identifier: Apache-2.0
# The tool: $(O)/ops
CLI_SRC := $(sort $(wildcard cli/*.c))
CLI_OBJ := $(CLI_SRC:%.c=$(O)/%.o)
CLI_CFLAGS := -std=gnu11 -O2 -g $(WARN) -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -Iinclude -Icli \
	-DOPS_VERSION='"$(VERSION)"' -MMD -MP
CLI_LIBS := -lelf -lcjson -lyaml -lext2fs -lcom_err -lsodium -lz

$(O)/ops: $(CLI_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $^ $(CLI_LIBS)

# The one process that touches foreign bytes: libcurl and libarchive are linked into it alone.
IMPORT_SRC := $(sort $(wildcard cli/import/*.c))
IMPORT_BASE := alloc buf digest err hostpath json mtree mtree_read mtree_verify nearest options strlist
IMPORT_OBJ := $(IMPORT_SRC:%.c=$(O)/%.o) $(IMPORT_BASE:%=$(O)/cli/%.o)
IMPORT_LIBS := -lcurl -larchive -lz -lsodium -lcjson

$(O)/ops-import: $(IMPORT_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $^ $(IMPORT_LIBS)

$(O)/cli/%.o: cli/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CLI_CFLAGS) -c -o $@ $<

-include $(CLI_OBJ:.o=.d) $(IMPORT_OBJ:.o=.d)

# The recipes of `ops pkg`, beside the tool
RECIPE_FILES := $(shell find pkg -type f)
$(O)/recipes/.stamp: $(RECIPE_FILES)
	$(call say,COPY,$(@D))
	$(Q)rm -rf $(@D) && mkdir -p $(@D) && cp -r pkg/. $(@D)/ && touch $@

# What the kernel answers, for `ops check`
$(O)/cli/syscall_support.inc: kernel/syscall/table.def scripts/syscall-support
	@mkdir -p $(@D)
	$(call say,GEN,$@)
	$(Q)CC=$(CC) scripts/syscall-support >$@
$(O)/cli/special_files.inc: kernel/FILES
	@mkdir -p $(@D)
	$(call say,GEN,$@)
	$(Q)sed 's/.*/    "&",/' $< >$@
$(O)/cli/elfcalls.o: $(O)/cli/syscall_support.inc
$(O)/cli/elffiles.o: $(O)/cli/special_files.inc
$(O)/cli/elfcalls.o $(O)/cli/elffiles.o: CLI_CFLAGS += -I$(O)/cli

# The tool with sanitizers, for tests/e2e/sanitize.sh; beside it what belongs to it
$(O)/asan/ops: $(CLI_SRC) $(wildcard cli/*.h include/ops/*.h) $(O)/cli/syscall_support.inc \
		$(O)/cli/special_files.inc
	@mkdir -p $(@D)
	$(call say,ASAN,$@)
	$(Q)$(CC) $(filter-out -O2 -MMD -MP,$(CLI_CFLAGS)) -O1 -I$(O)/cli \
		-fsanitize=address,undefined -fno-sanitize-recover=undefined -o $@ $(CLI_SRC) $(CLI_LIBS)
	$(Q)ln -sfn ../kernel.elf ../ops-import ../recipes $(@D)/
