/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_DESCRIPTOR_H
#define EXPORTER_DESCRIPTOR_H

/*
 * Moves a CLOEXEC descriptor that stays open to a number of 32 or more. A host may lower
 * RLIMIT_NOFILE at any time; the low numbers, which it still allows then, are left to
 * clients and to files that are opened only to be read.
 *
 * Returns  the new number; `fd` itself where the limit allows no such number
 * Source   setrlimit(2): the limit is on the number, and only for new descriptors
 */
int prom_descriptor_raise(int fd);

#endif
