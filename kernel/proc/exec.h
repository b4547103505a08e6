/* SPDX-License-Identifier: Apache-2.0 */
/* Starting the program that the manifest names. */
#pragma once

/* Loads it, builds its stack and starts its first thread; reports and ends the machine on failure.
 */
void exec_program(void);
