/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_BASE_ADDRESS_H
#define EXPORTER_BASE_ADDRESS_H

/*
 * Numbers of internet addresses, as bytes in network order. inet_pton does the same, and is a name
 * of libc's that a host may define.
 */

#include <stdbool.h>
#include <stdint.h>

/*
 * Four decimal numbers of up to 255 between points, without leading zeros. Source: RFC 6943,
 * section 3.1.1, "strict". false: it is none, and `out` is undefined.
 */
bool base_address_ipv4(const char *text, uint8_t out[4]);

/*
 * Eight groups of up to four hexadecimal digits between colons; one run of groups of zero may be
 * "::", the last two groups may be an IPv4 address. No zone. Source: RFC 4291, section 2.2. false:
 * it is none, and `out` is undefined.
 */
bool base_address_ipv6(const char *text, uint8_t out[16]);

#endif
