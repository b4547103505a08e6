/* SPDX-License-Identifier: Apache-2.0 */
/* Which packages of this host files belong to: dpkg-query is asked, where there is one. */
#pragma once

#include "err.h"
#include "strlist.h"

/* The packages of `paths`: owners->items[i] is "NAME:ARCHITECTURE" or "NAME" of paths->items[i], or
 * "" where nobody owns it. Both names of a merged /usr count. */
bool dpkg_owners(const struct strlist *paths, struct strlist *owners, struct err *err);

/* The versions of packages, in their order, each "NAME\tVERSION\tARCHITECTURE". */
bool dpkg_versions(const struct strlist *packages, struct strlist *lines, struct err *err);
