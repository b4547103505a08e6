/* SPDX-License-Identifier: Apache-2.0 */
/* Limits and states of TCP connections as Linux tells them. Under the stack lock. */
#pragma once

#include "lwip/tcp.h"

/* As /proc/net/tcp and TCP_INFO number them; 1 is established. */
enum {
    TCP_STATE_SYN_SENT = 2,
    TCP_STATE_SYN_RECV,
    TCP_STATE_FIN_WAIT1,
    TCP_STATE_FIN_WAIT2,
    TCP_STATE_TIME_WAIT,
    TCP_STATE_CLOSE,
    TCP_STATE_CLOSE_WAIT,
    TCP_STATE_LAST_ACK,
    TCP_STATE_LISTEN,
    TCP_STATE_CLOSING
};
uint8_t tcp_state_of(const struct tcp_pcb *pcb);
/* TCP_USER_TIMEOUT and TCP_SYNCNT. Once a second. */
void tcp_options_tick(void);
