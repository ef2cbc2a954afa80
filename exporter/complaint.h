/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_COMPLAINT_H
#define EXPORTER_COMPLAINT_H

/*
 * What the exporter has to say to the host's operator when something cannot be opened or
 * written: one line, "what. Consequence. What to do.", from an errno. Pure text.
 */

#include "exporter/buf.h"

/* `error` is negative, as prom_server_listen returned it. */
void prom_complaint_port(struct prom_buf *out, const char *address, int port, int error);
void prom_complaint_socket_only(struct prom_buf *out, const char *address, int port,
		int error); /* of the port, while the socket is served */
void prom_complaint_client(struct prom_buf *out, int error);
void prom_complaint_socket(struct prom_buf *out, const char *path, int error);
void prom_complaint_file(struct prom_buf *out, const char *setting, const char *path,
		int error);

#endif
