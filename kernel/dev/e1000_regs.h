/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers and descriptors of Intel's gigabit cards: 8254x (PCI/PCI-X Family of Gigabit Ethernet
 * Controllers Software Developer's Manual, §3 and §13) and 82574 (its datasheet, §7 and §10).
 */
#pragma once

#include "lib/types.h"

#define E1000_MAPPED 0x6000 /* bytes of BAR 0 that hold what is below */

#define E1000_CTRL   0x0000
#define E1000_STATUS 0x0008
#define E1000_ICR    0x00c0 /* causes; reading clears them while all are masked */
#define E1000_IMS    0x00d0
#define E1000_IMC    0x00d8
#define E1000_IVAR   0x00e4 /* 82574: vector of each cause */
#define E1000_RCTL   0x0100
#define E1000_TCTL   0x0400
#define E1000_TIPG   0x0410
#define E1000_RDBAL  0x2800
#define E1000_RDBAH  0x2804
#define E1000_RDLEN  0x2808
#define E1000_RDH    0x2810
#define E1000_RDT    0x2818
#define E1000_TDBAL  0x3800
#define E1000_TDBAH  0x3804
#define E1000_TDLEN  0x3808
#define E1000_TDH    0x3810
#define E1000_TDT    0x3818
#define E1000_RXCSUM 0x5000
#define E1000_MTA    0x5200 /* 128 words */
#define E1000_RAL    0x5400
#define E1000_RAH    0x5404

#define CTRL_FD   (1u << 0)
#define CTRL_ASDE (1u << 5)
#define CTRL_SLU  (1u << 6)
#define CTRL_RST  (1u << 26)

#define STATUS_LU (1u << 1)

#define CAUSE_TXDW  (1u << 0)
#define CAUSE_LSC   (1u << 2)
#define CAUSE_RXO   (1u << 6)
#define CAUSE_RXT0  (1u << 7)
#define CAUSE_RXQ0  (1u << 20) /* with MSI-X, as the next two */
#define CAUSE_TXQ0  (1u << 22)
#define CAUSE_OTHER (1u << 24)

#define IVAR_ALL_TO_0 (8u | 8u << 8 | 8u << 16) /* receive, transmit, other: vector 0, valid */

#define RCTL_EN    (1u << 1)
#define RCTL_MPE   (1u << 4)  /* all multicast */
#define RCTL_BAM   (1u << 15) /* broadcast */
#define RCTL_SECRC (1u << 26) /* no frame check sequence in memory; buffers of 2048 bytes by 0 */

#define TCTL_EN    (1u << 1)
#define TCTL_PSP   (1u << 3)
#define TCTL_CT    (15u << 4)
#define TCTL_COLD  (64u << 12)
#define TIPG_USUAL (10u | 8u << 10 | 6u << 20)

#define RXCSUM_TUOFL (1u << 9)

#define RAH_AV (1u << 31)

struct e1000_rx {
    uint64_t address;
    uint16_t length;
    uint16_t checksum;
    uint8_t status;
    uint8_t errors;
    uint16_t special;
};

#define RX_DD    0x01
#define RX_EOP   0x02
#define RX_IXSM  0x04 /* what is said of checksums means nothing */
#define RX_UDPCS 0x10 /* 82574 */
#define RX_TCPCS 0x20
#define RX_TCPE  0x20 /* in errors, as those that spoil a frame: */
#define RX_SPOIL 0x97 /* CE, SE, SEQ, CXE, RXE */

/* A data descriptor, or where the type says so the context of those that follow. */
struct e1000_tx {
    uint64_t address; /* context: struct e1000_context */
    uint32_t command; /* length in the low 20 bits */
    uint32_t status;  /* context: header << 8 | segment << 16 */
};

/* Byte positions in the frame: start of the sum, its field, last byte summed (0: the frame's). */
struct e1000_context {
    uint8_t ip_start, ip_field;
    uint16_t ip_last;
    uint8_t start, field;
    uint16_t last;
};

#define TX_TYPE_DATA (1u << 20)
#define TX_EOP       (1u << 24) /* in a context: */
#define TX_TCP       (1u << 24)
#define TX_IFCS      (1u << 25)
#define TX_IP4       (1u << 25)
#define TX_TSE       (1u << 26)
#define TX_RS        (1u << 27) /* write DD when it is out */
#define TX_DEXT      (1u << 29)
#define TX_DD        (1u << 0)
#define TX_IXSM      (1u << 8)
#define TX_TXSM      (1u << 9)
