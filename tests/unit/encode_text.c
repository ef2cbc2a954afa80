/* SPDX-License-Identifier: MIT */
#include <locale.h>
#include <math.h>

#include "exporter/encode.h"
#include "tests/unit/golden.h"

enum { PAGE_BYTES = 16384 };

static char page[PAGE_BYTES];

static const char *const kind[] = { "kind", NULL };
static const char *const kind_program[] = { "kind", "program", NULL };
static const char *const program[] = { "program", NULL };
static const char *const none[] = { NULL };
static const char *const bounds[] = { "0.001", "1.0", "1.048576e+06", NULL };
static const char *const one_bound[] = { "16.0", NULL };

static const struct prom_desc bytes_desc = {
	.name = "test_bytes",
	.help = "Many values: \\ and \n are escaped here, \"quotes\" are not.",
	.unit = "bytes",
	.type = PROM_GAUGE,
	.labels = kind,
};
static const struct prom_desc escapes_desc = {
	.name = "test_escapes_total",
	.help = "Label values.",
	.unit = "",
	.type = PROM_COUNTER,
	.labels = kind_program,
};
static const struct prom_desc plain_desc = {
	.name = "test_plain",
	.help = "Without labels.",
	.unit = "",
	.type = PROM_GAUGE,
	.labels = none,
};
static const struct prom_desc seconds_desc = {
	.name = "test_seconds",
	.help = "A histogram.",
	.unit = "seconds",
	.type = PROM_HISTOGRAM,
	.labels = program,
	.bounds = bounds,
};
static const struct prom_desc unlabelled_desc = {
	.name = "test_unlabelled_bytes",
	.help = "A histogram without labels.",
	.unit = "bytes",
	.type = PROM_HISTOGRAM,
	.bounds = one_bound,
};

static struct prom_sample bytes_samples[] = {
	{ .label_values = { "not a number" }, .number = { .is_real = 1, .real = NAN } },
	{ .label_values = { "plus infinity" },
			.number = { .is_real = 1, .real = INFINITY } },
	{ .label_values = { "minus infinity" },
			.number = { .is_real = 1, .real = -INFINITY } },
	{ .label_values = { "minus zero" }, .number = { .is_real = 1, .real = -0.0 } },
	{ .label_values = { "a quarter" }, .number = { .is_real = 1, .real = 0.25 } },
	{ .label_values = { "small" }, .number = { .is_real = 1, .real = 1e-5 } },
	{ .label_values = { "large" }, .number = { .is_real = 1, .real = 1.5e21 } },
	{ .label_values = { "2^53+1" }, .number = { .integer = 9007199254740993 } },
	{ .label_values = { "2^64-1" }, .number = { .integer = UINT64_MAX } },
};
static struct prom_sample escapes_samples[] = {
	{ .label_values = { "", "" }, .number = { .integer = 0 } },
	{ .label_values = { "back\\slash", "C:\\" }, .number = { .integer = 1 } },
	{ .label_values = { "say \"hi\"", "\"" }, .number = { .integer = 2 } },
	{ .label_values = { "two\nlines", "\n" }, .number = { .integer = 3 } },
	{ .label_values = { "gr\xc3\xbc\xc3\x9f"
			    "e \xe2\x82\xac",
			  "{x=\"y\",z}" },
			.number = { .integer = 4 } },
};
static struct prom_sample plain_samples[] = { { .number = { .integer = 42 } } };
static const uint64_t full[] = { 0, 2, 9007199254740993 };
static const uint64_t empty[] = { 0, 0, 0 };
static const uint64_t single[] = { 1 };
static struct prom_sample seconds_samples[] = {
	{ .label_values = { "a\"b" },
			.histogram = { .cumulative = full,
					.count = 9007199254740994,
					.sum = 1234.5 } },
	{ .label_values = { "c" }, .histogram = { .cumulative = empty } },
};
static struct prom_sample unlabelled_samples[] = {
	{ .histogram = { .cumulative = single, .count = 1, .sum = 16 } },
};

#define FAMILY(which)                               \
	family_make(&which##_desc, which##_samples, \
			sizeof(which##_samples) / sizeof(which##_samples[0]))

static struct prom_family family_make(const struct prom_desc *desc,
		struct prom_sample *samples, size_t count) {
	for (size_t i = 0; i < count; i++) {
		samples[i].next = i + 1 < count ? &samples[i + 1] : NULL;
	}
	return (struct prom_family){ .desc = desc,
		.samples = samples,
		.sample_count = count };
}

static struct prom_family families[5];

static size_t encode(size_t size) {
	struct prom_buf out;
	prom_buf_init(&out, page, size);
	prom_encode_text(families, 5, &out);
	return out.failed ? 0 : out.used_bytes;
}

/* A page too small by any number of bytes ends with a whole family. */
static void test_full_page(size_t whole) {
	static char small[PAGE_BYTES];
	size_t broken = 0;
	size_t sizes = 0;
	size_t last = 0;
	for (size_t size = 0; size < whole; size++) {
		struct prom_buf out;
		prom_buf_init(&out, small, size);
		prom_encode_text(families, 5, &out);
		broken += !out.failed || memcmp(small, page, out.used_bytes) != 0;
		broken += out.used_bytes > 0 && small[out.used_bytes - 1] != '\n';
		broken += strncmp(page + out.used_bytes, "# HELP", 6) != 0;
		sizes += out.used_bytes != last;
		last = out.used_bytes;
	}
	is(broken, 0, "every smaller page fails and ends with a whole family");
	is(sizes, 4, "as many families as fit are kept");
}

static void test_locale(size_t whole) {
	const char *name = "the page is the same under de_DE.UTF-8";
	if (setlocale(LC_ALL, "de_DE.UTF-8") == NULL) {
		tap_skip(name, "locale de_DE.UTF-8 is not installed");
		return;
	}
	char comma[8];
	snprintf(comma, sizeof(comma), "%.1f", 0.5);
	is_text(comma, "0,5", "de_DE writes a decimal comma");
	memset(page, 0, whole);
	golden_is(page, encode(sizeof(page)), "encode_text.prom", name);
	setlocale(LC_ALL, "C");
}

int main(void) {
	families[0] = FAMILY(bytes);
	families[1] = FAMILY(escapes);
	families[2] = FAMILY(plain);
	families[3] = FAMILY(seconds);
	families[4] = FAMILY(unlabelled);
	size_t whole = encode(sizeof(page));
	golden_is(page, whole, "encode_text.prom", "the page is the golden one");
	is(encode(whole), whole, "a page that just fits has not failed");
	test_full_page(whole);
	test_locale(whole);

	struct prom_buf out;
	prom_buf_init(&out, page, sizeof(page));
	prom_encode_text(NULL, 0, &out);
	is(out.used_bytes, 0, "no family, no byte");
	ok(!out.failed, "and no failure");
	return tap_done();
}
