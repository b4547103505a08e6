/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/net/snmp and /proc/net/netstat (proc(5)): a line of names, a line of numbers. See
 * netstat.h. */
#include "net/netstat.h"

#include "dev/netdev.h"
#include "fs/seq.h"
#include "lwip/stats.h"
#include "net/inet.h"
#include "net/tcp_socket.h"

#define TCP_RTO_VANJ     4 /* tcpRtoAlgorithm: Van Jacobson's */
#define TCP_RTO_MIN      200
#define TCP_RTO_MAX      120000
#define TCP_ESTABLISHED4 1 /* as /proc/net/tcp numbers states */
#define TCP_CLOSE_WAIT4  8

struct net_counters net_counters;

struct column {
    const char *name;
    uint64_t value;
};

static void lines_put(struct seq *s, const char *group, const struct column *column, unsigned count)
{
    seq_printf(s, "%s:", group);
    for (unsigned i = 0; i < count; i++)
        seq_printf(s, " %s", column[i].name);
    seq_printf(s, "\n%s:", group);
    for (unsigned i = 0; i < count; i++)
        seq_printf(s, " %lu", column[i].value);
    seq_text(s, "\n");
}

static void ip_put(struct seq *s, const struct stats_mib2 *m)
{
    const struct column c[] = {{"Forwarding", 2}, /* no */
                               {"DefaultTTL", IP_DEFAULT_TTL},
                               {"InReceives", m->ipinreceives},
                               {"InHdrErrors", m->ipinhdrerrors},
                               {"InAddrErrors", m->ipinaddrerrors},
                               {"ForwDatagrams", m->ipforwdatagrams},
                               {"InUnknownProtos", m->ipinunknownprotos},
                               {"InDiscards", m->ipindiscards},
                               {"InDelivers", m->ipindelivers},
                               {"OutRequests", m->ipoutrequests},
                               {"OutDiscards", m->ipoutdiscards},
                               {"OutNoRoutes", m->ipoutnoroutes},
                               {"ReasmTimeout", 0},
                               {"ReasmReqds", m->ipreasmreqds},
                               {"ReasmOKs", m->ipreasmoks},
                               {"ReasmFails", m->ipreasmfails},
                               {"FragOKs", m->ipfragoks},
                               {"FragFails", m->ipfragfails},
                               {"FragCreates", m->ipfragcreates}};
    lines_put(s, "Ip", c, ARRAY_SIZE(c));
}

static void icmp_put(struct seq *s, const struct stats_mib2 *m)
{
    const struct column c[] = {{"InMsgs", m->icmpinmsgs},
                               {"InErrors", m->icmpinerrors},
                               {"InDestUnreachs", m->icmpindestunreachs},
                               {"InTimeExcds", m->icmpintimeexcds},
                               {"InParmProbs", m->icmpinparmprobs},
                               {"InSrcQuenchs", m->icmpinsrcquenchs},
                               {"InRedirects", m->icmpinredirects},
                               {"InEchos", m->icmpinechos},
                               {"InEchoReps", m->icmpinechoreps},
                               {"InTimestamps", m->icmpintimestamps},
                               {"InTimestampReps", m->icmpintimestampreps},
                               {"InAddrMasks", m->icmpinaddrmasks},
                               {"InAddrMaskReps", m->icmpinaddrmaskreps},
                               {"OutMsgs", m->icmpoutmsgs},
                               {"OutErrors", m->icmpouterrors},
                               {"OutDestUnreachs", m->icmpoutdestunreachs},
                               {"OutTimeExcds", m->icmpouttimeexcds},
                               {"OutEchos", m->icmpoutechos},
                               {"OutEchoReps", m->icmpoutechoreps}};
    lines_put(s, "Icmp", c, ARRAY_SIZE(c));
}

static void count_open(void *arg, const struct inet_view *v)
{
    uint64_t *n = arg;
    *n += v->state == TCP_ESTABLISHED4 || v->state == TCP_CLOSE_WAIT4;
}

static void tcp_put(struct seq *s, const struct stats_mib2 *m)
{
    uint64_t open = 0;
    tcp_each(count_open, &open);
    const struct column c[] = {{"RtoAlgorithm", TCP_RTO_VANJ},
                               {"RtoMin", TCP_RTO_MIN},
                               {"RtoMax", TCP_RTO_MAX},
                               {"MaxConn", 0},
                               {"ActiveOpens", m->tcpactiveopens},
                               {"PassiveOpens", m->tcppassiveopens},
                               {"AttemptFails", net_counters.connects_failed},
                               {"EstabResets", net_counters.resets},
                               {"CurrEstab", open},
                               {"InSegs", m->tcpinsegs},
                               {"OutSegs", net_counters.tcp_sent - m->tcpretranssegs},
                               {"RetransSegs", m->tcpretranssegs},
                               {"InErrs", m->tcpinerrs},
                               {"OutRsts", m->tcpoutrsts}};
    lines_put(s, "Tcp", c, ARRAY_SIZE(c));
}

static void udp_put(struct seq *s, const struct stats_mib2 *m)
{
    const struct column c[] = {{"InDatagrams", m->udpindatagrams - net_counters.udp_full},
                               {"NoPorts", m->udpnoports},
                               {"InErrors", m->udpinerrors + net_counters.udp_full},
                               {"OutDatagrams", m->udpoutdatagrams},
                               {"RcvbufErrors", net_counters.udp_full}};
    lines_put(s, "Udp", c, ARRAY_SIZE(c));
}

int netstat_snmp_text(struct seq *s)
{
    int err = stack_enter();
    if (err)
        return err;
    const struct stats_mib2 *m = &lwip_stats.mib2;
    ip_put(s, m);
    icmp_put(s, m);
    tcp_put(s, m);
    udp_put(s, m);
    stack_unlock();
    return 0;
}

struct bytes {
    uint64_t in, out;
};

static int bytes_add(struct netdev *d, void *arg)
{
    struct bytes *b = arg;
    b->in += d->received_bytes;
    b->out += d->sent_bytes;
    return 0;
}

/* Only what is counted here stands there: each column has its name. */
int netstat_text(struct seq *s)
{
    struct bytes b = {0};
    int err = stack_enter();
    if (err)
        return err;
    netdev_for_each(bytes_add, &b);
    const struct net_counters *n = &net_counters;
    const struct column tcp[] = {{"PAWSEstab", n->stale},
                                 {"ListenOverflows", n->listen_overflows},
                                 {"ListenDrops", n->listen_overflows + n->half_open_drops},
                                 {"TCPReqQFullDrop", n->half_open_drops},
                                 {"TCPChallengeACK", n->challenges},
                                 {"TCPACKSkippedChallenge", n->unchallenged}};
    const struct column ip[] = {{"InOctets", b.in}, {"OutOctets", b.out}};
    lines_put(s, "TcpExt", tcp, ARRAY_SIZE(tcp));
    lines_put(s, "IpExt", ip, ARRAY_SIZE(ip));
    stack_unlock();
    return 0;
}
