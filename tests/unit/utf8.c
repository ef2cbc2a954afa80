/* SPDX-License-Identifier: MIT */
#include "exporter/utf8.h"

#include "tests/unit/tap.h"

static const char *const valid[] = {
	"",
	"plain",
	"\x7f",
	"\xc2\x80",
	"\xdf\xbf",
	"\xe0\xa0\x80",
	"\xed\x9f\xbf",
	"\xee\x80\x80",
	"\xef\xbf\xbf",
	"\xf0\x90\x80\x80",
	"\xf4\x8f\xbf\xbf",
	"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x92\xa9",
};

static const char *const invalid[] = {
	"\x80",
	"\xbf",
	"\xc0\x80",
	"\xc1\xbf",
	"\xc2",
	"\xc2 ",
	"\xe0\x80\x80",
	"\xe0\x9f\xbf",
	"\xe2\x82",
	"\xe2\x82 ",
	"\xed\xa0\x80",
	"\xed\xbf\xbf",
	"\xf0\x80\x80\x80",
	"\xf0\x8f\xbf\xbf",
	"\xf0\x9f\x92",
	"\xf4\x90\x80\x80",
	"\xf5\x80\x80\x80",
	"\xff",
	"a\xff",
	"latin1 gr\xfc\xdf",
};

static const char *copied(const char *from, size_t from_size, size_t out_size) {
	static char out[32];
	memset(out, 'x', sizeof(out));
	prom_utf8_copy(out, out_size, from, from_size);
	return out;
}

int main(void) {
	for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {
		ok(prom_utf8_is_valid(valid[i]), "valid");
	}
	for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
		ok(!prom_utf8_is_valid(invalid[i]), "invalid");
	}
	is_text(copied("redis", 5, 32), "redis", "plain text is copied");
	is_text(copied("redis\0junk", 10, 32), "redis", "up to its NUL");
	is_text(copied("redis", 3, 32), "red", "or up to its size");
	is_text(copied("a\xff\xc3\xbc\xc3", 5, 32), "a?\xc3\xbc?",
			"what is not UTF-8 becomes ?");
	is_text(copied("abcdef", 6, 4), "abc", "cut where the room ends");
	is_text(copied("ab\xc3\xbc", 4, 4), "ab", "never inside a sequence");
	is_text(copied("", 0, 1), "", "nothing fits into one byte");
	return tap_done();
}
