/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The KVM probe: flags, module, permission, KVM_CREATE_VM, and last a guest of
 * six bytes of real-mode code that counts down from 65 536 in ring 0 and halts.
 * With hardware help that takes microseconds; a software variant of KVM needs a
 * thousand times as long or fails.
 */
#include "kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "hostpath.h"

#define KVM_TSS_ADDRESS                                                                            \
    0xfffbd000 /* three pages that Intel CPUs without unrestricted guests need */

/*
 * The best of three runs counts: the first one also pays for setting up. It takes 0.1 ms on
 * hardware, 20 ms and then less where svm is emulated itself (KVM nested in QEMU's TCG: slow,
 * but real), and never below 80 ms in the software variant that this probe is to refuse.
 */
#define KVM_GUEST_NS    40000000
#define KVM_GUEST_TRIES 3
#define KVM_GUEST_TICKS 900000 /* microseconds after which it is interrupted */

static bool cpu_has_flag(void)
{
    struct err err = {0};
    char *text = path_read("/proc/cpuinfo", 64 << 20, NULL, &err);
    char *flags = text ? strstr(text, "\nflags") : NULL;
    if (flags)
        flags[1 + strcspn(flags + 1, "\n")] = 0;
    char *spaced = flags ? alloc_printf("%s ", flags) : NULL;
    bool found = spaced && (strstr(spaced, " vmx ") || strstr(spaced, " svm "));
    free(spaced);
    free(text);
    err_free(&err);
    return found;
}

static int64_t clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* Only there to interrupt KVM_RUN. */
static void alarm_ignore(int number)
{
    (void)number;
}

/* Runs the vCPU to its first exit with an alarm behind it; the exit reason, or -1. */
static int vcpu_run(int vcpu, struct kvm_run *run)
{
    struct sigaction act = {.sa_handler = alarm_ignore}, old;
    const struct itimerval limit = {.it_value = {.tv_usec = KVM_GUEST_TICKS}}, off = {0};
    sigaction(SIGALRM, &act, &old);
    setitimer(ITIMER_REAL, &limit, NULL);
    int result = ioctl(vcpu, KVM_RUN, 0);
    int saved = errno;
    setitimer(ITIMER_REAL, &off, NULL);
    sigaction(SIGALRM, &old, NULL);
    errno = saved;
    return result < 0 ? -1 : (int)run->exit_reason;
}

static bool registers_set(int vcpu)
{
    struct kvm_sregs s;
    struct kvm_regs r = {.rip = 0, .rflags = 2};
    if (ioctl(vcpu, KVM_GET_SREGS, &s) < 0)
        return false;
    s.cs.base = 0;
    s.cs.selector = 0;
    return ioctl(vcpu, KVM_SET_SREGS, &s) == 0 && ioctl(vcpu, KVM_SET_REGS, &r) == 0;
}

/* The guest: xor cx,cx; 1: dec cx; jnz 1b; hlt. */
static char *guest_try(int kvm, int vm, int *vcpu, unsigned char *memory, int64_t *took)
{
    static const unsigned char code[] = {0x31, 0xc9, 0x49, 0x75, 0xfd, 0xf4};
    struct kvm_userspace_memory_region region = {.memory_size = 4096,
                                                 .userspace_addr = (uintptr_t)memory};
    int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    ioctl(vm, KVM_SET_TSS_ADDR, KVM_TSS_ADDRESS);
    memcpy(memory, code, sizeof code);
    if (size <= 0 || ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0 ||
        (*vcpu = ioctl(vm, KVM_CREATE_VCPU, 0)) < 0)
        return alloc_printf("a guest could not be made: %s", strerror(errno));
    struct kvm_run *run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, *vcpu, 0);
    if (run == MAP_FAILED)
        return alloc_printf("a guest could not be made: %s", strerror(errno));
    char *problem = NULL;
    int reason = KVM_EXIT_HLT;
    *took = INT64_MAX;
    for (int i = 0; i < KVM_GUEST_TRIES && reason == KVM_EXIT_HLT && *took > KVM_GUEST_NS; i++) {
        int64_t start = clock_ns(), spent;
        reason = registers_set(*vcpu) ? vcpu_run(*vcpu, run) : -1;
        spent = clock_ns() - start;
        *took = spent < *took ? spent : *took;
    }
    if (reason != KVM_EXIT_HLT)
        problem = alloc_printf("a tiny guest did not run (exit reason %d)", reason);
    else if (*took > KVM_GUEST_NS)
        problem = alloc_printf("a tiny guest took %lld ms: this is not hardware virtualisation",
                               (long long)(*took / 1000000));
    munmap(run, (size_t)size);
    return problem;
}

static char *device_try(int kvm, int64_t *took)
{
    int vcpu = -1, vm = ioctl(kvm, KVM_CREATE_VM, 0);
    if (vm < 0)
        return alloc_printf("/dev/kvm makes no machine: %s", strerror(errno));
    unsigned char *memory =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char *problem = memory == MAP_FAILED ? alloc_string("no memory for a guest")
                                         : guest_try(kvm, vm, &vcpu, memory, took);
    if (vcpu >= 0)
        close(vcpu);
    close(vm);
    if (memory != MAP_FAILED)
        munmap(memory, 4096);
    return problem;
}

bool kvm_probe(char **reason)
{
    int kvm = -1;
    int64_t took = 0;
    *reason = NULL;
    if (access("/dev/kvm", F_OK) < 0)
        *reason = alloc_string("there is no /dev/kvm");
    else if (!cpu_has_flag())
        *reason = alloc_string("the CPU shows neither vmx nor svm in /proc/cpuinfo");
    else if (access("/sys/module/kvm_intel", F_OK) < 0 && access("/sys/module/kvm_amd", F_OK) < 0)
        *reason = alloc_string("neither kvm_intel nor kvm_amd is loaded");
    else if ((kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC)) < 0)
        *reason = alloc_printf("/dev/kvm cannot be opened: %s (is the user in group kvm?)",
                               strerror(errno));
    else
        *reason = device_try(kvm, &took);
    if (kvm >= 0)
        close(kvm);
    if (*reason)
        return false;
    *reason = alloc_printf("a test guest ran at full speed (%lld us)", (long long)(took / 1000));
    return true;
}
