/* SPDX-License-Identifier: MIT */
#include "exporter/desc.h"

#include <stdbool.h>
#include <string.h>

#include "exporter/utf8.h"

/* An upper bound as text, taken apart: 0.digits times 10 to `point`. */
struct bound {
	const char *digits; /* first that is not zero, a '.' may be among them */
	size_t size; /* up to the last that is not zero */
	int point;
};

static bool is_digit(char c) {
	return c >= '0' && c <= '9';
}

static bool is_letter(char c) {
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool name_is_valid(const char *name) {
	if (name == NULL || !is_letter(name[0])) {
		return false;
	}
	while (is_letter(*name) || is_digit(*name)) {
		name++;
	}
	return *name == '\0';
}

static bool ends_in(const char *name, size_t size, const char *suffix) {
	size_t suffix_size = strlen(suffix);
	return size > suffix_size &&
			memcmp(name + size - suffix_size, suffix, suffix_size) == 0;
}

static const char *labels_refusal(const struct prom_desc *desc) {
	size_t count = 0;
	for (; desc->labels != NULL && desc->labels[count] != NULL; count++) {
		const char *label = desc->labels[count];
		if (count == PROM_LABELS_MAX) {
			return "too many labels";
		}
		if (!name_is_valid(label)) {
			return "bad label name";
		}
		if (strncmp(label, "__", 2) == 0) {
			return "reserved label name";
		}
		if (desc->type == PROM_HISTOGRAM && strcmp(label, "le") == 0) {
			return "label le of a histogram";
		}
		int order = count == 0 ? -1 : strcmp(desc->labels[count - 1], label);
		if (order == 0) {
			return "duplicate label name";
		}
		if (order > 0) {
			return "labels not in order";
		}
	}
	return NULL;
}

/* Reads "1.048576e+06"; false when it is not spelled so, the only way for its value. */
static bool bound_parse(const char *text, struct bound *out) {
	size_t whole = 0;
	while (is_digit(text[whole])) {
		whole++;
	}
	size_t end = whole;
	if (text[end] == '.') {
		end++;
		while (is_digit(text[end])) {
			end++;
		}
	}
	size_t fraction = end > whole ? end - whole - 1 : 0;
	if (whole == 0 || end - whole == 1 || (text[0] == '0' && whole > 1)) {
		return false;
	}
	size_t first = strspn(text, "0.");
	size_t last = end;
	while (last > first && (text[last - 1] == '0' || text[last - 1] == '.')) {
		last--;
	}
	out->digits = text + first;
	out->size = last - first;
	out->point = first < whole ? (int)whole : (int)whole + 1 - (int)first;
	if (text[end] == '\0') {
		/* "16.0": always a point, no digit too many, nothing that wants an "e" */
		bool tight = fraction == 1 || text[end - 1] != '0';
		return first < end && fraction > 0 && tight && whole <= 6 &&
				out->point > -4;
	}
	const char *exponent = text + end;
	if (exponent[0] != 'e' || (exponent[1] != '+' && exponent[1] != '-') ||
			!is_digit(exponent[2]) || !is_digit(exponent[3]) ||
			exponent[4] != '\0') {
		return false;
	}
	int power = (exponent[2] - '0') * 10 + exponent[3] - '0';
	out->point += exponent[1] == '-' ? -power : power;
	return whole == 1 && first == 0 && text[end - 1] != '0' &&
			(exponent[1] == '+' ? power >= 6 : power >= 5);
}

static bool bound_is_less(const struct bound *a, const struct bound *b) {
	if (a->point != b->point) {
		return a->point < b->point;
	}
	size_t i = 0;
	size_t j = 0;
	for (; i < a->size && j < b->size; i++, j++) {
		i += a->digits[i] == '.';
		j += b->digits[j] == '.';
		if (a->digits[i] != b->digits[j]) {
			return a->digits[i] < b->digits[j];
		}
	}
	return i == a->size && j < b->size;
}

static const char *bounds_refusal(const struct prom_desc *desc) {
	if ((desc->type == PROM_HISTOGRAM) != (desc->bounds != NULL)) {
		return "bounds without a histogram or the other way round";
	}
	struct bound last = { .size = 0 };
	for (size_t i = 0; desc->bounds != NULL && desc->bounds[i] != NULL; i++) {
		struct bound bound;
		if (!bound_parse(desc->bounds[i], &bound)) {
			return "bad bound";
		}
		if (i > 0 && !bound_is_less(&last, &bound)) {
			return "bounds not in order";
		}
		last = bound;
	}
	return NULL;
}

const char *prom_desc_refusal(const struct prom_desc *desc) {
	if (!name_is_valid(desc->name)) {
		return "bad metric name";
	}
	size_t size = strlen(desc->name);
	if ((desc->type == PROM_COUNTER) != ends_in(desc->name, size, "_total")) {
		return "_total without a counter or the other way round";
	}
	if (desc->help == NULL || desc->help[0] == '\0') {
		return "no help";
	}
	if (!prom_utf8_is_valid(desc->help)) {
		return "help is not UTF-8";
	}
	if (desc->unit != NULL && desc->unit[0] != '\0') {
		size_t base = desc->type == PROM_COUNTER ? size - strlen("_total") : size;
		size_t unit = strlen(desc->unit);
		if (!ends_in(desc->name, base, desc->unit) ||
				desc->name[base - unit - 1] != '_') {
			return "unit is not the name's suffix";
		}
	}
	const char *refusal = labels_refusal(desc);
	return refusal != NULL ? refusal : bounds_refusal(desc);
}

size_t prom_desc_claims(const struct prom_desc *desc, size_t *base_size,
		const char *suffixes[PROM_CLAIMS_MAX]) {
	static const char *const counter[] = { "", "_total", "_created" };
	static const char *const gauge[] = { "", "_info" };
	static const char *const histogram[] = { "", "_bucket", "_count", "_sum",
		"_created" };
	size_t size = strlen(desc->name);
	const char *const *list = gauge;
	size_t count = 1;
	*base_size = size;
	switch (desc->type) {
	case PROM_COUNTER:
		*base_size = size - strlen("_total");
		list = counter;
		count = sizeof(counter) / sizeof(counter[0]);
		break;
	case PROM_HISTOGRAM:
		list = histogram;
		count = sizeof(histogram) / sizeof(histogram[0]);
		break;
	case PROM_GAUGE:
		/* a constant 1 with facts in its labels is an info in OpenMetrics */
		if (ends_in(desc->name, size, "_info")) {
			*base_size = size - strlen("_info");
			count = sizeof(gauge) / sizeof(gauge[0]);
		}
		break;
	}
	memcpy(suffixes, list, count * sizeof(list[0]));
	return count;
}
