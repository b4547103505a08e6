/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of Linux' socket interface that no UAPI header holds. */
#pragma once

#include "lib/types.h"

#define AF_UNSPEC  0
#define AF_UNIX    1
#define AF_INET    2
#define AF_INET6   10
#define AF_NETLINK 16
#define AF_MAX     46

#define SOCK_STREAM    1
#define SOCK_DGRAM     2
#define SOCK_RAW       3
#define SOCK_SEQPACKET 5
#define SOCK_PACKET    10
#define SOCK_TYPE_MASK 15
#define SOCK_NONBLOCK  04000
#define SOCK_CLOEXEC   02000000

#define SOL_SOCKET  1
#define SOL_NETLINK 270

#define MSG_OOB          1u
#define MSG_PEEK         2u
#define MSG_CTRUNC       8u
#define MSG_TRUNC        0x20u
#define MSG_DONTWAIT     0x40u
#define MSG_EOR          0x80u
#define MSG_WAITALL      0x100u
#define MSG_NOSIGNAL     0x4000u
#define MSG_MORE         0x8000u
#define MSG_WAITFORONE   0x10000u
#define MSG_ERRQUEUE     0x2000u
#define MSG_CMSG_CLOEXEC 0x40000000u

#define ARPHRD_ETHER    1
#define ARPHRD_LOOPBACK 772

#define SCM_RIGHTS      1
#define SCM_CREDENTIALS 2
#define SCM_FILES_MAX   253

/* <linux/errqueue.h> does not compile without a C library. */
struct sock_extended_err {
    uint32_t ee_errno;
    uint8_t ee_origin, ee_type, ee_code, ee_pad;
    uint32_t ee_info, ee_data;
};
#define SO_EE_ORIGIN_ICMP  2
#define SO_EE_ORIGIN_ICMP6 3

#define SHUT_RD   0
#define SHUT_WR   1
#define SHUT_RDWR 2
