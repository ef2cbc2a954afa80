/* SPDX-License-Identifier: MIT */
#include "preload/apart.h"

#include <stdatomic.h>
#include <stdint.h>

enum { STACK_BYTES = 64 << 10 };

/* Touched only by a process that has something to do at its end. */
static _Alignas(64) unsigned char stack[STACK_BYTES];

/* Relaxed: who loses does nothing. */
static _Atomic int is_taken;

#if defined(__x86_64__)
/* Source: Intel 64 manual, volume 1, 8.1.10 (28 bytes in protected mode) and 10.2.3. */
struct environment {
	uint32_t x87[7];
	uint32_t mxcsr;
};

static void traps_off(void) {
	const uint32_t all_masked = 0x1f80;
	__asm__ volatile("fninit\n\tldmxcsr %0" : : "m"(all_masked));
}

static void traps_save(struct environment *out) {
	__asm__ volatile("fnstenv %0\n\tstmxcsr %1" : "=m"(out->x87), "=m"(out->mxcsr));
}

static void traps_restore(const struct environment *from) {
	__asm__ volatile("fldenv %0\n\tldmxcsr %1" : : "m"(from->x87), "m"(from->mxcsr));
}

/*
 * Tells valgrind that this is a stack, or it warns of the switch; no effect elsewhere: the register is
 * rotated by 128 bits. Source: valgrind manual 3.1, "The Client Request mechanism"; valgrind.h, the sequence
 * for amd64 and VALGRIND_STACK_REGISTER.
 */
static void announce_stack(void) {
	enum { STACK_REGISTER = 0x1501 };
	const uint64_t request[6] = { STACK_REGISTER, (uintptr_t)stack,
		(uintptr_t)stack + STACK_BYTES - 1 };
	uint64_t result = 0;
	__asm__ volatile("rolq $3, %%rdi\n\trolq $13, %%rdi\n\t"
			 "rolq $61, %%rdi\n\trolq $51, %%rdi\n\t"
			 "xchgq %%rbx, %%rbx"
			 : "+d"(result)
			 : "a"(request)
			 : "cc", "memory");
}

/* clang-format off */
__attribute__((naked)) static void call_on(void *top, void (*run)(void)) {
	__asm__("push %rbp\n\t"
		"mov %rsp, %rbp\n\t"
		"mov %rdi, %rsp\n\t"
		"call *%rsi\n\t"
		"mov %rbp, %rsp\n\t"
		"pop %rbp\n\t"
		"ret");
}
/* clang-format on */
#else
/* Source: Arm architecture reference manual, FPCR: traps are off unless a program sets their bits. */
struct environment {
	uint64_t control;
};

static void traps_off(void) {
	__asm__ volatile("msr fpcr, xzr");
}

static void traps_save(struct environment *out) {
	__asm__ volatile("mrs %0, fpcr" : "=r"(out->control));
}

static void traps_restore(const struct environment *from) {
	__asm__ volatile("msr fpcr, %0" : : "r"(from->control));
}

static void announce_stack(void) {
}

static void call_on(void *top, void (*run)(void)) {
	register void *saved __asm__("x19");
	__asm__ volatile("mov %0, sp\n\tmov sp, %1\n\tblr %2\n\tmov sp, %0"
			 : "=&r"(saved)
			 : "r"(top), "r"(run)
			 : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9",
			 "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "x18",
			 "x30", "memory", "cc");
}
#endif

void shim_apart(void (*run)(void)) {
	int nobody = 0;
	struct environment before;
	if (!atomic_compare_exchange_strong_explicit(&is_taken, &nobody, 1,
			    memory_order_relaxed, memory_order_relaxed)) {
		return;
	}
	traps_save(&before);
	traps_off();
	announce_stack();
	call_on(stack + STACK_BYTES, run);
	traps_restore(&before);
	atomic_store_explicit(&is_taken, 0, memory_order_relaxed);
}

void shim_apart_from_traps(void) {
	traps_off();
}
