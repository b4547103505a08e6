/* SPDX-License-Identifier: Apache-2.0 */
/* Who is on a network: see lease.h. */
#include "lease.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "hostpath.h"
#include "ops/exit.h"

#define NAMES_MOST 1024  /* bytes of a lease's file */
#define TRIES_MOST 65536 /* addresses looked at in a large network */

/* The lock of a whole file; errno on failure, EAGAIN for one that somebody has. */
static bool lock_take(int fd)
{
    struct flock lock = {.l_type = F_WRLCK};
    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

static bool lock_held(int fd)
{
    struct flock lock = {.l_type = F_WRLCK};
    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* Opens and locks the file; false: errno, EAGAIN when somebody has it. */
static bool file_take(struct lease *l)
{
    for (;;) {
        struct stat st;
        l->fd = open(l->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (l->fd < 0)
            return false;
        bool locked = lock_take(l->fd);
        int number = errno == EACCES ? EAGAIN : errno;
        if (locked && fstat(l->fd, &st) == 0 && st.st_nlink > 0)
            return true;
        close(l->fd); /* its owner removed it between our two steps, or it is taken */
        l->fd = -1;
        if (!locked) {
            errno = number;
            return false;
        }
    }
}

static bool names_write(struct lease *l, const struct strlist *names, struct err *err)
{
    bool ok = ftruncate(l->fd, 0) == 0;
    for (size_t i = 0; ok && i < names->count; i++)
        ok = dprintf(l->fd, "%s\n", names->items[i]) > 0;
    return ok || err_errno(err, "write", l->path);
}

static bool address_try(struct lease *l, const char *dir, const struct cidr *address)
{
    char text[CIDR_TEXT];
    cidr_address_text(address, text);
    free(l->path);
    l->path = path_join(dir, text);
    l->address = *address;
    return file_take(l);
}

/* FNV-1a: where the search for a free address begins. */
static uint32_t hash(const struct strlist *names)
{
    uint32_t h = 2166136261u;
    for (const char *c = names->count ? names->items[0] : ""; *c; c++)
        h = (h ^ (unsigned char)*c) * 16777619u;
    return h;
}

/* Neither the network's own address nor the broadcast's nor the host's. */
static bool search(struct lease *l, const char *dir, const struct lan *lan,
                   const struct strlist *names, struct err *err)
{
    unsigned bits = 32 - lan->gateway.bits;
    uint32_t own = cidr_host_number(&lan->gateway);
    uint32_t size = bits >= 32 ? UINT32_MAX : (UINT32_C(1) << bits) - 2;
    uint32_t from = names->count ? hash(names) % size : 0;
    for (uint32_t i = 0; i < size && i < TRIES_MOST; i++) {
        uint32_t host = 1 + (from + i) % size;
        struct cidr address = cidr_host(&lan->gateway, host);
        if (host == own)
            continue;
        if (address_try(l, dir, &address))
            return true;
        if (errno != EAGAIN)
            return err_errno(err, "lock", l->path);
    }
    return err_set(err, OPS_EXIT_FAILED, "`ops network inspect` shows who is on it",
                   "no address is free in the network %s", lan->name);
}

static bool take_wanted(struct lease *l, const char *dir, const struct lan *lan,
                        const struct cidr *wanted, struct err *err)
{
    char text[CIDR_TEXT], net[CIDR_TEXT];
    struct cidr network = cidr_network(&lan->gateway), address = *wanted;
    uint32_t last = cidr_host_number(&(struct cidr){
        .family = network.family, .bits = network.bits, .bytes = {255, 255, 255, 255}});
    address.bits = lan->gateway.bits;
    cidr_address_text(&address, text);
    cidr_text(&network, net);
    uint32_t host = cidr_host_number(&address);
    if (!cidr_has(&network, &address) || host == 0 || host == last)
        return err_set(err, OPS_EXIT_USAGE, NULL, "%s is no address of the network %s (%s)", text,
                       lan->name, net);
    if (cidr_equal(&address, &lan->gateway))
        return err_set(err, OPS_EXIT_USAGE, "choose another one",
                       "%s is this host's address in the network %s", text, lan->name);
    if (address_try(l, dir, &address))
        return true;
    if (errno != EAGAIN)
        return err_errno(err, "lock", l->path);
    return err_set(err, OPS_EXIT_FAILED, "`ops network inspect` shows who is on it",
                   "the address %s is taken", text);
}

/* The IPv6 address has the same number in its network. */
static struct cidr address6_of(const struct lan *lan, const struct cidr *address)
{
    return lan->gateway6.family ? cidr_host(&lan->gateway6, cidr_host_number(address))
                                : (struct cidr){0};
}

bool lease_take(struct lease *l, const struct lan *lan, const struct cidr *wanted,
                const struct strlist *names, struct err *err)
{
    *l = (struct lease){.fd = -1};
    char *dir = lan_dir(lan, err);
    bool ok = dir && (path_make_dirs(dir) || err_errno(err, "make", dir));
    ok = ok &&
         (wanted->family ? take_wanted(l, dir, lan, wanted, err) : search(l, dir, lan, names, err));
    l->address.bits = lan->gateway.bits;
    l->address6 = ok ? address6_of(lan, &l->address) : (struct cidr){0};
    free(dir);
    return ok && names_write(l, names, err);
}

void lease_free(struct lease *l)
{
    if (l->fd >= 0) {
        unlink(l->path);
        close(l->fd);
    }
    free(l->path);
    *l = (struct lease){.fd = -1};
}

/* One file of the directory; false: nobody has it. */
static bool tenant_read(struct tenant *t, const struct lan *lan, const char *dir, const char *name)
{
    char text[NAMES_MOST];
    *t = (struct tenant){0};
    if (!cidr_parse_address(&t->address, name))
        return false;
    char *path = path_join(dir, name);
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    free(path);
    bool held = fd >= 0 && lock_held(fd);
    ssize_t n = held ? pread(fd, text, sizeof text - 1, 0) : 0;
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = 0;
    t->address.bits = lan->gateway.bits;
    t->address6 = address6_of(lan, &t->address);
    strlist_split(&t->names, text, "\n");
    return held;
}

void tenants_find(struct tenants *t, const struct lan *lan)
{
    struct err ignored = {0};
    struct strlist files = {0};
    char *dir = lan_dir(lan, &ignored);
    *t = (struct tenants){0};
    if (dir)
        path_names(dir, "", &files, &ignored);
    for (size_t i = 0; i < files.count; i++) {
        struct tenant one;
        if (tenant_read(&one, lan, dir, files.items[i])) {
            t->items = alloc_array(t->items, t->count + 1, sizeof *t->items);
            t->items[t->count++] = one;
        }
    }
    strlist_free(&files);
    free(dir);
    err_free(&ignored);
}

void tenants_free(struct tenants *t)
{
    for (size_t i = 0; i < t->count; i++)
        strlist_free(&t->items[i].names);
    free(t->items);
    *t = (struct tenants){0};
}

void leases_sweep(const struct lan *lan)
{
    struct err ignored = {0};
    struct strlist files = {0};
    char *dir = lan_dir(lan, &ignored);
    if (dir)
        path_names(dir, "", &files, &ignored);
    for (size_t i = 0; i < files.count; i++) {
        struct lease l = {.path = path_join(dir, files.items[i]), .fd = -1};
        if (file_take(&l))
            unlink(l.path);
        if (l.fd >= 0)
            close(l.fd);
        free(l.path);
    }
    strlist_free(&files);
    free(dir);
    err_free(&ignored);
}
