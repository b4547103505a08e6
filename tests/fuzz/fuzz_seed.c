/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer entry for the readers of a cloud's disks. The first byte chooses an image (FAT12,
 * FAT32, ISO 9660 with and without Joliet, made when the harness is built); then come patches of 4
 * bytes: offset 3, value 1.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fake_blkdev.h"
#include "fs/seed/seed.h"

extern const uint8_t fuzz_seed_fat12[], fuzz_seed_fat12_end[], fuzz_seed_fat32[],
    fuzz_seed_fat32_end[], fuzz_seed_joliet[], fuzz_seed_joliet_end[], fuzz_seed_rock[],
    fuzz_seed_rock_end[];
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
    const uint8_t *start, *end;
} images[] = {{fuzz_seed_fat12, fuzz_seed_fat12_end},
              {fuzz_seed_fat32, fuzz_seed_fat32_end},
              {fuzz_seed_joliet, fuzz_seed_joliet_end},
              {fuzz_seed_rock, fuzz_seed_rock_end}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t *work[4];
    char text[3000];
    struct blkdev dev;
    struct seed s;
    if (!size)
        return 0;
    unsigned which = data[0] % 4;
    size_t bytes = (size_t)(images[which].end - images[which].start);
    if (!work[which]) {
        work[which] = malloc(bytes);
        memcpy(work[which], images[which].start, bytes);
    }
    size_t from = which >= 2 ? 32768 : 0, span = which == 0 ? 8192 : 65536; /* where it matters */
    for (size_t i = 1; i + 4 <= size; i += 4) {
        size_t at = data[i] | (size_t)data[i + 1] << 8 | (size_t)data[i + 2] << 16;
        work[which][from + at % span % (bytes - from)] = data[i + 3];
    }
    fake_blkdev_init(&dev, work[which], bytes);
    if (!seed_open(&dev, &s)) {
        if (strlen(s.label) > SEED_LABEL)
            abort();
        static const char *const names[] = {"meta-data", "user-data", "openstack/latest/user_data"};
        for (size_t i = 0; i < 3; i++) {
            ssize_t n = seed_read(&s, names[i], text, sizeof text);
            if (n >= (ssize_t)sizeof text || (n >= 0 && text[n]))
                abort();
            if (size == 1 && n < 0)
                abort(); /* unharmed it can be read */
        }
        seed_close(&s);
    } else if (size == 1) {
        abort();
    }
    memcpy(work[which] + from, images[which].start + from, MIN(span, bytes - from));
    return 0;
}
