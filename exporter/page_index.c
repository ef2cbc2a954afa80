/* SPDX-License-Identifier: MIT */
#include "exporter/page_index.h"

#include <string.h>

#include "exporter/utf8.h"

/* Returns the length of the character at `bytes` if it may go to a terminal, else 0. */
static size_t printable_length(const char *bytes, size_t size_bytes) {
	size_t length = prom_utf8_sequence(bytes, size_bytes);
	unsigned char c = (unsigned char)bytes[0];
	bool is_control = c < ' ' || c == 0x7f ||
			/* U+0080 to U+009F: some terminals take U+009B as ESC [ */
			(c == 0xc2 && length == 2 && (unsigned char)bytes[1] < 0xa0);
	return is_control ? 0 : length;
}

/* Appends a field of fixed size up to its NUL; line ends only where they are meant. */
static void field_put(struct prom_buf *out, const char *bytes, size_t size_bytes,
		const char *indent) {
	bool at_start = true;
	size_bytes = strnlen(bytes, size_bytes);
	for (size_t i = 0; i < size_bytes;) {
		bool is_end = bytes[i] == '\n' && indent != NULL;
		size_t length = is_end ? 1 : printable_length(bytes + i, size_bytes - i);
		if (at_start && indent != NULL) {
			prom_buf_text(out, indent);
		}
		at_start = is_end;
		prom_buf_put(out, length > 0 ? bytes + i : "?", length > 0 ? length : 1);
		i += length > 0 ? length : 1;
	}
}

static void identity_put(struct prom_buf *out, const struct shim_segment *segment) {
	static const char *const hooks[SHIM_HOOK_COUNT] = { "malloc", "operator_new",
		"pthread_create" };
	prom_buf_text(out, "promshim ");
	field_put(out, segment->version, sizeof(segment->version), NULL);
	prom_buf_text(out, "\n\nprogram     ");
	field_put(out, segment->program, sizeof(segment->program), NULL);
	prom_buf_text(out, "\nexecutable  ");
	field_put(out, segment->executable, sizeof(segment->executable), NULL);
	prom_buf_text(out, "\npid         ");
	prom_buf_uint(out, segment->pid > 0 ? (uint64_t)segment->pid : 0);
	prom_buf_text(out, "\nlibc        ");
	field_put(out, segment->libc, sizeof(segment->libc), NULL);
	prom_buf_text(out, "\nallocator   ");
	field_put(out, segment->allocator, sizeof(segment->allocator), NULL);
	/* acquire: pairs with the release that settles a hook, after its active bit */
	uint32_t known =
			atomic_load_explicit(&segment->hooks_known, memory_order_acquire);
	uint32_t active = atomic_load_explicit(&segment->hooks_active,
			memory_order_relaxed);
	prom_buf_text(out, "\nhooks      ");
	for (unsigned i = 0; i < SHIM_HOOK_COUNT; i++) {
		prom_buf_char(out, ' ');
		prom_buf_text(out, hooks[i]);
		prom_buf_text(out,
				(known & 1U << i) == 0                    ? "=unknown"
						: (active & 1U << i) != 0 ? "=yes"
									  : "=no");
	}
	prom_buf_text(out, "\n");
}

static void families_put(struct prom_buf *out, const struct prom_registry *registry) {
	static const char *const types[] = { [PROM_COUNTER] = "counter",
		[PROM_GAUGE] = "gauge",
		[PROM_HISTOGRAM] = "histogram" };
	prom_buf_text(out, "\nFamilies\n");
	for (size_t i = 0; i < registry->collector_count; i++) {
		const struct prom_collector *collector = registry->collectors[i];
		for (size_t k = 0; k < collector->desc_count; k++) {
			const struct prom_desc *desc = &collector->descs[k];
			prom_buf_text(out, "  ");
			prom_buf_text(out, desc->name);
			prom_buf_text(out, " (");
			prom_buf_text(out, types[desc->type]);
			prom_buf_text(out, ") ");
			prom_buf_text(out, desc->help);
			prom_buf_char(out, '\n');
		}
	}
}

/*
 * Copies one message; 0 if the slot is empty or was rewritten meanwhile.
 */
static uint64_t message_read(const struct shim_message *message,
		uint64_t text[SHIM_MESSAGE_BYTES / 8]) {
	/* acquire: pairs with the release of the writer, after the text */
	uint64_t number = atomic_load_explicit(&message->number, memory_order_acquire);
	for (unsigned i = 0; i < SHIM_MESSAGE_BYTES / 8; i++) {
		/* relaxed: the number is looked at again below */
		text[i] = atomic_load_explicit(&message->text[i], memory_order_relaxed);
	}
	/* acquire: pairs with the writer's fence between number 0 and the text */
	atomic_thread_fence(memory_order_acquire);
	uint64_t after = atomic_load_explicit(&message->number, memory_order_relaxed);
	return number == after ? number : 0;
}

static void messages_put(struct prom_buf *out, const struct shim_segment *segment) {
	uint64_t text[SHIM_MESSAGE_BYTES / 8];
	uint64_t last = 0;
	prom_buf_text(out, "\nMessages\n");
	for (unsigned shown = 0; shown < SHIM_MESSAGES; shown++) {
		uint64_t next = UINT64_MAX;
		unsigned slot = SHIM_MESSAGES;
		for (unsigned i = 0; i < SHIM_MESSAGES; i++) {
			/* relaxed: only finds the slot, which is read properly below */
			uint64_t number =
					atomic_load_explicit(&segment->messages[i].number,
							memory_order_relaxed);
			if (number > last && number < next) {
				next = number;
				slot = i;
			}
		}
		if (slot == SHIM_MESSAGES) {
			break;
		}
		last = next;
		if (message_read(&segment->messages[slot], text) != next) {
			continue;
		}
		prom_buf_text(out, "  ");
		prom_buf_uint(out, next);
		prom_buf_char(out, ' ');
		field_put(out, (const char *)text, sizeof(text), NULL);
		prom_buf_char(out, '\n');
	}
	if (last == 0) {
		prom_buf_text(out, "  none\n");
	}
}

void prom_page_index(const struct shim_segment *segment,
		const struct prom_registry *registry, struct prom_buf *out) {
	identity_put(out, segment);
	prom_buf_text(out,
			"\nEndpoints\n"
			"  /metrics     Prometheus text format 0.0.4\n"
			"  /-/healthy   200 while the exporter runs\n"
			"  /-/ready     200 when /metrics is complete\n");
	prom_buf_text(out, "\nSettings\n");
	field_put(out, segment->settings, sizeof(segment->settings), "  ");
	messages_put(out, segment);
	families_put(out, registry);
}
