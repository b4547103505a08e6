/* SPDX-License-Identifier: Apache-2.0 */
/* By /proc: the socket's inode in net/tcp (udp), then the process with a descriptor of it. */
#include "portowner.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"

/* The inode of the first socket bound to the port; 0: none. */
static unsigned long socket_inode(const char *table, uint16_t port)
{
    char line[512];
    unsigned long inode = 0;
    FILE *f = fopen(table, "re");
    while (f && !inode && fgets(line, sizeof line, f)) {
        unsigned local, state;
        unsigned long found;
        if (sscanf(line, " %*d: %*[0-9A-F]:%x %*s %x %*s %*s %*s %*d %*d %lu", &local, &state,
                   &found) == 3 &&
            local == port && (state == 0x0a || state == 0x07)) /* LISTEN; UDP's unconnected */
            inode = found;
    }
    if (f)
        fclose(f);
    return inode;
}

static bool process_has(const char *pid, const char *link)
{
    char path[600], target[64];
    snprintf(path, sizeof path, "/proc/%s/fd", pid);
    DIR *d = opendir(path);
    bool found = false;
    for (struct dirent *e; d && !found && (e = readdir(d));) {
        snprintf(path, sizeof path, "/proc/%s/fd/%s", pid, e->d_name);
        ssize_t n = readlink(path, target, sizeof target - 1);
        if (n > 0) {
            target[n] = '\0';
            found = strcmp(target, link) == 0;
        }
    }
    if (d)
        closedir(d);
    return found;
}

static char *process_name(const char *pid)
{
    char path[300], name[32] = "a process";
    snprintf(path, sizeof path, "/proc/%s/comm", pid);
    FILE *f = fopen(path, "re");
    if (f) {
        if (fgets(name, sizeof name, f))
            name[strcspn(name, "\n")] = '\0';
        fclose(f);
    }
    return alloc_printf("%s (pid %s)", name, pid);
}

char *port_owner(uint16_t port, bool udp, bool v6)
{
    static const char *const tables[] = {"/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp",
                                         "/proc/net/udp6"};
    char link[64], *found = NULL;
    unsigned long inode = socket_inode(tables[2 * udp + v6], port);
    if (!inode) /* a socket of IPv6 may have both */
        inode = socket_inode(tables[2 * udp + !v6], port);
    if (!inode)
        return NULL;
    snprintf(link, sizeof link, "socket:[%lu]", inode);
    DIR *d = opendir("/proc");
    for (struct dirent *e; d && !found && (e = readdir(d));)
        if (e->d_name[0] >= '0' && e->d_name[0] <= '9' && process_has(e->d_name, link))
            found = process_name(e->d_name);
    if (d)
        closedir(d);
    return found;
}
