/* SPDX-License-Identifier: Apache-2.0 */
/* Results of interrupted calls that the program never sees; the rest stands in file/wait.h. */
#pragma once

#define ERESTARTNOINTR        513 /* always restart */
#define ERESTART_RESTARTBLOCK 516 /* restart through restart_syscall(2): task->restart */
