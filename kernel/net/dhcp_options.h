/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a DHCP lease says beyond address, router and name servers (RFC 2132, 3397, 3442): the
 * machine's name, MTU, time servers, domains, routes. lwIP hands over the options it does not know
 * (net_dhcp_option()). Under the stack lock.
 */
#pragma once

#define DHCP_SEARCH_LEN 256

/* Once a second, and when an address has changed: the gateway is the one that routes name. */
void dhcp_options_apply(void);
/* The domains to look names up in, with spaces between; "": none were told. */
const char *dhcp_search(void);
/* The domain of the machine (option 15); "" likewise. */
const char *dhcp_domain(void);
