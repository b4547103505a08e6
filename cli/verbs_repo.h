/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs of `ops pkg` that have to do with repositories (repo.h). */
#pragma once

#include "verbs.h"

verb_fn verb_repo, verb_publish;
