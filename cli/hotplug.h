/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes of machines that run: `ops volume attach` and `ops volume detach`. */
#pragma once

#include "verbs.h"

verb_fn hotplug_attach, hotplug_detach;
