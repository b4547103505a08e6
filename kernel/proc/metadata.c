/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata: see metadata.h. Main struct: found, what a source said. The table of services has one
 * row a cloud; a text has at most TEXT_MAX bytes, all of it takes PATIENCE at most.
 */
#include "proc/metadata.h"

#include <linux/errno.h>
#include <linux/fcntl.h>

#include "core/log.h"
#include "fs/fs.h"
#include "fs/seed/seed.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "net/http_client.h"
#include "net/interface.h"
#include "net/socket.h"
#include "net/stack.h"
#include "proc/metadata_text.h"
#include "proc/process.h"
#include "sched/clock.h"

#define TEXT_MAX   (64u << 10)
#define HEAD_MAX   (8u << 10)
#define PATIENCE   (10 * NSEC_PER_SEC)
#define ONE_ASK    (3 * NSEC_PER_SEC)
#define HOST_MAX   256u
#define TOKEN_MAX  512u
#define HEADER_MAX 640u
#define SERVICE                                                                                    \
    {                                                                                              \
        169, 254, 169, 254                                                                         \
    }

struct found {
    char hostname[HOST_MAX];
    char *data; /* TEXT_MAX + HEAD_MAX bytes */
    char *user; /* the user's data, terminated, within `data`; NULL: there is none */
    size_t user_len;
    uint64_t deadline;
    bool nobody; /* nothing answers at the service's address */
    const char *cause;
};

struct service {
    const char *name, *headers;
    const char *proof; /* this header of an answer has `proof_value` */
    const char *proof_value;
    const char *hostname, *user; /* paths */
    bool token;                  /* EC2's IMDSv2 */
    bool base64;                 /* the user's data is */
};

static const struct service services[] = {
    {.name = "gcp",
     .headers = "Metadata-Flavor: Google\r\n",
     .proof = "Metadata-Flavor",
     .proof_value = "Google",
     .hostname = "/computeMetadata/v1/instance/hostname",
     .user = "/computeMetadata/v1/instance/attributes/user-data"},
    {.name = "ec2",
     .headers = "",
     .token = true,
     .hostname = "/latest/meta-data/local-hostname",
     .user = "/latest/user-data"},
    {.name = "openstack",
     .headers = "",
     .hostname = "/latest/meta-data/local-hostname",
     .user = "/openstack/latest/user_data"},
    {.name = "digitalocean",
     .headers = "",
     .hostname = "/metadata/v1/hostname",
     .user = "/metadata/v1/user-data"},
    {.name = "hetzner",
     .headers = "",
     .hostname = "/hetzner/v1/metadata/hostname",
     .user = "/hetzner/v1/userdata"},
    {.name = "vultr", .headers = "", .hostname = "/v1/hostname", .user = "/latest/user-data"},
    {.name = "azure",
     .headers = "Metadata: true\r\n",
     .hostname = "/metadata/instance/compute/name?api-version=2021-02-01&format=text",
     .user = "/metadata/instance/compute/userData?api-version=2021-02-01&format=text",
     .base64 = true},
};

/* One question: 0 with the text of a 200, terminated, in f->data; -ENOENT: another status. */
static int ask(struct found *f, const struct service *s, const char *method, const char *path,
               const char *headers, struct http_reply *r)
{
    const struct http_request q = {
        .method = method, .address = SERVICE, .port = 80, .path = path, .headers = headers};
    size_t len;
    uint64_t deadline = MIN(f->deadline, clock_now() + ONE_ASK);
    int err = http_ask(&q, f->data, TEXT_MAX + HEAD_MAX - 1, deadline, r);
    if (!err && r->len > TEXT_MAX)
        err = -EFBIG;
    if (err) {
        f->cause = err == -EFBIG       ? "an answer is too large"
                   : err == -EPROTO    ? "an answer is not HTTP"
                   : err == -ETIMEDOUT ? "no answer in time"
                                       : "nobody is there";
        return err;
    }
    const char *value = s->proof ? http_reply_header(r, s->proof, &len) : NULL;
    if (s->proof && (!value || strncmp(value, s->proof_value, len)))
        return -ENOENT;
    r->body[r->len] = '\0';
    return r->status == 200 ? 0 : -ENOENT;
}

