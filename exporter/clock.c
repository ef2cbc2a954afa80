/* SPDX-License-Identifier: MIT */
#include "exporter/clock.h"

#include "exporter/base/kernel.h"

prom_clock_fn prom_clock = kernel_clock_gettime;
