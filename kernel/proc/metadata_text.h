/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that clouds hand out: what little of YAML, JSON and base64 is looked at. No state. */
#pragma once

#include "lib/types.h"

/*
 * The value of a key: `key: value` on a line of YAML or "key": "value" of JSON, plain text in
 * quotes or none, cut at size - 1. The first counts. False: it is not there, or empty.
 */
bool metadata_value(const char *text, const char *key, char *out, size_t size);
/* A host name (RFC 1123) without its domain, in place. False: it is none. */
bool metadata_hostname(char *name);
/*
 * The next NAME=value of lines as env files have them (comments and empty lines left out), ended in
 * place; *rest is what follows. NULL: there are no more. *bad counts lines that are none.
 */
char *metadata_variable(char **rest, unsigned *bad);
/* True for texts that are programs or instructions for somebody else: scripts, cloud-config. */
bool metadata_is_foreign(const char *text);
/* Decodes base64 in place; its length, or -1. Line ends are skipped. */
ssize_t metadata_base64(char *text, size_t n);
