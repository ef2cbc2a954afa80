/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_FILE_H
#define EXPORTER_FILE_H

#include <stddef.h>

/*
 * Writes a file as a whole, so that no reader ever sees half of it. A new one gets its name
 * when it is complete: a process that dies meanwhile leaves nothing. Where there is one of the
 * name, or the file system cannot do that: a temporary file beside `path`, then rename. A file size limit of the host is met with -EFBIG, never with
 * SIGXFSZ.
 *
 * Returns  0, or -errno, -EINVAL where no regular file is; then `path` is as it was and the temporary file is gone
 * Calls    any thread; errno untouched
 * Source   setrlimit(2), RLIMIT_FSIZE; open(2), O_TMPFILE
 */
int prom_file_write(const char *path, const char *bytes, size_t size_bytes);

#endif
