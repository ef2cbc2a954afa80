/* SPDX-License-Identifier: MIT */

/*
 * The wiring: what happens when the host loads us, forks and exits, and the one place
 * where hooks and exporter meet.
 */

#include <elf.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "exporter/base/auxv.h"
#include "exporter/base/kernel.h"
#include "exporter/exporter.h"
#include "preload/apart.h"
#include "preload/block.h"
#include "preload/clock.h"
#include "preload/copy.h"
#include "preload/identity.h"
#include "preload/keeper.h"
#include "preload/messages.h"
#include "preload/quiet.h"
#include "preload/real.h"
#include "preload/segment.h"
#include "preload/settings.h"
#include "preload/start.h"

static struct shim_settings settings;
static char port_file[SHIM_PATH_BYTES]; /* expanded for this process */
static struct prom_exporter *exporter; /* the keeper's; NULL when there is none */
static int32_t bound_port; /* of PROMSHIM_PORT=0: stays when our threads come back */
static bool own_malloc_was_looked_for;

static struct prom_exporter *make_exporter(void) {
	(void)shim_settings_expand(settings.port_file, kernel_getpid(),
			shim_segment->program, port_file, sizeof(port_file));
	struct prom_exporter_config config = {
		.segment = shim_segment,
		.segment_bytes = shim_segment->reserved_bytes,
		.address = settings.address,
		.port = settings.port == 0 ? bound_port : settings.port,
		.socket_path = settings.socket,
		.port_file = port_file,
		.collectors = settings.collectors,
		.mode = settings.mode == SHIM_MODE_SERVE ? "serve" : "count",
		.max_requests = settings.max_requests,
		.timeout_ns = settings.timeout_ns,
		.slow_interval_ns = settings.slow_interval_ns,
		.report = shim_message,
	};
	return prom_exporter_create(&config);
}

static bool task_open(void) {
	exporter = make_exporter();
	return exporter != NULL;
}

static bool task_listen(void) {
	if (prom_exporter_listen(exporter) != 0) {
		return false;
	}
	/* relaxed: a lone number, stored by this thread */
	bound_port = (int32_t)atomic_load_explicit(&shim_segment->port,
			memory_order_relaxed);
	return true;
}

static void task_serve(void) {
	prom_exporter_run(exporter);
}

static void task_silence(void) {
	prom_exporter_stop(exporter);
}

/*
 * An allocator linked into the executable without being exported cannot be seen by asking
 * the loader; its symbol table tells.
 */
static void look_for_own_malloc(void) {
	if (own_malloc_was_looked_for) {
		return;
	}
	own_malloc_was_looked_for = true;
	if (prom_exporter_has_own_malloc("/proc/self/exe") == 1) {
		/* relaxed: lone bits */
		atomic_fetch_and_explicit(&shim_segment->hooks_active,
				~(1U << SHIM_HOOK_MALLOC), memory_order_relaxed);
		shim_message(SHIM_WARNING,
				"malloc is inside the executable: its allocations bypass the hooks. "
				"Threads and process metrics work. "
				"promshim_hooks_active{hook=\"malloc\"} is 0.");
	}
}

static void task_slow_tick(void) {
	if (exporter != NULL) {
		prom_exporter_publish_slow(exporter);
	}
	look_for_own_malloc();
	shim_block_sweep();
}

static void task_tick(void) {
	if (exporter != NULL) {
		prom_exporter_publish(exporter);
		prom_exporter_publish_allocator(exporter);
	}
}

static void task_close(void) {
	prom_exporter_destroy(exporter);
	exporter = NULL;
}

static const struct shim_keeper_tasks tasks = {
	.open = task_open,
	.listen = task_listen,
	.serve = task_serve,
	.silence = task_silence,
	.tick = task_tick,
	.slow_tick = task_slow_tick,
	.close = task_close,
};

static void after_fork_in_child(void) {
	exporter = NULL;
	bound_port = 0;
	if (shim_quiet()) {
		shim_keeper_fork();
		shim_start_turn_off(); /* a child's segment takes system calls */
		return;
	}
	if (shim_process == NULL || shim_process->pid == kernel_getpid()) {
		return; /* a handler before ours allocated: the child has started */
	}
	/* Kernels before 4.14 cannot wipe the page. Relaxed: the one thread there is. */
	atomic_store_explicit(&shim_process->alive, 0, memory_order_relaxed);
	shim_start_child();
}

static void tell_hooks(void) {
	uint32_t active = shim_real_active();
	/* relaxed: readers wait for `state` */
	atomic_store_explicit(&shim_segment->hooks_active, active, memory_order_relaxed);
	atomic_store_explicit(&shim_segment->hooks_known, (1U << SHIM_HOOK_COUNT) - 1,
			memory_order_relaxed);
}

