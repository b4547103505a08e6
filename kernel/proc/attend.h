/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to a running machine, over the stream ops.instance: include/ops/control.h. */
#pragma once

/* Starts to answer, where the stream is. After control_init(), which finds the streams. */
void attend_init(void);
