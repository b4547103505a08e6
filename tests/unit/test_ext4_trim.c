/* SPDX-License-Identifier: Apache-2.0 */
/* FITRIM on ext4, on a disk that fills with garbage what it is told to be free. */
#include "ext4_rig.h"

static const char *const variants[] = {
    "-b 4096",
    "-b 1024",
    "-b 2048 -O ^has_journal",
    "-b 1024 -O ^metadata_csum,uninit_bg,^64bit -I 128",
    "-b 1024 -O ^flex_bg,^has_journal,^dir_nlink -g 2048",
};

/* Only what is free is told to the disk, which then forgets it. */
static void trim_leaves_what_is_used(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof variants / sizeof variants[0]; k++) {
        char *data = malloc(300000), *got = malloc(300000);
        memset(data, 7, 300000);
        uint64_t trimmed = 0, part = 0;
        rig_make(variants[k], "24M");
        const struct fs_ops *ops = rig.fs->ops;
        assert_int_equal(ops->trim(rig.fs, 0, UINT64_MAX, 0, &trimmed), -EOPNOTSUPP);
        rig.dev.discard_max = 1024;
        assert_int_equal(rig_create("f", S_IFREG | 0644, NULL), 0);
        assert_int_equal(rig_create("g", S_IFREG | 0644, NULL), 0);
        assert_int_equal(rig_write("f", 0, data, 300000), 300000);
        assert_int_equal(rig_write("g", 0, data, 300000), 300000);
        assert_int_equal(rig_fsync("f"), 0);
        assert_int_equal(rig_fsync("g"), 0);
        assert_int_equal(rig_unlink("g"), 0);
        struct fs_stats st;
        assert_int_equal(ops->trim(rig.fs, 0, UINT64_MAX, 0, &trimmed), 0);
        ops->statfs(rig.fs, &st);
        assert_int_equal(trimmed, st.blocks_free * st.block_size);
        assert_int_equal(fake_blk_discarded, trimmed);
        assert_int_equal(ops->trim(rig.fs, 5 << 20, 3 << 20, 0, &part), 0);
        assert_in_range(part, 1, 3 << 20);
        assert_int_equal(ops->trim(rig.fs, 0, 512, 0, &part), -EINVAL);
        assert_int_equal(ops->trim(rig.fs, 1 << 30, 1 << 20, 0, &part), -EINVAL);
        assert_int_equal(ops->trim(rig.fs, 0, UINT64_MAX, 1ull << 40, &part), -EINVAL);
        assert_int_equal(rig_read("f", 0, got, 300000), 300000);
        assert_memory_equal(got, data, 300000);
        rig_unmount();
        rig_check();
        rig_mount();
        assert_int_equal(rig_read("f", 0, got, 300000), 300000);
        assert_memory_equal(got, data, 300000);
        rig_end();
        free(data);
        free(got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(trim_leaves_what_is_used)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
