/* SPDX-License-Identifier: Apache-2.0 */
/* `resize` of volumes and images: the file, its partition table and its filesystem grow. */
#pragma once

#include "verbs.h"

/* Operands: what, and its new size. A smaller size is refused. */
verb_fn grow_run;
