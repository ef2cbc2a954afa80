#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The checker of pages finds each fault that it is there for, and agrees with an independent
# parser about our own pages.
# bats file_tags=area:format

setup() {
	load helpers/common
	common_setup
	checker="$SOURCE_ROOT/tests/helpers/check-page"
}

teardown() {
	common_teardown
}

good='# HELP a_total A.
# TYPE a_total counter
a_total{x="1"} 1
a_total{x="2"} 2
# HELP b_seconds B.
# TYPE b_seconds histogram
b_seconds_bucket{le="1.0"} 1
b_seconds_bucket{le="1e+06"} 2
b_seconds_bucket{le="+Inf"} 3
b_seconds_sum 4.5
b_seconds_count 3
# HELP c C with \\ and \n.
# TYPE c gauge
c{x="a\"b\\c\n,}"} -1.5e-07
'

@test "a good page passes" {
	run -0 "$checker" - <<<"${good%$'\n'}"
	assert_output ""
}

# refused WHAT SED: the good page, edited, is refused with a line that has WHAT in it.
refused() {
	sed -E "$2" <<<"${good%$'\n'}" >bad
	run -1 "$checker" bad
	assert_output --partial "$1"
}

@test "each fault is found" {
	refused "duplicate series" 's/x="2"/x="1"/'
	refused "comes twice" '$a # HELP a_total A.\n# TYPE a_total counter\na_total{x="3"} 1'
	refused "within a_total" '/x="1"/a c 3'
	refused "lacks the bucket +Inf" '/\+Inf/d'
	refused "is not _count" 's/_count 3/_count 4/'
	refused "lacks _sum or _count" '/_sum/d'
	refused "do not ascend" 's/1e\+06/0.5/'
	refused "smaller than the one before" 's/(1e\+06"\}) 2/\1 0/'
	refused "canonical" 's/le="1.0"/le="1"/'
	refused "no HELP" '/HELP c/d'
	refused "no TYPE" '/TYPE c/d'
	refused "no sample" '$d'
	refused "before its TYPE" '/TYPE c/{h;d};$G'
	refused "carriage return" '3s/$/\r/'
	refused "blank line" '3s/^/\n/'
	refused "neither HELP nor TYPE" '3s/^/# a comment\n/'
	refused "bad value" '$s/-1.5e-07/0x10/'
	refused "bad value" '$s/-1.5e-07/1,5/'
	refused "neither metadata nor a sample" '$s/$/ 1234567890/'
	refused "bad escape in label" '$s/\\n/\\q/'
	refused "bad escape in HELP" 's/with ../with \\q/'
	refused "twice" '3s/x="1"/x="1",x="1"/'
	refused "not in order" '3s/x="1"/x="1",a="1"/'
	refused "bad label name" '3s/x=/0x=/'
	refused "bad name" '3s/^a/0a/'
	refused "does not end in _total" 's/a_total/a/'
	refused "suffix of another type" 's/^(# ....) c /\1 c_count /;s/^c\{/c_count{/'
	refused "is -2.0" 's/ 2$/ -2/'
	refused "unknown type" 's/gauge/gouge/'
	refused "not in order" 's/b_seconds/d_seconds/'
	refused "clashes" 's/^(# ....) c /\1 a /;s/^c\{/a{/'
	refused "empty HELP" 's/HELP a_total A./HELP a_total  /'
	printf '%s' "${good%$'\n'}" >bad
	run -1 "$checker" bad
	assert_output --partial "no newline at the end"
	: >bad
	run -1 "$checker" bad
	assert_output --partial "empty page"
	printf '\xff%s' "$good" >bad
	run -1 "$checker" bad
	assert_output --partial "not UTF-8"
	run -2 "$checker"
}

@test "an independent OpenMetrics parser accepts our page and reads the same values" {
	/usr/bin/python3 -c 'import prometheus_client.openmetrics.parser' || missing python3-prometheus-client
	PROMSHIM_PROGRAM='odd "name" \ of mine' start "$targets/threads" held 2
	expect "all there"
	scrape
	"$checker" --openmetrics "$page" >openmetrics
	run -0 /usr/bin/python3 - "$page" openmetrics <<-'EOF'
		import sys
		from prometheus_client import parser
		from prometheus_client.openmetrics import parser as strict
		def samples(families):
		    return sorted((s.name, sorted(s.labels.items()), float(s.value)) for f in families for s in f.samples)
		with open(sys.argv[1]) as text, open(sys.argv[2]) as openmetrics:
		    lax = samples(parser.text_fd_to_metric_families(text))
		    exact = samples(strict.text_fd_to_metric_families(openmetrics))
		assert lax == exact, "the two formats differ"
		print(len(exact))
	EOF
	((output >= 60)) || fail "only $output series"
}

@test "page-value finds one series, and fails for none and for many" {
	local tool="$SOURCE_ROOT/tests/helpers/page-value"
	printf '%s' "$good" >"$page"
	run -0 "$tool" "$page" 'a_total{x="2"}' b_seconds_sum 'b_seconds_bucket{le="+Inf"}' c
	assert_output $'2\n4.5\n3\n-1.5e-07'
	run -1 "$tool" "$page" a_total
	run -1 "$tool" "$page" a
}

@test "assert_metric fails when it should" {
	printf '%s' "$good" >"$page"
	assert_metric 'a_total{x="2"}' -eq 2
	assert_metric c -lt 0
	run assert_metric 'a_total{x="2"}' -gt 2
	assert_failure
	assert_output --partial 'a_total{x="2"} is 2, expected -gt 2'
	run assert_metric a_total -eq 1
	assert_failure
}
