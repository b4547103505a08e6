/* SPDX-License-Identifier: Apache-2.0 */
/* System V shared memory. */
#include "guest.h"

#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>

static key_t fresh_key(void)
{
    static unsigned n;
    return (key_t)(0x51000000u + ((unsigned)getpid() << 8 & 0xffff00u) + n++);
}

static unsigned long attached(int id)
{
    struct shmid_ds ds;
    return shmctl(id, IPC_STAT, &ds) ? ~0ul : ds.shm_nattch;
}

TEST(two_attachments_are_one_memory)
{
    int id = shmget(IPC_PRIVATE, 10000, IPC_CREAT | 0600);
    CHECK(id >= 0);
    char *a = shmat(id, NULL, 0), *b = shmat(id, NULL, SHM_RDONLY);
    CHECK(a != (void *)-1 && b != (void *)-1 && a != b);
    CHECK(a[0] == 0 && a[12287] == 0);
    strcpy(a + 9000, "shared");
    CHECK(!strcmp(b + 9000, "shared"));
    CHECK(attached(id) == 2);
    CHECK(shmdt(b) == 0);
    CHECK(attached(id) == 1);
    CHECK(FAILS(shmdt(b), EINVAL));
    CHECK(FAILS(shmdt(a + 4096), EINVAL));
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
    CHECK(!strcmp(a + 9000, "shared")); /* it stays until the last one leaves */
    CHECK(shmdt(a) == 0);
    CHECK(FAILS(shmctl(id, IPC_RMID, NULL), EINVAL));
}

TEST(content_outlives_attachments)
{
    int id = shmget(IPC_PRIVATE, 4096, 0600);
    int *a = shmat(id, NULL, 0);
    a[7] = 4711;
    CHECK(shmdt(a) == 0 && attached(id) == 0);
    a = shmat(id, NULL, 0);
    CHECK(a[7] == 4711);
    CHECK(munmap(a, 4096) == 0); /* detaches, too */
    CHECK(attached(id) == 0);
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
    CHECK(FAILS((long)shmat(id, NULL, 0), EINVAL));
}

TEST(keys)
{
    key_t key = fresh_key();
    CHECK(FAILS(shmget(key, 100, 0600), ENOENT));
    int id = shmget(key, 5000, IPC_CREAT | IPC_EXCL | 0640);
    CHECK(id >= 0);
    CHECK(FAILS(shmget(key, 100, IPC_CREAT | IPC_EXCL | 0600), EEXIST));
    CHECK(shmget(key, 0, 0) == id);
    CHECK(shmget(key, 5000, IPC_CREAT | 0600) == id);
    CHECK(FAILS(shmget(key, 5001, 0600), EINVAL));
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
    CHECK(FAILS(shmget(key, 100, 0600), ENOENT));
    CHECK(FAILS(shmget(key, 0, IPC_CREAT | 0600), EINVAL));
    CHECK(FAILS(shmget(-99, 100, 0600), ENOENT));
}

TEST(what_is_told)
{
    struct shmid_ds ds;
    time_t before = time(NULL) - 1;
    int id = shmget(fresh_key(), 5000, IPC_CREAT | 0640);
    CHECK(shmctl(id, IPC_STAT, &ds) == 0);
    CHECK(ds.shm_segsz == 5000 && (ds.shm_perm.mode & 0777) == 0640 && ds.shm_nattch == 0);
    CHECK(ds.shm_perm.uid == geteuid() && ds.shm_perm.cuid == geteuid());
    CHECK(ds.shm_cpid == getpid() && ds.shm_lpid == 0);
    CHECK(ds.shm_ctime >= before && ds.shm_atime == 0 && ds.shm_dtime == 0);
    char *a = shmat(id, NULL, 0);
    CHECK(shmctl(id, IPC_STAT, &ds) == 0);
    CHECK(ds.shm_lpid == getpid() && ds.shm_atime >= before && ds.shm_nattch == 1);
    ds.shm_perm.mode = 0600;
    CHECK(shmctl(id, IPC_SET, &ds) == 0);
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
    CHECK(shmctl(id, IPC_STAT, &ds) == 0);
    CHECK((ds.shm_perm.mode & 0777) == 0600 && ds.shm_perm.mode & SHM_DEST);
    CHECK(shmdt(a) == 0);
    CHECK(FAILS(shmctl(id, IPC_STAT, &ds), EINVAL));
    CHECK(FAILS(shmctl(id, 99, &ds), EINVAL));
    CHECK(FAILS(shmctl(-1, IPC_STAT, &ds), EINVAL));
}

TEST(addresses)
{
    int id = shmget(IPC_PRIVATE, 8192, 0600);
    char *room = mmap(NULL, 16384, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(FAILS((long)shmat(id, room, 0), EINVAL)); /* something is there */
    CHECK(FAILS((long)shmat(id, room + 1, 0), EINVAL));
    CHECK(FAILS((long)shmat(id, NULL, SHM_REMAP), EINVAL));
    CHECK(shmat(id, room + 4096, SHM_REMAP) == room + 4096);
    room[4096] = 1;
    CHECK(munmap(room, 16384) == 0);
    CHECK(shmat(id, room + 17, SHM_RND) == room);
    CHECK(munmap(room, 8192) == 0);
    CHECK(attached(id) == 0);
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
}

TEST(limits_are_told)
{
    struct shminfo info;
    struct shm_info now;
    int id = shmget(IPC_PRIVATE, 8192, 0600);
    CHECK(shmctl(0, IPC_INFO, (struct shmid_ds *)&info) >= 0);
    CHECK(info.shmmni >= 4096 && info.shmmin == 1 && info.shmmax > 1ul << 40);
    CHECK(shmctl(0, SHM_INFO, (struct shmid_ds *)&now) >= 0);
    CHECK(now.used_ids >= 1 && now.shm_tot >= 2);
    CHECK(shmctl(id, SHM_LOCK, NULL) == 0 && shmctl(id, SHM_UNLOCK, NULL) == 0);
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
}
