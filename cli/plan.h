/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an image will hold and how its program starts, settled from the command
 * line and the other settings (settings.h) before anything is written.
 *
 * The program, its libraries and all `Files` and `Dirs` given by absolute path
 * keep that path in the guest, so that $ORIGIN and compiled-in paths hold. Only a
 * program below /tmp, where the kernel mounts a tmpfs, moves to /host/tmp.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "deps.h"
#include "disk_source.h"
#include "err.h"
#include "manifest_text.h"
#include "mounts.h"
#include "package.h"
#include "shares.h"
#include "strlist.h"
#include "tree.h"

/* What `run` and `build` take from the command line; strings point into argv. What can also be set
 * elsewhere is read in `settings`, never here. */
struct request {
    struct config settings; /* all layers together: settings_load() */
    /* What is run, one of them or none: then a program of this host. settings_load() */
    struct package *package;
    struct disk_source *disk;
    const char *config;
    bool no_config;
    struct strlist env_files;
    struct strlist secrets; /* NAME=FILE */
    struct strlist args;    /* before those of the operands */
    struct strlist env;     /* NAME=value, or NAME to take it from the host */
    struct strlist exclude; /* patterns of files not to add by itself */
    struct strlist mounts;  /* NAME:/path[:ro] */
    struct strlist shares;  /* HOST:/path[:ro] */
    const char *memory;
    const char *cpus;
    const char *accel;
    const char *machine;
    const char *kernel;
    const char *trace;
    const char *output, *format, *target; /* of `ops build` */
    const char *sign, *sbom, *efi_key, *efi_certificate;
    const char *chart;
    const char *core;
    struct strlist nets;               /* --net */
    struct strlist ips, gateways, dns; /* of the first card */
    const char *mac, *mtu, *hostname;
    const char *name;    /* of the machine; of a new image or package */
    const char *version; /* of a new package */
    const char *entrypoint;
    const char *restart, *timeout, *log_size;
    bool detach, rm;
    struct strlist ports, udp_ports;
    bool no_aslr;
    bool read_only;
    bool no_system_files;
    bool list_files;
    bool dry_run;
    bool explain;
    bool watch;
    bool print_manifest;
    bool verbose;
    bool debug;
    char **operands; /* program (or package, package_ref.h) and its arguments; may be empty */
};

struct plan {
    const struct config *config; /* the request's, as the package */
    struct package *package;
    const struct disk_source *disk; /* its root is used, the tree stays empty */
    struct tree tree;
    struct deps deps;
    struct manifest manifest;
    struct mounts mounts;
    struct shares shares;
    char *program;          /* host path; of a package: in the guest */
    char *guest_program;    /* backs manifest.program */
    uint64_t program_bytes; /* memory that the program and its libraries load into */
};

/* Settles everything. `portable`: for another machine, so nothing of this session (TERM, LANG)
 * goes in. Freed with plan_free(), also after a failure. */
bool plan_make(struct plan *p, const struct request *r, bool portable, struct err *err);

/* Bytes of memory its machine has, whole MiB: as configured, else by need. */
uint64_t plan_memory(const struct plan *p);

/* The file list on stdout: guest path, where from, why; tab-separated. */
void plan_print(const struct plan *p);

void plan_free(struct plan *p);
