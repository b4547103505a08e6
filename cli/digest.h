/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 of files, and its text: 64 lower-case hexadecimal digits. */
#pragma once

#include <stdbool.h>

#define DIGEST_SIZE 32
#define DIGEST_TEXT (2 * DIGEST_SIZE + 1) /* with the NUL */

/* Of everything from the descriptor's start; its position stays. False: errno says why. */
bool digest_of_fd(int fd, unsigned char digest[DIGEST_SIZE]);

/* Of the file `path`. */
bool digest_of_file(const char *path, unsigned char digest[DIGEST_SIZE]);

void digest_of_bytes(const void *bytes, unsigned long n, unsigned char digest[DIGEST_SIZE]);

void digest_text(const unsigned char digest[DIGEST_SIZE], char text[DIGEST_TEXT]);

/* False: not 64 such digits with nothing behind them. */
bool digest_parse(const char *text, unsigned char digest[DIGEST_SIZE]);