/* IMDSv2's token as a header; where there is none, version 1 needs none. */
static int token_take(struct found *f, const struct service *s, char headers[HEADER_MAX])
{
    struct http_reply r;
    int err =
        ask(f, s, "PUT", "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 300\r\n", &r);
    bool sound = !err && r.len && r.len <= TOKEN_MAX;
    for (size_t i = 0; sound && i < r.len; i++)
        sound = r.body[i] > 0x20 && r.body[i] < 0x7f;
    if (sound)
        snprintf(headers, HEADER_MAX, "X-aws-ec2-metadata-token: %s\r\n", r.body);
    return err == -ENOENT ? 0 : err;
}

/* `sure`: it is this cloud; else only one that tells a name is: some have paths of others. */
static bool service_ask(struct found *f, const struct service *s, bool sure)
{
    char headers[HEADER_MAX];
    struct http_reply r;
    snprintf(headers, sizeof headers, "%s", s->headers);
    int err = s->token ? token_take(f, s, headers) : 0;
    if (!err)
        err = ask(f, s, "GET", s->hostname, headers, &r);
    bool named = !err && r.len < HOST_MAX;
    if (named)
        memcpy(f->hostname, r.body, r.len + 1);
    f->nobody = err && err != -ENOENT && err != -EPROTO && err != -EFBIG;
    if (f->nobody || !(named || sure))
        return false;
    err = ask(f, s, "GET", s->user, headers, &r);
    ssize_t len = err || !s->base64 ? (ssize_t)r.len : metadata_base64(r.body, r.len);
    if (!err && len > 0) {
        f->user = r.body;
        f->user_len = (size_t)len;
    }
    return named || f->user;
}

/* A disk of the two kinds, and what lies where on it. */
struct disk_kind {
    const char *name, *label, *metadata, *user;
    const char *keys[2]; /* of the host's name, the first that is there */
};

static const struct disk_kind disk_kinds[] = {
    {"nocloud", "cidata", "meta-data", "user-data", {"local-hostname", "hostname"}},
    {"configdrive",
     "config-2",
     "openstack/latest/meta_data.json",
     "openstack/latest/user_data",
     {"hostname", "name"}},
};

struct disk_search {
    const struct disk_kind *kind;
    struct found *found;
    bool done;
};

static int disk_look(struct blkdev *dev, void *arg)
{
    struct disk_search *d = arg;
    struct found *f = d->found;
    const struct disk_kind *k = d->kind;
    struct seed s;
    if (seed_open(dev, &s))
        return 0;
    if (seed_name_is(s.label, strlen(s.label), k->label, strlen(k->label))) {
        ssize_t n = seed_read(&s, k->metadata, f->data, TEXT_MAX);
        if (n > 0 && !metadata_value(f->data, k->keys[0], f->hostname, HOST_MAX))
            metadata_value(f->data, k->keys[1], f->hostname, HOST_MAX);
        ssize_t u = seed_read(&s, k->user, f->data, TEXT_MAX);
        if (u > 0) {
            f->user = f->data;
            f->user_len = (size_t)u;
        }
        d->done = n >= 0 || u >= 0;
        f->cause = n == -EIO || u == -EIO ? "the disk is damaged" : f->cause;
    }
    seed_close(&s);
    return d->done;
}

static bool disk_ask(struct found *f, const struct disk_kind *k)
{
    struct disk_search d = {k, f, false};
    blkdev_for_each(disk_look, &d);
    return d.done;
}

/* One word of the manifest's list, or all in turn; the name of the source that knew. */
static const char *source_try(struct found *f, const char *word, size_t len)
{
    bool any = seed_name_is(word, len, "auto", 4), begun = false;
    for (size_t i = 0; i < ARRAY_SIZE(disk_kinds); i++) {
        const char *name = disk_kinds[i].name;
        if ((any || seed_name_is(word, len, name, strlen(name))) && disk_ask(f, &disk_kinds[i]))
            return name;
    }
    for (size_t i = 0; i < ARRAY_SIZE(services) && !f->nobody; i++) {
        const char *name = services[i].name;
        if (!any && !seed_name_is(word, len, name, strlen(name)))
            continue;
        if (!begun && (stack_start() || !interface_wait(f->deadline))) {
            f->cause = "the network is not up";
            break;
        }
        begun = true;
        if (service_ask(f, &services[i], !any))
            return name;
    }
    return NULL;
}

