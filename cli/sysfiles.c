/* SPDX-License-Identifier: Apache-2.0 */
/* The files expected in any system: see sysfiles.h. */
#include "sysfiles.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"

#define SYSFILES_LEASE "/proc/net/pnp" /* where the kernel tells the name servers it was given */

bool sysfiles_add_dirs(struct tree *t, struct err *err)
{
    static const struct {
        const char *path, *why;
        unsigned mode;
    } dirs[] = {
        {"/", "the root directory", 0755},
        {"/dev", "mount point of the devices", 0755},
        {"/dev/shm", "mount point of shared memory", 01777},
        {"/proc", "mount point of the process information", 0555},
        {"/root", "the home directory", 0700},
        {"/run", "programs write there", 0755},
        {"/tmp", "mount point for temporary files", 01777},
        {"/var/tmp", "programs write there", 01777},
    };
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof dirs / sizeof dirs[0]; i++)
        ok = tree_add_dir(t, dirs[i].path, dirs[i].mode, dirs[i].why, err);
    return ok;
}

/* A file made here. */
static bool made_add(struct tree *t, const struct sysfiles *s, const char *path, const char *text,
                     const char *why, struct err *err)
{
    return (s->modest && tree_find(t, path)) || tree_add_text(t, path, 0644, text, why, err);
}

/* Files of the host that are the same for everybody or say where it stands. */
static bool host_files_add(struct tree *t, const struct sysfiles *s, struct err *err)
{
    static const struct {
        const char *path, *why;
    } files[] = {
        {"/etc/localtime", "the time zone"},
        {"/etc/protocols", "names of protocols"},
        {"/etc/services", "names of ports"},
        {"/etc/ssl/certs/ca-certificates.crt", "certificates for TLS"},
    };
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof files / sizeof files[0]; i++)
        if (access(files[i].path, R_OK) == 0 && !(s->modest && tree_find(t, files[i].path)))
            ok = tree_mirror(t, files[i].path, files[i].why, err);
    return ok;
}

static bool accounts_add(struct tree *t, const struct sysfiles *s, struct err *err)
{
    struct buf passwd = {0}, group = {0};
    buf_addf(&passwd, "root:x:0:0:root:/root:/bin/sh\n");
    buf_addf(&group, "root:x:0:\n");
    if (s->uid && s->uid != 65534)
        buf_addf(&passwd, "app:x:%llu:%llu:app:/:/bin/sh\n", (unsigned long long)s->uid,
                 (unsigned long long)s->gid);
    if (s->gid && s->gid != 65534)
        buf_addf(&group, "app:x:%llu:\n", (unsigned long long)s->gid);
    buf_addf(&passwd, "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n");
    buf_addf(&group, "nogroup:x:65534:\n");
    bool ok = made_add(t, s, "/etc/passwd", passwd.data, "accounts, made by ops", err) &&
              made_add(t, s, "/etc/group", group.data, "groups, made by ops", err);
    buf_free(&passwd);
    buf_free(&group);
    return ok;
}

static bool names_add(struct tree *t, const struct sysfiles *s, struct err *err)
{
    struct buf hosts = {0}, resolv = {0};
    buf_addf(&hosts, "127.0.0.1 localhost\n127.0.1.1 %s\n::1 localhost ip6-localhost\n",
             s->hostname);
    for (size_t i = 0; i < s->name_servers->count; i++)
        buf_addf(&resolv, "nameserver %s\n", s->name_servers->items[i]);
    char *name = alloc_printf("%s\n", s->hostname);
    bool ok = tree_add_text(t, "/etc/hosts", 0644, hosts.data, "host names, made by ops", err) &&
              tree_add_text(t, "/etc/hostname", 0644, name, "the name of this system", err) &&
              (s->name_servers->count ? tree_add_text(t, "/etc/resolv.conf", 0644, resolv.data,
                                                      "name servers, made by ops", err)
                                      : tree_add_link(t, "/etc/resolv.conf", SYSFILES_LEASE,
                                                      "name servers, made by ops", err)) &&
              made_add(t, s, "/etc/nsswitch.conf",
                       "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n"
                       "networks: files\nprotocols: files\nservices: files\n",
                       "order of lookups, made by ops", err);
    free(name);
    buf_free(&hosts);
    buf_free(&resolv);
    return ok;
}

bool sysfiles_add(struct tree *t, struct deps *d, const struct sysfiles *s, struct err *err)
{
    static const struct {
        const char *name, *why;
    } opened[] = {
        {"libnss_files.so.2", "glibc opens it for accounts and hosts"},
        {"libnss_dns.so.2", "glibc opens it for name lookups"},
        {"libresolv.so.2", "glibc opens it for name lookups"},
        {"libgcc_s.so.1", "glibc opens it to end threads"},
    };
    bool ok = accounts_add(t, s, err) && names_add(t, s, err) && host_files_add(t, s, err);
    for (size_t i = 0; ok && d->libc_dir && i < sizeof opened / sizeof opened[0]; i++)
        ok = deps_optional(d, opened[i].name, opened[i].why, err);
    return ok;
}
