/* SPDX-License-Identifier: Apache-2.0 */
/* Text inside XML: see xml.h. */
#include "xml.h"

#include "buf.h"

char *xml_text(const char *s)
{
    struct buf b = {0};
    buf_add(&b, "", 0);
    for (; *s; s++) {
        switch (*s) {
        case '&':
            buf_addf(&b, "&amp;");
            break;
        case '<':
            buf_addf(&b, "&lt;");
            break;
        case '"':
            buf_addf(&b, "&quot;");
            break;
        default:
            buf_add(&b, s, 1);
        }
    }
    return b.data;
}
