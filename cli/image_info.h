/* SPDX-License-Identifier: Apache-2.0 */
/* `ops image info`: what a disk holds, from the outside in: manifest, kernel, digests, directories.
 */
#pragma once

#include "verbs.h"

#define IMAGE_INFO_ROWS 3
extern const struct option image_info_rows[IMAGE_INFO_ROWS];

verb_fn image_info;
