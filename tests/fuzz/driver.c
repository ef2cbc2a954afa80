/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzzer without libFuzzer: every file given, or in a folder given, as it is, cut at many
 * places, and with many single bytes changed. The same every time. Prints TAP, a line a file.
 */
#include <dirent.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

enum {
	FILE_MAX = 1 << 20,
	PLACES_MAX = 400, /* of a file, where it is cut and changed; more: every n-th */
};

static unsigned files;

static uint64_t run(const uint8_t *bytes, size_t size) {
	uint8_t *exact = calloc(1,
			size > 0 ? size : 1); /* who reads past the end is seen */
	if (exact == NULL) {
		abort();
	}
	if (size > 0) {
		memcpy(exact, bytes, size);
	}
	(void)LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	return 1;
}

static uint64_t run_variants(uint8_t *bytes, size_t size) {
	static const uint8_t masks[] = { 0xff, 0x80, 0x20, 0x01 };
	size_t step = size / PLACES_MAX + 1;
	uint64_t runs = run(bytes, size);

	for (size_t at = 0; at < size; at += step) {
		uint8_t kept = bytes[at];
		runs += run(bytes, at);
		for (size_t i = 0; i < sizeof(masks); i++) {
			bytes[at] = kept ^ masks[i];
			runs += run(bytes, size);
		}
		bytes[at] = 0;
		runs += run(bytes, size);
		bytes[at] = kept;
	}
	return runs;
}

static void run_file(const char *path) {
	static uint8_t bytes[FILE_MAX];
	FILE *file = fopen(path, "re");
	if (file == NULL) {
		printf("not ok %u - %s cannot be opened\n", ++files, path);
		return;
	}
	printf("# %s\n", path); /* should it be the last line */
	fflush(stdout);
	size_t size = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	uint64_t runs = run_variants(bytes, size);
	const char *slash = strrchr(path, '/');
	printf("ok %u - %s: %" PRIu64 " executions\n", ++files,
			slash == NULL ? path : slash + 1, runs);
	fflush(stdout);
}

static int is_visible(const struct dirent *entry) {
	return entry->d_name[0] != '.';
}

static void run_folder(const char *path) {
	struct dirent **entries;
	int count = scandir(path, &entries, is_visible, alphasort);

	for (int i = 0; i < count; i++) {
		char name[4096];
		snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
		run_file(name);
		free(entries[i]);
	}
	if (count >= 0) {
		free(entries);
	}
}

int main(int argc, char **argv) {
	run((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++) {
		struct stat status;
		if (stat(argv[i], &status) == 0 && S_ISDIR(status.st_mode)) {
			run_folder(argv[i]);
		} else {
			run_file(argv[i]);
		}
	}
	if (files == 0) {
		printf("not ok 1 - no input\n1..1\n");
		return 1;
	}
	printf("1..%u\n", files);
	return 0;
}