/* Fills the segment's identity and lets readers in. */
static void identify(int argc, char **argv) {
	struct shim_segment *segment = shim_segment;
	shim_identity_executable(segment->executable, sizeof(segment->executable));
	if (settings.program[0] != '\0') {
		memcpy(segment->program, settings.program, sizeof(segment->program));
	} else {
		shim_identity_program(segment->executable, argc, argv, segment->program,
				sizeof(segment->program));
	}
	/* again: before us, another object may have told the time */
	segment->created_ns = shim_clock_ns(CLOCK_REALTIME);
	segment->pid_namespace = shim_identity_pid_namespace();
	segment->mode = settings.mode;
	strncpy(segment->version, PROMSHIM_VERSION, sizeof(segment->version) - 1);
	shim_settings_print(&settings, segment->settings, sizeof(segment->settings));
	tell_hooks();
	/* relaxed: readers wait for `state` */
	atomic_store_explicit(&segment->invalid_settings, settings.invalid,
			memory_order_relaxed);
	/* release: the identity is whole */
	atomic_store_explicit(&segment->state, SHIM_STATE_COUNTING, memory_order_release);
}

/*
 * A setuid program that loads us all the same (/etc/ld.so.preload) must not be steered by
 * its caller's environment, nor open a port.
 */
static void read_settings(char **environment) {
	bool is_secure = auxv_get(AT_SECURE) != 0;
	shim_settings_read(&settings, is_secure ? NULL : environment, shim_message);
	if (is_secure) {
		settings.mode = SHIM_MODE_OFF;
	}
}

/* There is no segment to hold the message: it is printed, or lost. */
static void tell_uncounted(void) {
	if (settings.mode == SHIM_MODE_OFF || shim_quiet_was_filtered()) {
		return;
	}
	shim_messages_init(NULL, settings.log);
	shim_message(SHIM_ERROR,
			"no memory for the counters. Nothing is counted or served, the program "
			"runs as without promshim. Raise its limits of address space and data "
			"(ulimit -v, -d).");
}

__attribute__((constructor)) static void load(int argc, char **argv, char **environment) {
	shim_real_resolve();
	if (shim_real.is_stranger) {
		shim_start_turn_off(); /* musl passes no arguments here */
		return;
	}
	auxv_take(shim_libc.getauxval);
	shim_real_resolve_operators();
	read_settings(environment);
	bool is_alone = settings.mode == SHIM_MODE_SERVE &&
			shim_identity_is_sandboxed(argc, argv);
	if (is_alone) {
		settings.mode = SHIM_MODE_COUNT;
	}
	if (settings.seccomp != 0) {
		shim_quiet_trust();
	}
	if (settings.mode == SHIM_MODE_OFF || !shim_start_counting()) {
		tell_uncounted();
		shim_start_turn_off();
		return;
	}
	identify(argc, argv);
	if (!shim_settings_selects(&settings, shim_segment->program)) {
		shim_start_turn_off();
		return;
	}
	shim_messages_init(shim_segment, settings.log);
	if (is_alone) {
		shim_message(SHIM_WARNING,
				"a browser's child that is to be sandboxed aborts when it has threads "
				"of ours. It is counted and not served; the browser's own process is.");
	}
	if (shim_tls.current == NULL) {
		(void)shim_block_attach(); /* arms main's TSD slot: it may leave by pthread_exit */
	}
	if (shim_libc.register_atfork != NULL) {
		/* the last one tells whose handler it is: an address of ours */
		(void)shim_libc.register_atfork(NULL, NULL, after_fork_in_child, &tasks);
	}
	shim_keeper_init(&tasks, settings.slow_interval_ns);
	shim_start_when_last(shim_keeper_leave);
	if (settings.mode == SHIM_MODE_SERVE) {
		shim_copy_expect();
		shim_keeper_start();
	}
}

/* Only the text file makes the host wait for our threads, and that not for ever. */
static void leave_page(void) {
	char path[SHIM_PATH_BYTES];
	if (!shim_keeper_stop(SHIM_KEEPER_STOP_MS)) {
		return;
	}
	struct prom_exporter *last = make_exporter();
	if (last != NULL &&
			shim_settings_expand(settings.textfile, kernel_getpid(),
					shim_segment->program, path, sizeof(path)) == 0) {
		prom_exporter_publish_slow(last);
		prom_exporter_publish_allocator(last);
		prom_exporter_publish(last);
		(void)prom_exporter_write_textfile(last, path);
	}
	prom_exporter_destroy(last);
}

/*
 * Runs after most destructors of the host: we were loaded first. It may have come here from a
 * signal handler, on what is left of a small stack.
 */
__attribute__((destructor)) static void unload(void) {
	if (!shim_start_is_counting() || shim_segment == NULL) {
		return;
	}
	if (settings.textfile[0] != '\0' && !shim_quiet()) {
		shim_apart(leave_page);
	}
	/* relaxed: a lone state */
	atomic_store_explicit(&shim_segment->state, SHIM_STATE_ENDED,
			memory_order_relaxed);
}
