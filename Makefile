# SPDX-License-Identifier: Apache-2.0
# All entry points; `make help` lists them. Nothing is written in the source tree.
O ?= build
V ?= 0
PREFIX ?= /usr/local
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:

ifeq ($(V),0)
Q := @
say = @printf '  %-7s %s\n' $(1) $(2)
else
Q :=
say = @:
endif

CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
WARN := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes
VERSION := 0.1.0

all: $(O)/ops $(O)/ops-import $(O)/kernel.elf $(O)/recipes/.stamp ## build the tool and the kernel

include kernel/build.mk
include cli/build.mk
include tests/build.mk

APP ?= /usr/bin/lua5.4
run: all ## boot a program: make run APP=./a.out ARGS="x y"
	$(O)/ops run $(APP) $(ARGS)

gdb: all ## boot APP stopped, with gdb attached to the kernel
	$(Q)scripts/gdb $(O) $(APP) $(ARGS)

setup: ## install what is missing (root or sudo)
	$(Q)scripts/setup

demo: ## install, build, and run a real program as a unikernel
	$(Q)scripts/setup
	$(Q)$(MAKE) --no-print-directory all
	$(Q)scripts/demo $(O)

lint: $(LWIP)/src/include/lwip/init.h $(O)/ops ## layers, formatting, names in FLOW.md, headers that compile alone
	$(Q)O=$(O) scripts/lint

man: $(O)/ops ## write the manual pages to $(O)/man
	@mkdir -p $(O)/man
	$(Q)$(O)/ops manual pages $(O)/man

install: all man ## copy the tool, its pages and completion to PREFIX (default /usr/local)
	install -D -m 0755 $(O)/ops $(DESTDIR)$(PREFIX)/bin/ops
	install -D -m 0755 $(O)/ops-import $(DESTDIR)$(PREFIX)/libexec/ops/ops-import
	install -D -m 0644 $(O)/kernel.elf $(DESTDIR)$(PREFIX)/share/ops/kernel.elf
	rm -rf $(DESTDIR)$(PREFIX)/share/ops/recipes
	cp -r $(O)/recipes $(DESTDIR)$(PREFIX)/share/ops/recipes
	install -d $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 0644 $(O)/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	install -d $(addprefix $(DESTDIR)$(PREFIX)/share/,bash-completion/completions \
		zsh/site-functions fish/vendor_completions.d)
	$(O)/ops completion bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/ops
	$(O)/ops completion zsh >$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_ops
	$(O)/ops completion fish >$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/ops.fish

clean: ## remove everything that was built
	rm -rf $(O)

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: all run gdb setup demo lint man install clean help
