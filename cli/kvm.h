/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is KVM really usable here? /dev/kvm that opens proves little: the CPU must
 * show the feature, its module must be loaded, and a tiny guest must run at
 * speed. Nothing is assumed.
 */
#pragma once

#include <stdbool.h>

/* True when a guest ran. *reason (freed with free()) says what was found, in both cases. */
bool kvm_probe(char **reason);
