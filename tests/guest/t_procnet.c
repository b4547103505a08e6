/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/net and /sys/class/net show what there is: proc(5). */
#include "guest.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

static char text[1 << 20];

static const char *slurp(const char *path)
{
    size_t n = 0;
    ssize_t r;
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0);
    while ((r = read(fd, text + n, sizeof text - 1 - n)) > 0)
        n += (size_t)r;
    text[n] = '\0';
    close(fd);
    return text;
}

static unsigned bound(int fd, int family)
{
    union {
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } a;
    socklen_t n = family == AF_INET ? sizeof a.v4 : sizeof a.v6;
    memset(&a, 0, sizeof a);
    a.v4.sin_family = (sa_family_t)family;
    if (family == AF_INET)
        a.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else
        a.v6.sin6_addr = in6addr_loopback;
    CHECK(bind(fd, (void *)&a, n) == 0 && getsockname(fd, (void *)&a, &n) == 0);
    return ntohs(a.v4.sin_port);
}

/* A line of a list of sockets: the state, and the inode as fstat tells it. */
static bool listed(const char *path, const char *address, unsigned port, unsigned state, int fd)
{
    char key[64];
    struct stat st;
    snprintf(key, sizeof key, " %s:%04X ", address, port);
    CHECK(fstat(fd, &st) == 0);
    for (const char *line = slurp(path); line && *line; line = strchr(line + 1, '\n')) {
        unsigned s, uid;
        unsigned long inode;
        const char *at = strstr(line, key);
        if (!at || (strchr(line + 1, '\n') && at > strchr(line + 1, '\n')))
            continue;
        CHECK(sscanf(at + strlen(key), "%*s %X %*s %*s %*s %u %*s %lu", &s, &uid, &inode) == 3);
        if (s == state && inode == st.st_ino)
            return true;
    }
    return false;
}

TEST(tcp)
{
    int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);
    unsigned port = bound(l, AF_INET);
    struct sockaddr_in a = {AF_INET, htons((uint16_t)port), {htonl(INADDR_LOOPBACK)}, {0}};
    CHECK(!listed("/proc/net/tcp", "0100007F", port, 10, l));
    CHECK(listen(l, 3) == 0 && listed("/proc/net/tcp", "0100007F", port, 10, l));
    CHECK(connect(c, (void *)&a, sizeof a) == 0);
    int s = accept(l, NULL, NULL);
    CHECK(listed("/proc/net/tcp", "0100007F", port, 1, s));
    close(s);
    close(l);
    CHECK(!listed("/proc/net/tcp", "0100007F", port, 10, c));
    close(c);
}

TEST(six)
{
    static const char one[] = "00000000000000000000000001000000";
    int l = socket(AF_INET6, SOCK_STREAM, 0), u = socket(AF_INET6, SOCK_DGRAM, 0);
    unsigned port = bound(l, AF_INET6), other = bound(u, AF_INET6);
    CHECK(listen(l, 3) == 0 && listed("/proc/net/tcp6", one, port, 10, l));
    CHECK(listed("/proc/net/udp6", one, other, 7, u));
    close(l);
    close(u);
}

TEST(udp)
{
    int u = socket(AF_INET, SOCK_DGRAM, 0);
    unsigned port = bound(u, AF_INET);
    CHECK(listed("/proc/net/udp", "0100007F", port, 7, u));
    close(u);
}

TEST(local)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int n = snprintf(a.sun_path + 1, 50, "guest-proc-%d", (int)getpid());
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(bind(s, (void *)&a,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) == 0);
    a.sun_path[0] = '@';
    CHECK(strstr(slurp("/proc/net/unix"), a.sun_path));
    close(s);
    CHECK(!strstr(slurp("/proc/net/unix"), a.sun_path));
}

TEST(tables)
{
    CHECK(strstr(slurp("/proc/net/dev"), "    lo:"));
    CHECK(!strncmp(slurp("/proc/net/route"), "Iface\tDestination\tGateway \tFlags", 32));
    CHECK(!strncmp(slurp("/proc/net/arp"), "IP address       HW type     Flags ", 35));
    CHECK(strstr(slurp("/proc/net/sockstat"), "TCP: inuse "));
    CHECK(strstr(slurp("/proc/net/igmp"), "lo        :"));
    CHECK(strstr(slurp("/proc/net/raw"), "local_address"));
}

TEST(sys_class)
{
    CHECK(!strcmp(slurp("/sys/class/net/lo/address"), "00:00:00:00:00:00\n"));
    CHECK(!strcmp(slurp("/sys/class/net/lo/mtu"), "65536\n"));
    CHECK(!strcmp(slurp("/sys/class/net/lo/ifindex"), "1\n"));
    CHECK(!strcmp(slurp("/sys/class/net/lo/flags"), "0x9\n"));
    CHECK(!strcmp(slurp("/sys/class/net/lo/operstate"), "unknown\n"));
}
