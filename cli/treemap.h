/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What takes how much room in an image, as a picture (SVG): a rectangle for each file, as large as
 * it is, within that of its directory; near to squares ("squarified": Bruls, Huizing, van Wijk).
 * Equal files give equal bytes.
 */
#pragma once

#include "buf.h"
#include "image_files.h"

void treemap_draw(struct buf *to, const char *title, const struct image_files *files);
