# SPDX-License-Identifier: MIT
# hooks.def -> anonymous version script. A named node would give every hook a version that no
# program asks for: none would be called.
BEGIN { print "{"; print "global:" }
/^SHIM_HOOK\(/ {
	sub(/^SHIM_HOOK\([A-Z_]+, [^,]+, /, "")
	sub(/,.*/, "")
	print "\t" $0 ";"
}
END {
	print "\treallocarray; free_sized; free_aligned_sized;"
	print "local: *;"
	print "};"
}
