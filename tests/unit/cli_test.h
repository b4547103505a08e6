/* SPDX-License-Identifier: Apache-2.0 */
/* What every unit test of the tool includes: cmocka and checks of `struct err`. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "err.h"

/* The error is there, with this status and this text somewhere in its message; then it is freed. */
static inline void assert_err(struct err *e, int status, const char *text)
{
    assert_non_null(e->message);
    if (!strstr(e->message, text))
        assert_string_equal(e->message, text);
    assert_int_equal(e->exit, status);
    err_free(e);
}
