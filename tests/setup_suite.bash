# SPDX-License-Identifier: MIT
# Once per run of bats: what meson's environment says, or, by hand, the folder build/.
# shellcheck shell=bash

setup_suite() {
	local root tool
	root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
	export SOURCE_ROOT="${SOURCE_ROOT:-$root}"
	export PROMSHIM_SO="${PROMSHIM_SO:-$root/build/preload/libpromshim.so}"
	export PROMSHIM="${PROMSHIM:-$root/build/exporter/promshim}"
	export TARGETS="${TARGETS:-$root/build/tests/targets}"
	export BATS_LIB_PATH="${BATS_LIB_PATH:-/usr/lib/bats}"
	export MALLOC_PERTURB_=0
	# The distribution's own tools, not what the tester has put in front of them: a python3 that is a
	# shell script, say, which tests start thousands of times.
	export PATH="/usr/bin:/bin:$PATH"
	TESTS_PATIENCE="${TESTS_PATIENCE:-$("$SOURCE_ROOT/tests/helpers/patience")}"
	export TESTS_PATIENCE
	for tool in curl timeout python3 awk; do
		if ! command -v "$tool" >/dev/null; then
			printf 'no %s here: run scripts/packages tests\n' "$tool" >&2
			return 1
		fi
	done
	if [[ ! -e "$PROMSHIM_SO" || ! -d "$TARGETS" ]]; then
		printf 'not built: %s, %s\n' "$PROMSHIM_SO" "$TARGETS" >&2
		return 1
	fi
}
