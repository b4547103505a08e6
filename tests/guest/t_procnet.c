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

/* A number of /proc/net/snmp or netstat: a line of names, a line of numbers. */
static long counter(const char *path, const char *group, const char *name)
{
    size_t n = strlen(group);
    for (char *names = (char *)slurp(path); names; names = strchr(names, '\n')) {
        names += *names == '\n';
        char *values = strchr(names, '\n');
        if (!values || strncmp(names, group, n) != 0 || names[n] != ':')
            continue;
        char *end = values++, *after, *save1, *save2;
        *end = '\0';
        after = strchr(values, '\n');
        CHECK(after && !strncmp(values, group, n));
        *after = '\0';
        char *a = strtok_r(names, " ", &save1), *b = strtok_r(values, " ", &save2);
        while (a && strcmp(a, name) != 0) {
            a = strtok_r(NULL, " ", &save1);
            b = strtok_r(NULL, " ", &save2);
        }
        if (a && b)
            return strtol(b, NULL, 10);
        *end = *after = '\n';
        names = after;
    }
    return -1;
}

static long snmp(const char *group, const char *name)
{
    long v = counter("/proc/net/snmp", group, name);
    CHECK(v >= 0);
    return v;
}

/* What netstat -s and ss -s read grows with what is done; others may do something too. */
TEST(statistics_udp)
{
    int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0), small = 1;
    struct sockaddr_in to = {
        AF_INET, htons((uint16_t)bound(a, AF_INET)), {htonl(INADDR_LOOPBACK)}, {0}};
    long in = snmp("Udp", "InDatagrams"), out = snmp("Udp", "OutDatagrams"),
         delivers = snmp("Ip", "InDelivers"), full = snmp("Udp", "RcvbufErrors"),
         none = snmp("Udp", "NoPorts"), icmp = snmp("Icmp", "OutDestUnreachs"),
         told = snmp("Icmp", "InDestUnreachs");
    char c[1000] = {0};
    for (int i = 0; i < 10; i++) {
        CHECK(sendto(b, "x", 1, 0, (void *)&to, sizeof to) == 1);
        CHECK(recv(a, c, 1, 0) == 1);
    }
    CHECK(snmp("Udp", "InDatagrams") >= in + 10 && snmp("Udp", "OutDatagrams") >= out + 10);
    CHECK(snmp("Ip", "InDelivers") >= delivers + 10 && snmp("Ip", "InReceives") >= 10);
    CHECK(snmp("Udp", "RcvbufErrors") == full);
    CHECK(setsockopt(a, SOL_SOCKET, SO_RCVBUF, &small, sizeof small) == 0);
    for (int i = 0; i < 20; i++)
        CHECK(sendto(b, c, sizeof c, 0, (void *)&to, sizeof to) == sizeof c);
    CHECK(snmp("Udp", "RcvbufErrors") >= full + 10);
    close(a);
    CHECK(sendto(b, "x", 1, 0, (void *)&to, sizeof to) == 1);
    CHECK(snmp("Udp", "NoPorts") > none && snmp("Icmp", "OutDestUnreachs") > icmp);
    CHECK(snmp("Icmp", "InDestUnreachs") > told);
    close(b);
}

TEST(statistics_tcp)
{
    int l = socket(AF_INET, SOCK_STREAM, 0), c[5];
    unsigned port = bound(l, AF_INET);
    struct sockaddr_in to = {AF_INET, htons((uint16_t)port), {htonl(INADDR_LOOPBACK)}, {0}};
    long active = snmp("Tcp", "ActiveOpens"), passive = snmp("Tcp", "PassiveOpens"),
         in = snmp("Tcp", "InSegs"), out = snmp("Tcp", "OutSegs"), resets = snmp("Tcp", "OutRsts"),
         failed = snmp("Tcp", "AttemptFails");
    CHECK(listen(l, 10) == 0);
    for (int i = 0; i < 5; i++) {
        c[i] = socket(AF_INET, SOCK_STREAM, 0);
        CHECK(connect(c[i], (void *)&to, sizeof to) == 0);
    }
    CHECK(snmp("Tcp", "ActiveOpens") >= active + 5 && snmp("Tcp", "PassiveOpens") >= passive + 5);
    CHECK(snmp("Tcp", "InSegs") >= in + 15 && snmp("Tcp", "OutSegs") >= out + 15);
    CHECK(snmp("Tcp", "CurrEstab") >= 10);
    CHECK(snmp("Tcp", "OutRsts") == resets);
    for (int i = 0; i < 5; i++)
        close(c[i]);
    close(l);
    int refused = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(FAILS(connect(refused, (void *)&to, sizeof to), ECONNREFUSED));
    CHECK(snmp("Tcp", "OutRsts") > resets && snmp("Tcp", "AttemptFails") > failed);
    close(refused);
    CHECK(counter("/proc/net/netstat", "TcpExt", "ListenOverflows") >= 0);
    CHECK(counter("/proc/net/netstat", "IpExt", "InOctets") >= 0);
}
