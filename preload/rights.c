/* SPDX-License-Identifier: MIT */
#include "preload/rights.h"

#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>

#include "exporter/base/kernel.h"

struct ids {
	uid_t uid[3]; /* real, effective, saved */
	gid_t gid[3];
	int secure_bits;
};

/* Writer: who starts our threads, or has changed their ids through libc. */
static struct ids noted;

static void take(struct ids *out) {
	memset(out, 0, sizeof(*out));
	(void)kernel_getresuid(&out->uid[0], &out->uid[1], &out->uid[2]);
	(void)kernel_getresgid(&out->gid[0], &out->gid[1], &out->gid[2]);
	out->secure_bits = kernel_prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
}

void shim_rights_note(void) {
	take(&noted);
}

/* Capabilities of thread `tid` of this process; 0 is the caller. */
static bool capabilities(int tid,
		struct __user_cap_data_struct out[_LINUX_CAPABILITY_U32S_3]) {
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, tid };
	return kernel_capget(&head, out) == 0;
}

bool shim_rights_differ(uint32_t tid) {
	struct __user_cap_data_struct mine[_LINUX_CAPABILITY_U32S_3];
	struct __user_cap_data_struct theirs[_LINUX_CAPABILITY_U32S_3];
	struct ids now;
	take(&now);
	return memcmp(&now, &noted, sizeof(now)) != 0 || tid == 0 ||
			!capabilities(0, mine) || !capabilities((int)tid, theirs) ||
			memcmp(mine, theirs, sizeof(mine)) != 0;
}
