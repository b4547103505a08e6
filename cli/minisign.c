/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures: see minisign.h. What the base64 lines hold:
 *   public key  "Ed", number of the key (8), Ed25519 key (32)
 *   secret key  "Ed", "\0\0" (not encrypted), "B2", salt and limits (48), number (8), key (64),
 *               BLAKE2b-256 of algorithm, number and key (32)
 *   signature   "ED" (of the file's BLAKE2b-512) or "Ed" (of the file), number, signature (64);
 *               minisign adds a comment, and a signature of the first one followed by it
 */
#include "minisign.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "hostpath.h"
#include "ops/exit.h"
#include "strlist.h"

#define FILE_LIMIT 4096
#define SUM        crypto_generichash_BYTES
#define HASH       crypto_generichash_BYTES_MAX
#define CHUNK      65536

struct public_bytes {
    char algorithm[2];
    unsigned char id[MINISIGN_ID], key[MINISIGN_KEY];
};

struct secret_bytes {
    char algorithm[2], cipher[2], checksum[2];
    unsigned char salt[32], limits[16];
    unsigned char id[MINISIGN_ID], key[MINISIGN_SECRET], sum[SUM];
};

struct signature_bytes {
    char algorithm[2];
    unsigned char id[MINISIGN_ID], signature[crypto_sign_BYTES];
};

static char *base64(const void *bytes, size_t n)
{
    size_t room = sodium_base64_encoded_len(n, sodium_base64_VARIANT_ORIGINAL);
    char *text = alloc_zero(room);
    sodium_bin2base64(text, room, bytes, n, sodium_base64_VARIANT_ORIGINAL);
    return text;
}

/* Exactly `n` bytes of it. */
static bool base64_read(const char *text, void *bytes, size_t n)
{
    size_t got = 0;
    return text &&
           sodium_base642bin(bytes, n, text, strlen(text), " \r", &got, NULL,
                             sodium_base64_VARIANT_ORIGINAL) == 0 &&
           got == n;
}

/* The first line that is no comment; NULL: none. */
static const char *content(const struct strlist *lines)
{
    for (size_t i = 0; i < lines->count; i++)
        if (strncmp(lines->items[i], "untrusted comment:", 18) != 0)
            return lines->items[i];
    return NULL;
}

bool minisign_key_parse(struct minisign_key *k, const char *text, struct err *err)
{
    struct strlist lines = {0};
    struct public_bytes b;
    strlist_split(&lines, text, "\n");
    bool ok = base64_read(content(&lines), &b, sizeof b) && memcmp(b.algorithm, "Ed", 2) == 0;
    strlist_free(&lines);
    if (!ok)
        return err_set(err, OPS_EXIT_USAGE, "it has 56 letters and begins with RW",
                       "that is not a public key of minisign");
    memcpy(k->id, b.id, sizeof k->id);
    memcpy(k->key, b.key, sizeof k->key);
    return true;
}

char *minisign_key_text(const struct minisign_key *k)
{
    struct public_bytes b = {.algorithm = "Ed"};
    memcpy(b.id, k->id, sizeof b.id);
    memcpy(b.key, k->key, sizeof b.key);
    return base64(&b, sizeof b);
}

static void secret_sum(const struct secret_bytes *b, unsigned char sum[SUM])
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, SUM);
    crypto_generichash_update(&state, (const unsigned char *)b->algorithm, sizeof b->algorithm);
    crypto_generichash_update(&state, b->id, sizeof b->id);
    crypto_generichash_update(&state, b->key, sizeof b->key);
    crypto_generichash_final(&state, sum, SUM);
}

