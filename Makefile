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

all: $(O)/ops $(O)/kernel.elf ## build the tool and the kernel

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

lint: $(LWIP)/src/include/lwip/init.h ## layers, formatting, names in FLOW.md, headers that compile alone
	$(Q)O=$(O) scripts/lint

install: all ## copy the tool to PREFIX (default /usr/local)
	install -D -m 0755 $(O)/ops $(DESTDIR)$(PREFIX)/bin/ops
	install -D -m 0644 $(O)/kernel.elf $(DESTDIR)$(PREFIX)/share/ops/kernel.elf

clean: ## remove everything that was built
	rm -rf $(O)

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: all run gdb setup demo lint install clean help
