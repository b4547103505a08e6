/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets that wait for the card address of an IPv6 neighbour (RFC 4861 §7.2.2). lwIP keeps any
 * number of them, those for a router that never answers as long as the router is advertised, and
 * those for one whose address came by another way than an answer for ever. Under the stack lock.
 */
#pragma once

/*
 * Once a second: what waits for an address that is known is sent, and what waits for a router that
 * does not answer is dropped, as for anybody else.
 */
void neighbour_tick(void);
