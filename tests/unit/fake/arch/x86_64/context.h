/* SPDX-License-Identifier: Apache-2.0 */
/* Host stand-in: threads are never switched. */
#pragma once

struct context {
    int unused;
};
