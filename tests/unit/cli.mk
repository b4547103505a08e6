# SPDX-License-Identifier: Apache-2.0
# Unit tests of the tool: the sources each is linked with.
CLI_BASE := cli/alloc.c cli/buf.c cli/err.c cli/hostpath.c cli/strlist.c
UNIT_cli_config := cli/config.c cli/config_keys.c cli/config_origin.c cli/config_canonical.c cli/config_card.c cli/interpolate.c cli/json.c cli/nearest.c cli/size.c $(CLI_BASE)
UNIT_LIBS_cli_config := -lcjson -lm
UNIT_cli_elfinfo := cli/elfinfo.c $(CLI_BASE)
UNIT_LIBS_cli_elfinfo := -lelf
UNIT_cli_image := cli/gpt_table.c cli/gzip.c cli/image_digest.c cli/digest.c cli/iso.c cli/sha1.c $(CLI_BASE)
UNIT_LIBS_cli_image := -lsodium -lz
UNIT_cli_gpt := cli/gpt_table.c
UNIT_cli_manifest := cli/manifest_text.c $(CLI_BASE)
UNIT_cli_options := cli/options.c cli/nearest.c cli/size.c $(CLI_BASE)
UNIT_cli_tree := cli/tree.c $(CLI_BASE)
UNIT_cli_paths := cli/ldpath.c $(CLI_BASE)
UNIT_cli_control := cli/control_lines.c cli/bootchart.c cli/forward.c cli/portowner.c cli/crash.c cli/symbols.c cli/tree.c cli/manifest_text.c \
	cli/terminal.c $(CLI_BASE)
UNIT_LIBS_cli_control := -lelf
CLI_EXT4 := cli/ext4file.c cli/ext4tools.c cli/ext4tree.c cli/ext4copy.c cli/ext4diff.c cli/rootfs.c cli/tree.c \
	cli/gpt_table.c cli/child.c cli/script.c cli/rootdir.c cli/mtree.c cli/mtree_read.c cli/digest.c cli/hold.c cli/tempfile.c \
	cli/nearest.c cli/volume_store.c $(CLI_BASE)
UNIT_cli_ext4 := $(CLI_EXT4)
UNIT_LIBS_cli_ext4 := -lext2fs -lcom_err -lsodium
UNIT_cli_mounts := cli/mounts.c cli/shares.c cli/verbs.c cli/options.c $(CLI_EXT4)
UNIT_LIBS_cli_mounts := -lcjson -lext2fs -lcom_err -lsodium
UNIT_cli_network := cli/cidr.c cli/dns.c cli/forward.c cli/portowner.c $(CLI_BASE)
UNIT_cli_mtree := cli/mtree.c cli/mtree_read.c cli/mtree_verify.c cli/digest.c $(CLI_BASE)
UNIT_LIBS_cli_mtree := -lsodium
UNIT_cli_import := $(addprefix cli/import/,account.c fetch.c jail.c layout.c reference.c rootpath.c token.c) \
	cli/mtree.c cli/mtree_read.c cli/digest.c $(CLI_BASE)
UNIT_LIBS_cli_import := -lcurl -lcjson -lsodium
