/* SPDX-License-Identifier: MIT */
#include "exporter/complaint.h"

#include <errno.h>

static const char retry[] = " Trying again every 30 s.";

static void error_put(struct prom_buf *out, int error) {
	static const struct {
		int error;
		const char *name;
	} names[] = {
		{ EACCES, "EACCES" },
		{ EADDRINUSE, "EADDRINUSE" },
		{ EADDRNOTAVAIL, "EADDRNOTAVAIL" },
		{ EAFNOSUPPORT, "EAFNOSUPPORT" },
		{ EDQUOT, "EDQUOT" },
		{ EFBIG, "EFBIG" },
		{ EINVAL, "EINVAL" },
		{ EISDIR, "EISDIR" },
		{ ELOOP, "ELOOP" },
		{ EMFILE, "EMFILE" },
		{ ENAMETOOLONG, "ENAMETOOLONG" },
		{ ENFILE, "ENFILE" },
		{ ENOBUFS, "ENOBUFS" },
		{ ENOENT, "ENOENT" },
		{ ENOMEM, "ENOMEM" },
		{ ENOSPC, "ENOSPC" },
		{ ENOTDIR, "ENOTDIR" },
		{ ENOTSOCK, "ENOTSOCK" },
		{ EPERM, "EPERM" },
		{ EROFS, "EROFS" },
	};
	prom_buf_text(out, " (");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (names[i].error == -error) {
			prom_buf_text(out, names[i].name);
			prom_buf_char(out, ')');
			return;
		}
	}
	prom_buf_text(out, "errno ");
	prom_buf_uint(out, (uint64_t)-error);
	prom_buf_char(out, ')');
}

/*
 * What helps whatever was to be opened or written; false when the place itself is at fault.
 */
static bool remedy_put(struct prom_buf *out, int error) {
	switch (-error) {
	case EMFILE:
		prom_buf_text(out, " Raise the limit of open files (ulimit -n).");
		return true;
	case EFBIG:
		prom_buf_text(out, " Raise the limit of file sizes (ulimit -f).");
		return true;
	case ENOSPC:
	case EDQUOT:
		prom_buf_text(out, " Make room on that file system, or name another.");
		return true;
	default:
		return false;
	}
}

static void place_put(struct prom_buf *out, const char *address, int port) {
	prom_buf_text(out, "port ");
	prom_buf_uint(out, (uint64_t)port);
	prom_buf_text(out, " on ");
	prom_buf_text(out, address);
}

void prom_complaint_port(struct prom_buf *out, const char *address, int port, int error) {
	if (error == -EADDRNOTAVAIL || (error == -EINVAL && port >= 0)) {
		prom_buf_text(out, "address ");
		prom_buf_text(out, address);
		prom_buf_text(out,
				error == -EINVAL ? " is no number"
						 : " is not this machine's");
		error_put(out, error);
		prom_buf_text(out,
				". Counting goes on, nothing is served. Set PROMSHIM_ADDRESS.");
	} else if (port < 0) {
		prom_buf_text(out,
				"neither a port nor a socket is set. Counting goes on, nothing "
				"is served. Set PROMSHIM_PORT or PROMSHIM_SOCKET.");
		return;
	} else if (error == -EADDRINUSE) {
		place_put(out, address, port);
		prom_buf_text(out,
				" is taken by another program. Counting goes on, nothing is "
				"served. Set PROMSHIM_PORT, or 0 with PROMSHIM_PORT_FILE.");
	} else if (error == -EACCES && port > 0 && port < 1024) {
		place_put(out, address, port);
		prom_buf_text(out, " is not for this user");
		error_put(out, error);
		prom_buf_text(out,
				". Counting goes on, nothing is served. Set PROMSHIM_PORT to "
				"1024 or more.");
	} else {
		place_put(out, address, port);
		prom_buf_text(out, " cannot be opened");
		error_put(out, error);
		prom_buf_text(out, ". Counting goes on, nothing is served.");
		if (!remedy_put(out, error)) {
			prom_buf_text(out,
					" Set PROMSHIM_SOCKET if there is no network here.");
		}
	}
	prom_buf_text(out, retry);
}

void prom_complaint_socket_only(struct prom_buf *out, const char *address, int port,
		int error) {
	place_put(out, address, port);
	prom_buf_text(out, " cannot be opened");
	error_put(out, error);
	prom_buf_text(out,
			". Only the socket is served. Set PROMSHIM_PORT=none if that is meant.");
}

void prom_complaint_client(struct prom_buf *out, int error) {
	prom_buf_text(out, "a client could not be accepted");
	error_put(out, error);
	prom_buf_text(out, ". Counting goes on, who asks may have to wait.");
	(void)remedy_put(out, error);
}

void prom_complaint_socket(struct prom_buf *out, const char *path, int error) {
	prom_buf_text(out, "socket ");
	prom_buf_text(out, path);
	if (error == -EADDRINUSE) {
		prom_buf_text(out, " is taken by another program");
	} else if (error == -ENOTSOCK) {
		prom_buf_text(out, " is a file of another kind, which stays");
	} else if (error == -ENAMETOOLONG) {
		prom_buf_text(out, " is longer than 107 bytes");
	} else {
		prom_buf_text(out, " cannot be made");
		error_put(out, error);
	}
	prom_buf_text(out, ". Counting goes on, nothing is served there.");
	if (!remedy_put(out, error)) {
		prom_buf_text(out, " Set PROMSHIM_SOCKET to a free path.");
	}
}

void prom_complaint_file(struct prom_buf *out, const char *setting, const char *path,
		int error) {
	prom_buf_text(out, path);
	prom_buf_text(out, " cannot be written");
	error_put(out, error);
	prom_buf_text(out, ". The file is left out.");
	if (!remedy_put(out, error)) {
		prom_buf_text(out, " Set ");
		prom_buf_text(out, setting);
		prom_buf_text(out, " to a path that this user can write.");
	}
}
