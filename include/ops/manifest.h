/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manifest: everything the kernel must know about the one program it runs.
 * `ops` writes it, the kernel reads it; it travels as a boot module (QEMU
 * `-initrd` = PVH module 0, GRUB `module2`), so that new arguments or a new
 * environment never rebuild a disk.
 *
 * Text, at most OPS_MANIFEST_MAX bytes. The first line is OPS_MANIFEST_MAGIC.
 * Every other line is `key=value`, ended by one '\n'; an empty line and a line
 * that starts with '#' are skipped. In a value `\\` is a backslash, `\n` a
 * newline and `\xHH` any byte but NUL (two hexadecimal digits); no other escape
 * exists and no byte below 0x20 may stand there unescaped. A LIST key may
 * repeat and keeps its order; any other key stands at most once. NUM is
 * unsigned decimal below 2^63, BOOL is `true` or `false`. An unknown key is an
 * error: tool and kernel ship together.
 *
 * On a disk the second line is OPS_MANIFEST_SEAL and, as eight hexadecimal digits, the CRC-32C of
 * all bytes behind that line: the kernel refuses a text that has changed since.
 *
 * A NUL ends the text. What stands behind it in the module, from the next multiple of
 * OPS_MANIFEST_ALIGN bytes of the module on, is a disk in memory, as is every further boot module:
 * for loaders that read what the kernel cannot. The root is looked for there first.
 *
 * An `interface` line is words with spaces between: `dhcp`, `ADDRESS/BITS` (IPv4, or IPv6 with 64
 * bits), `gateway=ADDRESS` and `dns=ADDRESS`, each of either family. A device without a line has
 * `dhcp`.
 *
 * Sources of `metadata`: `nocloud` and `configdrive`, disks (FAT or ISO 9660) labelled cidata and
 * config-2; services at 169.254.169.254: `gcp`, `ec2`, `openstack`, `digitalocean`, `hetzner`,
 * `vultr`, `azure`. `auto` tries all in that order. The first that knows counts: its host name,
 * where the manifest leaves `hostname` at its default, and its user's data.
 */
#pragma once

#define OPS_MANIFEST_MAGIC "ops-manifest 1"
#define OPS_MANIFEST_MAX   (4u << 20)
#define OPS_MANIFEST_SEAL  "#crc32c="
#define OPS_MANIFEST_ALIGN 4096u

#define OPS_HOSTNAME "ops"

/* X(type, name, default): the field of `struct manifest` has the key's name. */
#define OPS_MANIFEST_KEYS(X)                                                                       \
    X(STR, program, "")             /* absolute path of the ELF file in the image; required */     \
    X(LIST, arg, )                  /* argv, argv[0] first; none: argv[0] is the program's path */ \
    X(LIST, env, )                  /* NAME=value */                                               \
    X(STR, cwd, "/")                /* working directory */                                        \
    X(STR, hostname, OPS_HOSTNAME)  /* uname's nodename; unchanged, DHCP may tell another */       \
    X(STR, root, "ops-root")        /* volume label of the ext4 root filesystem */                 \
    X(BOOL, readonly_rootfs, false) /* it is mounted so that nothing changes it */                 \
    X(LIST, mount, )     /* a volume each: LABEL:/path or UUID:/path, `:ro` behind: not written */ \
    X(LIST, share, )     /* a directory of the host each: TAG:/path, `:ro` behind likewise */      \
    X(NUM, uid, 0)       /* user id the program runs with, real = effective = saved */             \
    X(NUM, gid, 0)       /* group id likewise */                                                   \
    X(BOOL, aslr, true)  /* randomise program, interpreter, stack, brk, mmap and vDSO */           \
    X(LIST, interface, ) /* a network device each: how it comes to its addresses, see above */     \
    X(LIST, ntp, )       /* who tells the time: HOST[:PORT], or `dhcp` for those of the lease */   \
    X(NUM, ntp_poll_min, 6)  /* they are asked every 2^n seconds: at least */                      \
    X(NUM, ntp_poll_max, 10) /* and at most */                                                     \
    X(NUM, ntp_step, 128) /* ms: so far off the clock is set, not slewed; 0: only at the start */  \
    X(STR, metadata, "")  /* where a cloud tells of the machine: comma list of sources, or auto */ \
    X(STR, user_data, "") /* what becomes of its user's data: `env`, or a file's absolute path */  \
    X(BOOL, metadata_required, false) /* without it the program does not start */                  \
    X(STR, stdin, "null")  /* what stands behind the stream on the host: tty, pipe, null */        \
    X(STR, stdout, "pipe") /* likewise */                                                          \
    X(STR, stderr, "pipe") /* likewise, or stdout: the same file as that */                        \
    X(NUM, rows, 24)       /* terminal size, where a stream is a tty */                            \
    X(NUM, columns, 80)    /* likewise */                                                          \
    X(STR, trace, "")      /* comma list of system calls to decode, or `all` */                    \
    X(BOOL, core, false)   /* a crash writes a core file to the stream ops.core */                 \
    X(BOOL, phases, false) /* tell how long the parts of the boot took: `phase` lines */           \
    X(STR, log, "warn")    /* lowest level that leaves the kernel: debug, info, warn, error */
