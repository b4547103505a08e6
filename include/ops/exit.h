/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exit statuses of the `ops` tool. `ops run` passes the program's own status
 * through (0..255; killed by signal n: 128 + n); what follows is for the rest.
 */
#pragma once

enum {
    OPS_EXIT_OK = 0,
    OPS_EXIT_FAILED = 1,    /* the command could not do what was asked */
    OPS_EXIT_USAGE = 2,     /* the command line or the configuration is wrong */
    OPS_EXIT_TIMEOUT = 124, /* `ops run --timeout`: the program's time was over, as timeout(1) */
    OPS_EXIT_CRASH = 125,   /* `ops run`: the kernel panicked or the machine failed */
};
