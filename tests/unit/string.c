/* SPDX-License-Identifier: MIT */
/* The object's own <string.h> beside libc's: the same answers for short texts of few letters. */

#include <stdbool.h>
#include <strings.h>

#include "tests/unit/tap.h"

#define bcmp    own_bcmp
#define memchr  own_memchr
#define memcmp  own_memcmp
#define memcpy  own_memcpy
#define memmem  own_memmem
#define memmove own_memmove
#define memrchr own_memrchr
#define memset  own_memset
#define strchr  own_strchr
#define strcmp  own_strcmp
#define strcspn own_strcspn
#define strlen  own_strlen
#define strncmp own_strncmp
#define strncpy own_strncpy
#define strnlen own_strnlen
#define strrchr own_strrchr
#define strspn  own_strspn
#define strstr  own_strstr
/* declared by <string.h> under their other names only */
int own_bcmp(const void *a, const void *b, size_t size);
void *own_memchr(const void *bytes, int value, size_t size);
int own_memcmp(const void *a, const void *b, size_t size);
void *own_memcpy(void *restrict to, const void *restrict from, size_t size);
void *own_memmem(const void *bytes, size_t size, const void *wanted, size_t wanted_size);
void *own_memmove(void *to, const void *from, size_t size);
void *own_memrchr(const void *bytes, int value, size_t size);
void *own_memset(void *bytes, int value, size_t size);
char *own_strchr(const char *text, int value);
int own_strcmp(const char *a, const char *b);
size_t own_strcspn(const char *text, const char *set);
size_t own_strlen(const char *text);
int own_strncmp(const char *a, const char *b, size_t most);
char *own_strncpy(char *restrict to, const char *restrict from, size_t size);
size_t own_strnlen(const char *text, size_t most);
char *own_strrchr(const char *text, int value);
size_t own_strspn(const char *text, const char *set);
char *own_strstr(const char *text, const char *wanted);
#include "exporter/base/string.c" // NOLINT(bugprone-suspicious-include): as it is built there
#undef bcmp
#undef memchr
#undef memcmp
#undef memcpy
#undef memmem
#undef memmove
#undef memrchr
#undef memset
#undef strchr
#undef strcmp
#undef strcspn
#undef strlen
#undef strncmp
#undef strncpy
#undef strnlen
#undef strrchr
#undef strspn
#undef strstr

enum { LONGEST = 4, LETTERS = 3, BYTES = 64 };

static const char letters[LETTERS] = { 'a', 'b', (char)0xe4 };

/* The texts of up to LONGEST letters, one for each number; false when there are no more. */
static bool text_of(unsigned number, char text[LONGEST + 1]) {
	unsigned count = 1;
	for (unsigned length = 0; length <= LONGEST; length++, count *= LETTERS) {
		if (number < count) {
			text[length] = '\0';
			while (length > 0) {
				text[--length] = letters[number % LETTERS];
				number /= LETTERS;
			}
			return true;
		}
		number -= count;
	}
	return false;
}

static int sign(int number) {
	return (number > 0) - (number < 0);
}

static bool agree(const char *a, const char *b) {
	size_t size = strlen(a) + 1;
	size_t wanted = strlen(b);
	bool same = own_strlen(a) == strlen(a) && own_strstr(a, b) == strstr(a, b) &&
			sign(own_strcmp(a, b)) == sign(strcmp(a, b)) &&
			own_strspn(a, b) == strspn(a, b) &&
			own_strcspn(a, b) == strcspn(a, b) &&
			own_memmem(a, size, b, wanted) == memmem(a, size, b, wanted) &&
			own_strchr(a, b[0]) == strchr(a, b[0]) &&
			own_strrchr(a, b[0]) == strrchr(a, b[0]) &&
			own_memchr(a, b[0], size) == memchr(a, b[0], size) &&
			own_memrchr(a, b[0], size) == memrchr(a, b[0], size);
	for (size_t n = 0; n <= wanted && n <= size; n++) {
		char x[LONGEST + 2] = "xxxxx", y[LONGEST + 2] = "xxxxx";
		own_strncpy(x, a, n);
		strncpy(y, a, n);
		same = same && memcmp(x, y, sizeof(x)) == 0 &&
				own_strnlen(a, n) == strnlen(a, n) &&
				sign(own_strncmp(a, b, n)) == sign(strncmp(a, b, n)) &&
				sign(own_memcmp(a, b, n)) == sign(memcmp(a, b, n)) &&
				(own_bcmp(a, b, n) == 0) == (memcmp(a, b, n) == 0);
	}
	return same;
}

static void test_texts(void) {
	char a[LONGEST + 1], b[LONGEST + 1];
	unsigned wrong = 0, pairs = 0;
	for (unsigned i = 0; text_of(i, a); i++) {
		for (unsigned k = 0; text_of(k, b); k++) {
			pairs++;
			if (!agree(a, b)) {
				wrong++;
				printf("# \"%s\" and \"%s\"\n", a, b);
			}
		}
	}
	is(pairs, 121 * 121, "pairs of texts");
	is(wrong, 0, "... on which all functions agree with libc's");
}

static void test_blocks(void) {
	unsigned wrong = 0;
	for (size_t to = 0; to < BYTES; to += 3) {
		for (size_t from = 0; from < BYTES; from += 3) {
			for (size_t size = 0; size <= BYTES; size += 5) {
				unsigned char own[2 * BYTES], theirs[2 * BYTES];
				for (size_t i = 0; i < sizeof(own); i++) {
					own[i] = theirs[i] = (unsigned char)(i * 7);
				}
				memmove(theirs + to, theirs + from, size);
				wrong += own_memmove(own + to, own + from, size) !=
						own + to;
				wrong += memcmp(own, theirs, sizeof(own)) != 0;
				memset(theirs + to, (int)from + 250, size);
				wrong += own_memset(own + to, (int)from + 250, size) !=
						own + to;
				wrong += memcmp(own, theirs, sizeof(own)) != 0;
			}
		}
	}
	is(wrong, 0, "moves over themselves and fills");
	char out[8] = "-------";
	is(own_memcpy(out + 1, "abc", 3) == out + 1, 1, "a copy is where it was wanted");
	is_text(out, "-abc---", "... and no longer");
}

int main(void) {
	test_texts();
	test_blocks();
	return tap_done();
}