bool minisign_make(const char *path, struct minisign_key *k, struct err *err)
{
    struct secret_bytes b = {.algorithm = "Ed", .checksum = "B2"};
    if (sodium_init() < 0)
        return err_set(err, OPS_EXIT_FAILED, NULL, "this host gives no random numbers");
    randombytes_buf(b.id, sizeof b.id);
    randombytes_buf(b.salt, sizeof b.salt);
    crypto_sign_keypair(k->key, b.key);
    memcpy(k->id, b.id, sizeof k->id);
    secret_sum(&b, b.sum);
    char *line = base64(&b, sizeof b);
    char *text = alloc_printf("untrusted comment: secret key of ops\n%s\n", line);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && path_put(fd, text, strlen(text)) && fsync(fd) == 0;
    if (!ok)
        err_errno(err, "write", path);
    if (fd >= 0)
        close(fd);
    sodium_memzero(&b, sizeof b);
    sodium_memzero(line, strlen(line));
    sodium_memzero(text, strlen(text));
    free(line);
    free(text);
    return ok;
}

bool minisign_secret_read(struct minisign_secret *s, const char *path, struct err *err)
{
    struct strlist lines = {0};
    struct secret_bytes b;
    unsigned char sum[SUM];
    char *text = path_read(path, FILE_LIMIT, NULL, err);
    if (!text)
        return false;
    strlist_split(&lines, text, "\n");
    bool ok = base64_read(content(&lines), &b, sizeof b) && memcmp(b.algorithm, "Ed", 2) == 0;
    bool plain = ok && b.cipher[0] == 0 && b.cipher[1] == 0;
    if (!ok)
        err_set(err, OPS_EXIT_FAILED, "`ops pkg repo key FILE` makes one",
                "%s is not a secret key of minisign", path);
    else if (!plain)
        ok = err_set(err, OPS_EXIT_FAILED, "`minisign -G -W` makes one that is not",
                     "the key %s is encrypted", path);
    if (ok) {
        secret_sum(&b, sum);
        /* minisign itself leaves the sum of a key out that is not encrypted */
        ok = sodium_memcmp(sum, b.sum, SUM) == 0 || sodium_is_zero(b.sum, SUM) ||
             err_set(err, OPS_EXIT_FAILED, NULL, "the key %s is damaged", path);
    }
    if (ok) {
        memcpy(s->id, b.id, sizeof s->id);
        memcpy(s->key, b.key, sizeof s->key);
    }
    sodium_memzero(&b, sizeof b);
    sodium_memzero(text, strlen(text));
    strlist_free(&lines);
    free(text);
    return ok;
}

void minisign_forget(struct minisign_secret *s)
{
    sodium_memzero(s, sizeof *s);
}

/* Of what has this hash. */
static char *hash_sign(const struct minisign_secret *s, const unsigned char hash[HASH],
                       const char *comment)
{
    struct signature_bytes b = {.algorithm = "ED"};
    unsigned char global[crypto_sign_BYTES];
    size_t n = strlen(comment);
    unsigned char *vouched = alloc_zero(sizeof b.signature + n + 1);
    memcpy(b.id, s->id, sizeof b.id);
    crypto_sign_detached(b.signature, NULL, hash, HASH, s->key);
    memcpy(vouched, b.signature, sizeof b.signature);
    memcpy(vouched + sizeof b.signature, comment, n);
    crypto_sign_detached(global, NULL, vouched, sizeof b.signature + n, s->key);
    char *first = base64(&b, sizeof b), *second = base64(global, sizeof global);
    char *text = alloc_printf("untrusted comment: signature of ops\n%s\ntrusted comment: %s\n%s\n",
                              first, comment, second);
    free(second);
    free(first);
    free(vouched);
    return text;
}

char *minisign_sign(const struct minisign_secret *s, const void *bytes, size_t size,
                    const char *comment)
{
    unsigned char hash[HASH];
    crypto_generichash(hash, sizeof hash, bytes, size, NULL, 0);
    return hash_sign(s, hash, comment);
}

