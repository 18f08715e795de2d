# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2034
#
# What ./check, ./try and tests/stages.sh share. Sourced with $top set to the source tree; nothing
# here reads stdin, and what is done already is not done again.

BUILD_PACKAGES="autoconf automake libtool pkg-config make gcc g++ libc6-dev libunwind-dev check
	libdw-dev libjansson-dev libprotobuf-c-dev protobuf-c-compiler zlib1g-dev"
: "${top:?}"

say()
{
	printf 'stele: %s\n' "$*" >&2
}

# quietly LOG COMMAND...: the output goes to LOG, and is shown only if the command fails.
quietly()
{
	quiet_log=$1
	shift
	if "$@" >"$quiet_log" 2>&1 </dev/null; then
		return 0
	fi
	say "failed: $*"
	tail -n 100 "$quiet_log" >&2
	say "the whole output is in $quiet_log"
	return 1
}

as_root()
{
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo -n "$@"
	fi
}

# Which of the named Debian packages are not installed?
missing_packages()
{
	installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null |
		sed -n 's/ installed$//p')
	for package in "$@"; do
		printf '%s\n' "$installed" | grep -Fqx -e "$package" || printf '%s ' "$package"
	done
}

# install_packages PACKAGE...: through apt, and only those that are missing.
install_packages()
{
	[ $# -gt 0 ] && command -v dpkg-query >/dev/null || return 0
	missing=$(missing_packages "$@")
	[ -n "$missing" ] || return 0
	say "installing $missing"
	mkdir -p "$top/build"
	quietly "$top/build/apt.log" as_root apt-get update -q || return 1
	# shellcheck disable=SC2086 # a list of words
	quietly "$top/build/apt.log" as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -q -y --no-install-recommends $missing
}

# The packages that a file names, one per line.
packages_in()
{
	sed 's/#.*//' "$1"
}

newer()
{
	[ -n "$(find "$1" -newer "$2")" ]
}

bootstrap_tree()
{
	if [ ! -x "$top/configure" ] || newer "$top/configure.ac" "$top/configure"; then
		say "making configure"
		mkdir -p "$top/build"
		quietly "$top/build/bootstrap.log" "$top/bootstrap" || return 1
	fi
}

# configure_tree DIR [OPTION...]: an out-of-tree configure in DIR, again only if configure or the
# options changed. Other options may mean other objects: these are made anew then.
configure_tree()
{
	tree=$1
	shift
	bootstrap_tree || return 1
	mkdir -p "$tree"
	if [ "$*" != "$(cat "$tree/options" 2>/dev/null)" ] && [ -f "$tree/Makefile" ]; then
		quietly "$tree/clean.log" make -C "$tree" clean || return 1
		rm -f "$tree/Makefile"
	fi
	if [ ! -f "$tree/Makefile" ] || newer "$top/configure" "$tree/config.status"; then
		say "configuring $tree${*:+ with $*}"
		rm -f "$tree/built"
		printf '%s\n' "$*" >"$tree/options"
		(cd "$tree" && quietly configure.log "$top/configure" "$@") || return 1
	fi
}

jobs_flag()
{
	printf -- '-j%s' "$(nproc 2>/dev/null || echo 1)"
}

# build_tree DIR [MAKE-ARGUMENT...]
build_tree()
{
	tree=$1
	shift
	[ $# -eq 0 ] && is_built "$tree" && return 0
	say "building in $tree"
	quietly "$tree/build.log" make "$(jobs_flag)" -C "$tree" "$@" || return 1
	[ $# -gt 0 ] || : >"$tree/built"
}

# automake's rules for "all" and config.h make them look out of date for ever, so all-am is asked for,
# and a new configure, which may have changed config.h, takes the mark "built" away.
is_built()
{
	[ -f "$1/built" ] && make -q -o config.h -C "$1" all-am >/dev/null 2>&1 </dev/null
}

# tests_in DIR GROUP...: the tests of the directories tests/GROUP.
tests_in()
{
	tree=$1
	shift
	for group in "$@"; do
		make -s -C "$tree" print-tests | grep "^tests/$group/"
	done
}

# run_tests DIR [MAKE-ARGUMENT...]: runs make check, shows a line per test as it ends, and the logs of
# the tests that failed; leaves the numbers of automake's summary in $passed, $failed and $skipped.
run_tests()
{
	tree=$1
	shift
	check_log=$tree/check.log
	passed=0 failed=1 skipped=0
	: >"$check_log"
	say "building the tests in $tree"
	quietly "$tree/build-tests.log" make "$(jobs_flag)" -C "$tree" check TESTS= || return 1
	say "running the tests in $tree"
	rm -f "$tree/check.ok"
	{
		make "$(jobs_flag)" -C "$tree" check "$@" 2>&1 </dev/null && : >"$tree/check.ok"
	} | tee "$check_log" | grep -E --line-buffered '^(PASS|FAIL|SKIP|XFAIL|XPASS|ERROR): '
	if [ ! -f "$tree/check.ok" ]; then
		if grep -q '^# TOTAL:' "$check_log"; then
			cat "$tree/test-suite.log"
		else
			tail -n 100 "$check_log"
		fi
	fi
	passed=$(summary_count PASS XFAIL)
	skipped=$(summary_count SKIP)
	failed=$(summary_count FAIL XPASS ERROR)
	[ "$failed" -gt 0 ] || [ -f "$tree/check.ok" ] || failed=1
	[ "$failed" = 0 ]
}

# summary_count KIND...: the sum of these lines of automake's summary.
summary_count()
{
	for kind in "$@"; do
		sed -n "s/^# $kind: *//p" "$check_log" | tail -n 1
	done | awk '{ n += $1 } END { print n + 0 }'
}
