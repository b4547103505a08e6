/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network's part of the program's end: sockets are closed as Linux closes them, and the machine
 * stays until what was sent has arrived.
 */
#pragma once

struct fd_table;

/*
 * Closes the sockets of a program that does not run any more, and waits: for data that the other
 * ends do not acknowledge up to FINISH_STALL, while they do up to FINISH_MOST, and shortly for the
 * acknowledgement of the end of a connection and for the devices. Sleeps.
 */
void net_finish(struct fd_table *fds);

#define FINISH_STALL 5  /* seconds */
#define FINISH_MOST  60 /* likewise */
