/* SPDX-License-Identifier: Apache-2.0 */
/* getrandom and /dev/urandom. */
#include "guest.h"

#include <sys/auxv.h>
#include <sys/random.h>

/* Looks random: neither constant nor far from half ones. */
static bool plausible(const unsigned char *p, size_t n)
{
    size_t ones = 0;
    for (size_t i = 0; i < n; i++)
        ones += (size_t)__builtin_popcount(p[i]);
    return ones > n * 3 && ones < n * 5;
}

TEST(fills)
{
    static const size_t sizes[] = {1, 16, 255, 256, 257, 4096, 100000};
    static unsigned char buf[100000];
    for (unsigned i = 0; i < COUNT(sizes); i++) {
        CHECK(getrandom(buf, sizes[i], 0) == (ssize_t)sizes[i]);
        CHECK(sizes[i] < 255 || plausible(buf, sizes[i]));
    }
    CHECK(getrandom(buf, 0, 0) == 0);
}

TEST(differs)
{
    uint64_t v[64];
    for (int i = 0; i < 64; i++) {
        CHECK(getrandom(&v[i], 8, GRND_NONBLOCK) == 8);
        for (int k = 0; k < i; k++)
            CHECK(v[i] != v[k]);
    }
}

TEST(bad_flags)
{
    char c;
    CHECK(FAILS(getrandom(&c, 1, 0x100), EINVAL));
    CHECK(FAILS(getrandom(&c, 1, GRND_RANDOM | GRND_INSECURE), EINVAL));
}

TEST(devices)
{
    static const char *const names[] = {"/dev/urandom", "/dev/random"};
    for (unsigned i = 0; i < 2; i++) {
        unsigned char buf[512];
        int fd = open(names[i], O_RDONLY);
        CHECK(fd >= 0 && read(fd, buf, sizeof buf) == sizeof buf && plausible(buf, sizeof buf));
        close(fd);
    }
}

TEST(auxv_bytes)
{
    const unsigned char *p = (const unsigned char *)getauxval(AT_RANDOM);
    unsigned sum = 0;
    CHECK(p);
    for (int i = 0; i < 16; i++)
        sum |= p[i];
    CHECK(sum != 0);
}