/* False: errno says why. */
static bool file_hash(int fd, unsigned char hash[HASH])
{
    crypto_generichash_state state;
    unsigned char *bytes = alloc_array(NULL, CHUNK, 1);
    off_t at = 0;
    ssize_t n;
    crypto_generichash_init(&state, NULL, 0, HASH);
    while ((n = pread(fd, bytes, CHUNK, at)) > 0 || (n < 0 && errno == EINTR)) {
        if (n < 0)
            continue;
        crypto_generichash_update(&state, bytes, (unsigned long long)n);
        at += n;
    }
    crypto_generichash_final(&state, hash, HASH);
    free(bytes);
    return n == 0;
}

char *minisign_sign_fd(const struct minisign_secret *s, int fd, const char *comment)
{
    unsigned char hash[HASH];
    return file_hash(fd, hash) ? hash_sign(s, hash, comment) : NULL;
}

/* The comment that the last line of minisign's signatures vouches for; signify has none. */
static bool comment_verify(const struct minisign_key *k, const struct signature_bytes *b,
                           const struct strlist *lines, size_t at)
{
    static const char mark[] = "trusted comment: ";
    unsigned char global[crypto_sign_BYTES];
    if (lines->count == at + 1)
        return memcmp(b->algorithm, "Ed", 2) == 0;
    if (lines->count < at + 3 || strncmp(lines->items[at + 1], mark, sizeof mark - 1) != 0 ||
        !base64_read(lines->items[at + 2], global, sizeof global))
        return false;
    const char *comment = lines->items[at + 1] + sizeof mark - 1;
    size_t n = strlen(comment);
    unsigned char *vouched = alloc_zero(sizeof b->signature + n + 1);
    memcpy(vouched, b->signature, sizeof b->signature);
    memcpy(vouched + sizeof b->signature, comment, n);
    bool ok = crypto_sign_verify_detached(global, vouched, sizeof b->signature + n, k->key) == 0;
    free(vouched);
    return ok;
}

/* `bytes` NULL: only the hash is known, and signatures of the bytes themselves are wrong. */
static bool signed_verify(const struct minisign_key *k, const char *signature,
                          const unsigned char hash[HASH], const void *bytes, size_t size,
                          const char *name, struct err *err)
{
    struct strlist lines = {0};
    struct signature_bytes b;
    strlist_split(&lines, signature, "\n");
    size_t at = lines.count && strncmp(lines.items[0], "untrusted comment:", 18) == 0;
    bool read = at < lines.count && base64_read(lines.items[at], &b, sizeof b);
    bool ours = read && memcmp(b.id, k->id, sizeof b.id) == 0;
    bool hashed = read && memcmp(b.algorithm, "ED", 2) == 0;
    bool ok = ours && (hashed || (bytes && memcmp(b.algorithm, "Ed", 2) == 0)) &&
              crypto_sign_verify_detached(b.signature, hashed ? hash : bytes, hashed ? HASH : size,
                                          k->key) == 0 &&
              comment_verify(k, &b, &lines, at);
    if (!read)
        err_set(err, OPS_EXIT_FAILED, NULL, "the signature of %s is none of minisign's", name);
    else if (!ours)
        err_set(err, OPS_EXIT_FAILED, "its owner may have a new key",
                "%s is signed with another key than the one that is trusted", name);
    else if (!ok)
        err_set(err, OPS_EXIT_FAILED, "do not use it: it was changed on the way, or by somebody",
                "the signature of %s is wrong", name);
    strlist_free(&lines);
    return ok;
}

bool minisign_verify(const struct minisign_key *k, const char *signature, const void *bytes,
                     size_t size, const char *name, struct err *err)
{
    unsigned char hash[HASH];
    crypto_generichash(hash, sizeof hash, bytes, size, NULL, 0);
    return signed_verify(k, signature, hash, bytes, size, name, err);
}

bool minisign_verify_fd(const struct minisign_key *k, const char *signature, int fd,
                        const char *name, struct err *err)
{
    unsigned char hash[HASH];
    if (!file_hash(fd, hash))
        return err_errno(err, "read", name);
    return signed_verify(k, signature, hash, NULL, 0, name, err);
}
