/* SPDX-License-Identifier: MIT */
#ifndef PRELOAD_MESSAGES_H
#define PRELOAD_MESSAGES_H

/*
 * What we have to say to the operator: one line each, "what. Consequence. What to do.",
 * kept in the ring of 16 in the segment, and printed where PROMSHIM_LOG says, which by
 * default is nowhere.
 *
 * Printing is one write(2) of "promshim[pid]: level: line\n"; a path is opened, written and
 * closed per line; stderr is used only while it is what it was in the constructor. At most
 * 10 lines a second and 1,000 per process are printed, and ring entries are rewritten, not lost
 * in number: segment->messages_written counts all.
 */

struct shim_segment;

enum shim_level { SHIM_INFO, SHIM_WARNING, SHIM_ERROR };

/*
 * Sets where messages go; those reported before are kept and go to the ring now.
 *
 * segment  NULL: forget the old one
 * log      "off", "stderr" or a path; copied. NULL in a forked child: as before
 * Calls    constructor, fork child; async-signal-safe
 */
void shim_messages_init(struct shim_segment *segment, const char *log);

/*
 * Takes a line; cut to SHIM_MESSAGE_BYTES - 1, control characters become '?'.
 *
 * Calls    any thread, never a hook's per-event path; errno kept; async-signal-safe
 */
void shim_message(int level, const char *line);

#endif
