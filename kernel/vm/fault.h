/* SPDX-License-Identifier: Apache-2.0 */
/* Page faults of the program, or of the kernel on its behalf: see upcalls.h fault_handle(). */
#pragma once

/* Why a fault could not be resolved; left in thread->fault for the signal. */
enum fault {
    FAULT_NONE,
    FAULT_MAPERR, /* nothing mapped there */
    FAULT_ACCERR, /* mapped, but not for this access */
    FAULT_BUS,    /* beyond the end of the file, or it cannot be read */
    FAULT_OOM,    /* no memory for the page */
};
