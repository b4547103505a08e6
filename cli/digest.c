/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256: see digest.h. The work is libsodium's. */
#include "digest.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"

#define DIGEST_CHUNK 65536

bool digest_of_fd(int fd, unsigned char digest[DIGEST_SIZE])
{
    crypto_hash_sha256_state state;
    unsigned char *bytes = alloc_array(NULL, DIGEST_CHUNK, 1);
    off_t at = 0;
    ssize_t n;
    crypto_hash_sha256_init(&state);
    while ((n = pread(fd, bytes, DIGEST_CHUNK, at)) > 0 || (n < 0 && errno == EINTR)) {
        if (n < 0)
            continue;
        crypto_hash_sha256_update(&state, bytes, (unsigned long long)n);
        at += n;
    }
    crypto_hash_sha256_final(&state, digest);
    free(bytes);
    return n == 0;
}

bool digest_of_file(const char *path, unsigned char digest[DIGEST_SIZE])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && digest_of_fd(fd, digest);
    int number = errno;
    if (fd >= 0)
        close(fd);
    errno = number;
    return ok;
}

void digest_of_bytes(const void *bytes, unsigned long n, unsigned char digest[DIGEST_SIZE])
{
    crypto_hash_sha256(digest, bytes, n);
}

void digest_text(const unsigned char digest[DIGEST_SIZE], char text[DIGEST_TEXT])
{
    sodium_bin2hex(text, DIGEST_TEXT, digest, DIGEST_SIZE);
}

bool digest_parse(const char *text, unsigned char digest[DIGEST_SIZE])
{
    size_t n;
    return strlen(text) == DIGEST_TEXT - 1 && strspn(text, "0123456789abcdef") == DIGEST_TEXT - 1 &&
           sodium_hex2bin(digest, DIGEST_SIZE, text, DIGEST_TEXT - 1, NULL, &n, NULL) == 0 &&
           n == DIGEST_SIZE;
}
