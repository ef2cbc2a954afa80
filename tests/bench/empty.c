/* SPDX-License-Identifier: MIT */
/* An object with nothing in it: what LD_PRELOAD itself costs at start. */

extern const char bench_empty; /* ISO C wants a declaration in a file */
