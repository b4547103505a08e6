/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A configuration: JSON whose keys match without regard to case (config_keys.h). Several are
 * read into one `struct config`, each over those before it: a single value replaces, so do
 * Args, NameServers and NtpServers; Env is replaced by name; every other list grows. Relative host
 * paths start at the file's own directory. $NAME in a string is the environment's (interpolate.h).
 * Each entry's origin is kept. Which files there are and what beats them: settings.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config_keys.h"
#include "err.h"
#include "strlist.h"

struct config {
    char *program;               /* absolute; NULL: not given, likewise below */
    struct strlist args;         /* after argv[0] */
    struct strlist default_args; /* of a package: package.h */
    struct strlist env;          /* NAME=value */
    struct strlist files;        /* pairs: host path, guest path */
    struct strlist dirs;         /* likewise */
    struct strlist map_dirs;     /* pairs: absolute host path or pattern, guest directory */
    struct strlist name_servers;
    struct strlist mounts;           /* NAME:/path[:ro] */
    struct strlist shares;           /* HOST:/path[:ro] */
    struct strlist exclude;          /* patterns */
    struct strlist ports, udp_ports; /* as network_parse() reads them */
    char *hostname;
    char *cwd;
    char *code_dir; /* package_code.h */
    char *stop_signal;
    struct strlist nets; /* further cards, as words of --net */
    struct strlist card; /* KEY=VALUE of the first card, from flags */
    char *network, *bridge_name, *tap_name, *ip_address, *net_mask, *ipv6_address, *gateway;
    char *accel, *machine, *restart, *trace; /* as the flags' words */
    char *name;                              /* of the machine */
    uint64_t uid, gid;
    uint64_t volume_size; /* bytes; 0: not given, likewise below */
    uint64_t memory;
    uint64_t cpus;
    uint64_t timeout; /* seconds */
    uint64_t log_size;
    char *metadata, *user_data;
    struct strlist ntp_servers;
    uint64_t ntp_poll_min, ntp_poll_max, ntp_reset; /* 2^n s, 2^n s, s */
    bool bridged, readonly_rootfs, no_aslr, no_system_files, verbose, debug;
    bool metadata_required;
    struct strlist secrets;   /* NAME=value of this run only: shown nowhere, in no image */
    struct strlist origins;   /* pairs: "RunConfig.Memory", "ops.json:3" */
    struct strlist notes;     /* keys that were read and need no effect, with places */
    struct strlist variables; /* of the environment that were used, by name */
};

/* All that is wrong with a file, where more than the first is asked for. */
struct config_faults {
    struct err *items;
    size_t count;
};

/* Where a text comes from. */
struct config_source {
    const char *name;             /* for messages and origins */
    const char *dir;              /* where relative paths start */
    struct config_faults *faults; /* NULL: reading ends at the first error */
    bool literal;                 /* variables stay as they are written */
};

/* Reads the file `path`, called s->name, over what is there. Freed with config_free(), also after
 * a failure. Errors (OPS_EXIT_USAGE): bad JSON, unknown key with the nearest known one, wrong
 * type; with line, column and caret. With s->faults all of them go there, and then it is false;
 * files that are not there are errors too. s->dir NULL: the file's own. */
bool config_load(struct config *c, const char *path, const struct config_source *s,
                 struct err *err);

/* The same for `size` bytes of text with a NUL behind them. */
bool config_read(struct config *c, const struct config_source *s, const char *text, size_t size,
                 struct err *err);

/* Sets one key from a text that is not JSON: a variable or a flag. Lists are divided at commas;
 * where JSON is needed, or begins with a bracket, it is JSON. */
bool config_set(struct config *c, const struct key *k, const struct config_source *s,
                const char *text, struct err *err);

/* The key "Hostname" or "RunConfig.Memory"; NULL: none of that name. */
const struct key *config_key(const char *path);

/* Says where an entry comes from; the newest counts. */
void config_note_origin(struct config *c, const char *entry, const char *origin);
/* NULL: nobody said it. */
const char *config_origin(const struct config *c, const char *entry);
/* Forgets the origins of `entry` and of what is in it, its members. */
void config_drop_origin(struct config *c, const char *entry);

/* What the keys of one network card say, as --net and its options do. With `options` NULL they
 * stand in the word. */
bool config_card(const struct config *c, struct strlist *nets, struct strlist *options,
                 struct err *err);

/* The words of --net: they replace all cards. */
void config_card_flags(struct config *c, const struct strlist *nets);
/* What --KEY says of the first card: "ip", "gateway", "dns", "mac", "mtu". It goes before the keys
 * that say the same. */
void config_card_flag(struct config *c, const char *key, const char *value);
/* The first card's word of --net with what flags say of it, where they do; else NULL. *further: it
 * is the first of c->nets. Freed with free(). */
char *config_card_word(const struct config *c, bool *further);

/* Adds NAME=value, replacing an earlier value of the same name. */
void config_set_env(struct strlist *env, const char *entry);

void config_free(struct config *c);
void config_faults_free(struct config_faults *f);
