/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of procfs share. */
#pragma once

#include "file/fdtable.h"
#include "fs/path.h"
#include "fs/procfs.h"

#define PROC_FD_INO (1ull << 32) /* numbers of what stands in fd/ and fdinfo/ begin here */

struct proc_node {
    char name[32];
    uint32_t mode;
    uint32_t entry_mode; /* of the entries of fd/ and fdinfo/; else 0 */
    uint64_t ino;
    struct proc_node *parent, *children, *last_child, *next;
    size_t len; /* of the name */
    procfs_text_fn *text;
    procfs_link_fn *link;
    int (*link_text)(char *buf, size_t n);
    procfs_write_fn *write;
    int (*next_number)(int after); /* of a directory of numbered ones */
    const char *constant;
    int id; /* for the generator, outside of numbered directories; -1 */
};

struct proc_vnode {
    struct vnode v;
    struct proc_node *node; /* of an entry of fd/: that directory */
    int id;                 /* the entry's descriptor, or the number of the directory above; -1 */
};

/* The one process. */
struct proc_process {
    char name[12]; /* its number */
    struct proc_node *link;
    struct fd_table *fds;   /* NULL until the process exists */
    struct fs_context *ctx; /* likewise */
};

extern struct proc_process proc_process;

struct proc_node *proc_node_make(const char *path, uint32_t mode);
/* True for what stands in fd/ and fdinfo/. */
static inline bool proc_is_fd(const struct proc_vnode *n)
{
    return n->id >= 0 && n->node->entry_mode;
}

int proc_vnode_create(struct fs *fs, struct proc_node *node, int id, struct vnode **out);
/* A decimal number without leading zeroes below `limit`, or -1. */
int proc_number_parse(const struct vnode_name *name, unsigned limit);

int proc_fd_lookup(struct vnode *dir, struct proc_node *d, const struct vnode_name *name,
                   struct vnode **out);
int proc_fd_readdir(struct proc_node *d, uint64_t *pos, dirent_fn *fn, void *arg);
/* Where the descriptor's file was found, or NULL when it has no name. */
int proc_fd_target(int fd, struct path **out);
/* "pipe:[7]" and such. */
int proc_fd_describe(int fd, char *buf, size_t n);
int proc_fd_info(int fd, struct seq *s);
int proc_fd_open(int fd, struct file **out);
int proc_fd_register(void);
int proc_system_register(void);
