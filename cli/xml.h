/* SPDX-License-Identifier: Apache-2.0 */
/* Text inside XML. */
#pragma once

/* `s` with what XML gives a meaning escaped; freed with free(). */
char *xml_text(const char *s);
