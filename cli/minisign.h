/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ed25519 signatures of files in the formats of minisign(1); those of signify(1) are
 * understood, too. A public key is the text `minisign -G` prints; a secret key is in a file, as
 * `minisign -G -W` writes it, not encrypted.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

#define MINISIGN_KEY    32
#define MINISIGN_SECRET 64
#define MINISIGN_ID     8

struct minisign_key {
    unsigned char id[MINISIGN_ID];
    unsigned char key[MINISIGN_KEY];
};

struct minisign_secret {
    unsigned char id[MINISIGN_ID];
    unsigned char key[MINISIGN_SECRET]; /* wiped by minisign_forget() */
};

/* Reads a public key: its one line, or the text of its file. Errors (OPS_EXIT_USAGE): not one. */
bool minisign_key_parse(struct minisign_key *k, const char *text, struct err *err);

/* Its line; freed with free(). */
char *minisign_key_text(const struct minisign_key *k);

/* Makes a pair; the secret key goes to the new file `path` (0600). Errors: it is there. */
bool minisign_make(const char *path, struct minisign_key *k, struct err *err);

/* Reads a secret key's file. Errors: it is encrypted. */
bool minisign_secret_read(struct minisign_secret *s, const char *path, struct err *err);
void minisign_forget(struct minisign_secret *s);

/* The text of a signature of `size` bytes; freed with free(). */
char *minisign_sign(const struct minisign_secret *s, const void *bytes, size_t size,
                    const char *comment);

/* The same for all of the file `fd`; NULL: errno says why. */
char *minisign_sign_fd(const struct minisign_secret *s, int fd, const char *comment);

/* Does the text of a signature vouch for all of the file `fd`, called `name` in messages? It must
 * be of the usual kind, which covers the file's hash. */
bool minisign_verify_fd(const struct minisign_key *k, const char *signature, int fd,
                        const char *name, struct err *err);

/* Does the text of a signature vouch for the bytes, called `name` in messages? False: see err. */
bool minisign_verify(const struct minisign_key *k, const char *signature, const void *bytes,
                     size_t size, const char *name, struct err *err);
