/* SPDX-License-Identifier: Apache-2.0 */
/* What the one fake stream has taken and will give. */
#pragma once

#include "dev/stream.h"

extern char fake_stream_in[4096], fake_stream_out[4096];
extern size_t fake_stream_in_len, fake_stream_out_len, fake_stream_room;
extern struct stream fake_stream;
