/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "exporter/encode.h"

/* The labels of a sample, written once; its further lines copy them from the page. */
struct labels {
	const struct prom_desc *desc;
	const struct prom_sample *sample;
	size_t start, size; /* in the page; size 0: not written yet, or there are none */
};

static const char *type_name(enum prom_type type) {
	switch (type) {
	case PROM_COUNTER:
		return "counter";
	case PROM_GAUGE:
		return "gauge";
	case PROM_HISTOGRAM:
		return "histogram";
	}
	return "untyped";
}

/* Escapes backslash, newline and `quote`; '\\' as quote means that none is escaped. */
static void put_escaped(struct prom_buf *out, const char *text, char quote) {
	size_t size = strlen(text);
	if (memchr(text, '\\', size) == NULL && memchr(text, '\n', size) == NULL &&
			memchr(text, quote, size) == NULL) {
		prom_buf_put(out, text, size);
		return;
	}
	for (; *text != '\0'; text++) {
		if (*text == '\\' || *text == '\n' || *text == quote) {
			prom_buf_char(out, '\\');
		}
		prom_buf_char(out, *text == '\n' ? 'n' : *text);
	}
}

static void put_metadata(struct prom_buf *out, const struct prom_desc *desc,
		size_t name_size) {
	prom_buf_put(out, "# HELP ", 7);
	prom_buf_put(out, desc->name, name_size);
	prom_buf_char(out, ' ');
	put_escaped(out, desc->help, '\\');
	prom_buf_put(out, "\n# TYPE ", 8);
	prom_buf_put(out, desc->name, name_size);
	prom_buf_char(out, ' ');
	prom_buf_text(out, type_name(desc->type));
	prom_buf_char(out, '\n');
}

/* Appends `program="x",kind="y"`. */
static void put_labels(struct prom_buf *out, struct labels *labels) {
	if (labels->size > 0) {
		prom_buf_put(out, out->bytes + labels->start, labels->size);
		return;
	}
	const char *const *names = labels->desc->labels;
	labels->start = out->used_bytes;
	for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
		if (i > 0) {
			prom_buf_char(out, ',');
		}
		prom_buf_text(out, names[i]);
		prom_buf_put(out, "=\"", 2);
		put_escaped(out, labels->sample->label_values[i], '"');
		prom_buf_char(out, '"');
	}
	labels->size = out->used_bytes - labels->start;
}

static void put_number(struct prom_buf *out, const struct prom_number *number) {
	if (number->is_real) {
		prom_buf_double(out, number->real);
	} else {
		prom_buf_uint(out, number->integer);
	}
	prom_buf_char(out, '\n');
}

/* Starts a line: `name{program="x"} `. */
static void put_series(struct prom_buf *out, size_t name_size, const char *suffix,
		struct labels *labels) {
	const struct prom_desc *desc = labels->desc;
	prom_buf_put(out, desc->name, name_size);
	prom_buf_text(out, suffix);
	if (desc->labels != NULL && desc->labels[0] != NULL) {
		prom_buf_char(out, '{');
		put_labels(out, labels);
		prom_buf_char(out, '}');
	}
	prom_buf_char(out, ' ');
}

static void put_bucket(struct prom_buf *out, size_t name_size, struct labels *labels,
		const char *bound, uint64_t value) {
	const struct prom_desc *desc = labels->desc;
	prom_buf_put(out, desc->name, name_size);
	prom_buf_put(out, "_bucket{", 8);
	if (desc->labels != NULL && desc->labels[0] != NULL) {
		put_labels(out, labels);
		prom_buf_char(out, ',');
	}
	prom_buf_put(out, "le=\"", 4);
	prom_buf_text(out, bound);
	prom_buf_put(out, "\"} ", 3);
	prom_buf_uint(out, value);
	prom_buf_char(out, '\n');
}

static void put_histogram(struct prom_buf *out, size_t name_size, struct labels *labels) {
	const struct prom_histogram *histogram = &labels->sample->histogram;
	const char *const *bounds = labels->desc->bounds;
	for (size_t i = 0; bounds[i] != NULL; i++) {
		put_bucket(out, name_size, labels, bounds[i], histogram->cumulative[i]);
	}
	put_bucket(out, name_size, labels, "+Inf", histogram->count);
	put_series(out, name_size, "_sum", labels);
	prom_buf_double(out, histogram->sum);
	prom_buf_char(out, '\n');
	put_series(out, name_size, "_count", labels);
	prom_buf_uint(out, histogram->count);
	prom_buf_char(out, '\n');
}

static void put_family(struct prom_buf *out, const struct prom_family *family) {
	const struct prom_desc *desc = family->desc;
	size_t name_size = strlen(desc->name);
	put_metadata(out, desc, name_size);
	for (const struct prom_sample *sample = family->samples; sample != NULL;
			sample = sample->next) {
		struct labels labels = { .desc = desc, .sample = sample };
		if (desc->type == PROM_HISTOGRAM) {
			put_histogram(out, name_size, &labels);
		} else {
			put_series(out, name_size, "", &labels);
			put_number(out, &sample->number);
		}
	}
}

void prom_encode_text(const struct prom_family *families, size_t count,
		struct prom_buf *out) {
	for (size_t i = 0; i < count && !out->failed; i++) {
		size_t whole = out->used_bytes;
		put_family(out, &families[i]);
		if (out->failed) {
			out->used_bytes = whole;
		}
	}
}
