/* SPDX-License-Identifier: MIT */
#include "exporter/clock.h"

prom_clock_fn prom_clock = clock_gettime;
