/* SPDX-License-Identifier: Apache-2.0 */
/* A new instance in the place of the one of that name. */
#pragma once

#include <stdbool.h>

#include "err.h"
#include "plan.h"

/* `words` as `ops run` takes them, read into `r` already. Errors: the old one is as it was. */
bool deploy_instance(struct request *r, char **words, struct err *err);
