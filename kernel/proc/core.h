/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Core files: an ELF image of the dying program, written to the stream
 * OPS_PORT_CORE. Registers of all threads, and the pages that are the program's
 * own; what files hold is left to the files.
 */
#pragma once

/*
 * Writes it. The other threads must have been parked (process.keep_threads). Gives up with
 * a warning when memory for the headers is out. May sleep.
 */
void core_write(int sig);
