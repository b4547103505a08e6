/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control messages (cmsg(3)): what sendmsg(2) and recvmsg(2) carry beside data.
 * Each is a header of 16 bytes and its data, and begins at a multiple of 8.
 */
#pragma once

#include "net/socket.h"

#define CONTROL_MAX 20480u /* most bytes of one send, as net.core.optmem_max */

struct control_message {
    int level, type;
    const void *data;
    size_t len;
};

/*
 * The next one of a send; *at begins with 0. 1, 0 (no more), -EINVAL (its length
 * does not fit).
 */
int control_next(const struct message *m, size_t *at, struct control_message *out);
/*
 * One more for the receiver; what does not fit is cut, and MSG_CTRUNC says so. An
 * address that cannot be written to ends the list.
 */
void control_put(struct message *m, int level, int type, const void *data, size_t len);
/* Bytes of data that one more could hold. */
size_t control_room(const struct message *m);
