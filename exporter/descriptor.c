/* SPDX-License-Identifier: MIT */
#include "exporter/descriptor.h"

#include "exporter/base/kernel.h"

enum { FIRST_HIGH = 32 }; /* a table of 64 is what every process has: it need not grow */

int prom_descriptor_raise(int fd) {
	int raised = fd < 0 ? fd : kernel_fcntl(fd, F_DUPFD_CLOEXEC, FIRST_HIGH);
	if (raised < 0) {
		return fd;
	}
	(void)kernel_close(fd);
	return raised;
}
