/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program that is measured, the same bytes on every kernel (PID 1 on Linux).
 * A row is a line `NAME NANOSECONDS TICKS` per operation; ticks are the TSC's: under
 * -icount shift=0 guest instructions. Who cannot measure ends the program.
 */
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ROUNDS      5
#define SLOW_ROUNDS 2

/*
 * Prints a row: run(n) does the operation n times. The best of ROUNDS rounds counts:
 * the first one also pays for the translation of the code.
 */
void measure(const char *name, void (*run)(long n), long n);
/* The same; before each round, outside the measurement, comes before(). */
void measure_after(const char *name, void (*before)(void), void (*run)(long n), long n);
/* The same with SLOW_ROUNDS and, in ticks, without the time in which the CPU had nothing to do. */
void measure_slow(const char *name, void (*before)(void), void (*run)(long n), long n);
/* Ends the program if the condition does not hold. */
#define NEED(cond) ((cond) ? (void)0 : need_failed(__FILE__, __LINE__, #cond))
_Noreturn void need_failed(const char *file, int line, const char *what);
double now_ns(void);
/* The caller, and threads it makes from now on, run on this CPU only. */
void pin(int cpu);
/* The middle one of n values, which it sorts. */
double median(double *values, int n);

void rows_call(void);
void rows_thread(void);
void rows_signal(void);
void rows_memory(void);
void rows_file(void);
void rows_time(void);
/* On two CPUs; times only. */
void rows_two_cpus(void);
/* On the file system at /mnt. */
void rows_disk(void);
/* The same by SQLite, where it is linked. */
void rows_sqlite(void);
/* Interrupts a second, of a machine that sleeps. */
void rows_idle(void);
