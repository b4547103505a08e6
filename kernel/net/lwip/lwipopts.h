/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lwIP's configuration. The stack runs without an operating system of its own:
 * every call is made under the stack lock (net/stack.h), memory is the kernel's,
 * timers are ours (net/tcp_table.h).
 */
#pragma once

/* No threads, no timers, no memory pools of its own. */
#define NO_SYS                1
#define LWIP_TIMERS           0
#define SYS_LIGHTWEIGHT_PROT  0
#define LWIP_NETCONN          0
#define LWIP_SOCKET           0
#define MEM_CUSTOM_ALLOCATOR  1
#define MEM_CUSTOM_MALLOC     kmalloc
#define MEM_CUSTOM_FREE       kfree
#define MEM_CUSTOM_CALLOC     net_calloc
#define MEMP_MEM_MALLOC       1
#define MEM_ALIGNMENT         8
#define LWIP_STATS            1 /* those of net/netstat.c alone */
#define LWIP_STATS_DISPLAY    0
#define LINK_STATS            0
#define ETHARP_STATS          0
#define IP_STATS              0
#define IPFRAG_STATS          0
#define ICMP_STATS            0
#define IGMP_STATS            0
#define UDP_STATS             0
#define TCP_STATS             0
#define MEM_STATS             0
#define MEMP_STATS            0
#define SYS_STATS             0
#define IP6_STATS             0
#define IP6_FRAG_STATS        0
#define ICMP6_STATS           0
#define MLD6_STATS            0
#define ND6_STATS             0
#define MIB2_STATS            1
#define LWIP_CHKSUM_ALGORITHM 3

/* Link layer. */
#define LWIP_ETHERNET                1
#define LWIP_ARP                     1
#define ARP_TABLE_SIZE               512
#define ARP_QUEUEING                 1
#define ARP_QUEUE_LEN                16
#define ETHARP_TRUST_IP_MAC          0
#define LWIP_NETIF_HOSTNAME          1
#define LWIP_NETIF_LINK_CALLBACK     1
#define LWIP_NETIF_STATUS_CALLBACK   1
#define LWIP_NETIF_LOOPBACK          1
#define LWIP_HAVE_LOOPIF             1
#define LWIP_LOOPIF_MULTICAST        1
#define LWIP_LOOPBACK_MAX_PBUFS      1024
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1
#define LWIP_SUPPORT_CUSTOM_PBUF     1
#define LWIP_NETIF_TX_SINGLE_PBUF    0
#define ETH_PAD_SIZE                 0
#define LWIP_NUM_NETIF_CLIENT_DATA   1

/* IP. */
#define LWIP_IPV4                     1
#define IP_REASSEMBLY                 1
#define IP_REASS_MAX_PBUFS            1024
#define IP_REASS_MAXAGE               15
#define IP_FRAG                       1
#define IP_OPTIONS_ALLOWED            1
#define IP_FORWARD                    0
#define IP_DEFAULT_TTL                64
#define IP_SOF_BROADCAST              1
#define IP_SOF_BROADCAST_RECV         0
#define LWIP_ICMP                     1
#define LWIP_BROADCAST_PING           0
#define LWIP_MULTICAST_PING           0
#define LWIP_RAW                      1
#define LWIP_DHCP                     1
#define LWIP_DHCP_DOES_ACD_CHECK      0
#define LWIP_DHCP_GET_NTP_SRV         0
#define LWIP_DHCP_PROVIDE_DNS_SERVERS 3
#define LWIP_DNS                      1 /* for the kernel's own use: net/ntp.c */
#define DNS_MAX_SERVERS               3
#define DNS_TABLE_SIZE                2
#define LWIP_AUTOIP                   0
#define LWIP_ACD                      0
#define LWIP_IGMP                     1
#define LWIP_MULTICAST_TX_OPTIONS     1