/* Variables of the user's data go before those of the image. */
static void env_add(struct manifest *m, struct found *f)
{
    unsigned lines = 1, bad = 0;
    for (const char *p = f->user; (p = strchr(p, '\n')) != NULL; p++)
        lines++;
    const char **env = kmalloc((m->env.count + lines) * sizeof *env);
    char *text = env ? kmalloc(f->user_len + 1) : NULL, *variable;
    if (!text) {
        log_error("metadata: no memory for the environment");
        kfree(env);
        return;
    }
    memcpy(text, f->user, f->user_len + 1);
    memcpy(env, m->env.item, m->env.count * sizeof *env);
    unsigned count = m->env.count;
    while ((variable = metadata_variable(&text, &bad)) != NULL) {
        size_t name = (size_t)(strchr(variable, '=') - variable) + 1;
        unsigned i = 0;
        while (i < count && strncmp(env[i], variable, name))
            i++;
        env[i] = variable;
        count += i == count;
    }
    m->env = (struct manifest_list){count, env}; /* for good, as the manifest */
    if (bad)
        log_warn("metadata: %u lines of the user's data are no variables", bad);
}

/* Its directory is made if that alone is missing. */
static int user_file_write(const char *path, const struct found *f, uint32_t uid, uint32_t gid)
{
    struct fs_context ctx;
    struct vnode_attr owner = {.mask = ATTR_UID | ATTR_GID, .uid = uid, .gid = gid};
    struct file *file;
    struct uio_vec vec;
    struct uio u;
    uint64_t pos = 0;
    char dir[256];
    const char *slash = strrchr(path, '/');
    int err = fs_context_init(&ctx);
    if (err)
        return err;
    size_t n = slash ? (size_t)(slash - path) : 0;
    if (n && n < sizeof dir) {
        memcpy(dir, path, n);
        dir[n] = '\0';
        fs_make(&ctx, NULL, dir, S_IFDIR | 0755, 0);
    }
    err = fs_open(&ctx, NULL, path, O_WRONLY | O_CREAT | O_TRUNC, 0600, 0, &file);
    if (!err) {
        uio_init_kernel(&u, &vec, f->user, f->user_len);
        ssize_t wrote = vnode_write(file->vnode, &u, &pos, false);
        err = wrote < 0 ? (int)wrote : (size_t)wrote < f->user_len ? -ENOSPC : 0;
        if (!err)
            err = fs_setattr(&ctx, file->vnode, &owner);
        file_put(file);
    }
    path_put(ctx.root);
    path_put(ctx.cwd);
    return err;
}

static void user_data_use(struct manifest *m, struct found *f)
{
    if (!strcmp(m->user_data, "env")) {
        if (metadata_is_foreign(f->user))
            log_warn("metadata: the user's data are instructions for another system, no variables");
        else if (strlen(f->user) != f->user_len)
            log_warn("metadata: the user's data are no text");
        else
            env_add(m, f);
    } else if (*m->user_data) {
        int err = user_file_write(m->user_data, f, process.uid, process.gid);
        if (err)
            log_error("metadata: cannot write %s (error %d)", m->user_data, -err);
    }
}

bool metadata_take(struct manifest *m)
{
    struct found f = {.deadline = clock_now() + PATIENCE, .cause = "no disk or service of a cloud"};
    const char *source = NULL;
    if (!*m->metadata)
        return true;
    f.data = kmalloc(TEXT_MAX + HEAD_MAX);
    if (!f.data)
        f.cause = "no memory";
    for (const char *word = m->metadata; f.data && word && !source;) {
        const char *comma = strchr(word, ',');
        source = source_try(&f, word, comma ? (size_t)(comma - word) : strlen(word));
        word = comma ? comma + 1 : NULL;
    }
    if (source) {
        if (metadata_hostname(f.hostname))
            socket_process.host_named(f.hostname);
        log_info("metadata: %s: host name %s, %zu bytes of the user's data", source,
                 *f.hostname ? f.hostname : "unknown", f.user ? f.user_len : 0);
        if (f.user)
            user_data_use(m, &f);
    } else if (m->metadata_required) {
        log_error("metadata: nothing by %s: %s", m->metadata, f.cause);
    } else {
        log_warn("metadata: nothing by %s: %s", m->metadata, f.cause);
    }
    kfree(f.data);
    return source || !m->metadata_required;
}
