/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended state (x87, SSE, AVX, AVX-512): XSAVE areas with everything XCR0
 * offers, or FXSAVE areas where there is no XSAVE.
 */
#pragma once

#include "lib/types.h"

/* Bytes of an area in the standard (non-compacted) format; multiple of 64. */
extern uint32_t fpu_area_size;
/* The bits of XCR0; 3 without XSAVE. */
extern uint64_t fpu_mask;

void fpu_setup(void); /* on each CPU */
/* Fills an area, 64-byte aligned, with the state of a new program. */
void fpu_area_init(void *area);
void fpu_save(void *area);
void fpu_restore(const void *area);
/* Unmasked exception flags that are raised (IE DE ZE OE UE PE), of SSE or of the x87. */
uint32_t fpu_exceptions(bool sse);
/* False if a reserved bit is set; XRSTOR faults then, but not QEMU's. */
bool fpu_mxcsr_valid(uint32_t mxcsr);
/* False if loading the area would fault: reserved bits in XSTATE_BV, header or MXCSR. */
bool fpu_area_valid(const void *area);