#define LWIP_IPV6                     1
#define LWIP_IPV6_MLD                 1
#define LWIP_IPV6_AUTOCONFIG          1
#define LWIP_IPV6_NUM_ADDRESSES       4
#define LWIP_IPV6_DUP_DETECT_ATTEMPTS 1
#define LWIP_IPV6_REASS               1
#define LWIP_IPV6_FRAG                1
#define IPV6_FRAG_COPYHEADER          1
#define LWIP_IPV6_SEND_ROUTER_SOLICIT 1
#define LWIP_IPV6_DHCP6               0
#define LWIP_ND6_NUM_NEIGHBORS        32
#define LWIP_ND6_NUM_DESTINATIONS     64
#define LWIP_ND6_NUM_PREFIXES         8
#define LWIP_ND6_NUM_ROUTERS          4
#define LWIP_ND6_QUEUEING             1

/* UDP. */
#define LWIP_UDP             1
#define LWIP_UDPLITE         0
#define LWIP_NETBUF_RECVINFO 0

/* TCP: see net/tcp_table.h for timers and look-up. */
#define LWIP_TCP                   1
#define TCP_LISTEN_BACKLOG         0    /* net/tcp_listen.c */
#define TCP_MSS                    8960 /* the most announced; the device's MTU cuts it */
#define TCP_CALCULATE_EFF_SEND_MSS 1
#define LWIP_WND_SCALE             1
#define TCP_RCV_SCALE              7
#define TCP_WND                    (1024 * 1024)
#define TCP_SND_BUF                (1024 * 1024)
#define TCP_SND_QUEUELEN           8192
#define MEMP_NUM_TCP_SEG           8192
#define TCP_SNDLOWAT               2048
#define TCP_SNDQUEUELOWAT          4096
#define TCP_WND_UPDATE_THRESHOLD   (32 * 1024)
#define LWIP_TCP_TIMESTAMPS        1
#define LWIP_TCP_SACK_OUT          1
#define LWIP_TCP_MAX_SACK_NUM      4
#define TCP_QUEUE_OOSEQ            1
#define TCP_OOSEQ_MAX_BYTES        (1024 * 1024)
#define TCP_OOSEQ_MAX_PBUFS        1024
#define TCP_OVERSIZE               0
#define LWIP_TCP_KEEPALIVE         1
#define TCP_TMR_INTERVAL           10 /* ms: delayed acknowledgements */
#define TCP_SLOW_INTERVAL          20 /* ms: what retransmission timers count */
#define LWIP_TCP_RTO_TIME          1000
#define TCP_MSL                    30000
#define TCP_MAXRTX                 12
#define TCP_SYNMAXRTX              12 /* the most; TCP_SYNCNT: net/tcp_options.c */
#define SO_REUSE                   1
#define SO_REUSE_RXTOALL           1
#define LWIP_CALLBACK_API          1
/* Segment sizes: net/tcp_table.c; 2: net/tcp_listen.c; 3: net/tcp_urgent.c. */
#define LWIP_TCP_PCB_NUM_EXT_ARGS 4

/* Checksums are left to the device where it computes them (net/link.h). */
#define CHECKSUM_GEN_IP       1
#define CHECKSUM_GEN_UDP      1
#define CHECKSUM_GEN_TCP      1
#define CHECKSUM_CHECK_IP     1
#define CHECKSUM_CHECK_UDP    1
#define CHECKSUM_CHECK_TCP    1
#define LWIP_CHECKSUM_ON_COPY 0

#define LWIP_HOOK_FILENAME             "net/lwip/hooks.h"
#define LWIP_HOOK_TCP_ISN              net_tcp_isn
#define DHCP_ADD_EXTRA_REQUEST_OPTIONS , 12, 15, 26, 42, 119, 121 /* net/dhcp_options.c */
#define LWIP_HOOK_DHCP_PARSE_OPTION(netif, dhcp, state, msg, type, option, len, p, offset)         \
    net_dhcp_option(ip_current_input_netif(), msg, type, option, len, p, offset)
#define LWIP_HOOK_IP4_INPUT net_ip4_input
#define LWIP_HOOK_IP4_ROUTE net_ip4_route

#define LWIP_HOOK_ETHARP_GET_GW(netif, dest) net_ip4_gateway(netif, dest)
#define LWIP_HOOK_IP6_INPUT                  net_ip6_input

#define LWIP_HOOK_ND6_GET_GW(netif, dest) net_ip6_gateway(netif)
