#!/bin/sh
# SPDX-License-Identifier: MIT
#
# usage: tests/stages.sh asan|tsan|fuzz|clang|dist|deb|arm64|musl|all ...
#
# The checks that need a build of their own, each in build/NAME:
#   asan    the unit tests under AddressSanitizer and UndefinedBehaviorSanitizer
#   tsan    the unit tests under ThreadSanitizer
#   fuzz    libFuzzer drives the core, and the reader of snapshots, for FUZZ_SECONDS (60) each
#   clang   everything compiles with clang and without a warning
#   dist    make distcheck, with the unit tests
#   deb     the Debian packages: built, read by lintian, installed, and the examples run from them
#   arm64   cross-compiled; what qemu-user can run of the tests, on locked slots as it has no rseq
#   musl    compiled for musl; those of tests/hard and tests/rseq that compile there
# The last line is "N passed, N failed"; fuzz, clang, dist and deb count as one check each.
set -u
top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/setup.sh
. "$top/tests/setup.sh"

clang_runtime()
{
	version=$(clang --version | sed -n 's/.*clang version \([0-9]*\).*/\1/p')
	install_packages "libclang-rt-$version-dev"
}

# sanitizer_tests DIR LIST
sanitizer_tests()
{
	configure_tree "$1" --with-sanitizer="$2" --enable-debug --enable-werror &&
		build_tree "$1" && run_tests "$1"
}

stage_asan()
{
	sanitizer_tests "$1" address,undefined
}

# A race need not show in one run: the test with the threads runs TSAN_ROUNDS (10) times more.
stage_tsan()
{
	sanitizer_tests "$1" thread || return 1
	rounds=${TSAN_ROUNDS:-10}
	while [ "$rounds" -gt 0 ]; do
		quietly "$1/threads.log" "$1/tests/unit/threads" || {
			failed=1
			return 1
		}
		rounds=$((rounds - 1))
	done
}

# one COMMAND...: a stage that counts as one check.
one()
{
	passed=0 failed=1
	"$@" && passed=1 failed=0
}

# fuzz_target DIR NAME: the corpus of a target is DIR/corpus-NAME, which may have been begun.
fuzz_target()
{
	mkdir -p "$1/corpus-$2" "$1/found"
	quietly "$1/fuzz_$2.log" "$1/tests/fuzz/fuzz_$2" -max_total_time="${FUZZ_SECONDS:-60}" \
		-artifact_prefix="$1/found/" -print_final_stats=1 "$1/corpus-$2"
}

fuzz()
{
	install_packages clang && clang_runtime &&
		configure_tree "$1" --enable-fuzzer --with-sanitizer=address,undefined \
			--enable-debug --with-tool CC=clang CXX=clang++ &&
		build_tree "$1" tests/fuzz/fuzz_malloc tests/fuzz/fuzz_snapshot || return 1
	mkdir -p "$1/corpus-snapshot"
	cp "$top/tests/fuzz/snapshot.seed" "$1/corpus-snapshot/"
	fuzz_target "$1" malloc && fuzz_target "$1" snapshot
}

clang_build()
{
	install_packages clang &&
		configure_tree "$1" --enable-werror CC=clang CXX=clang++ &&
		build_tree "$1" && build_tree "$1" check TESTS=
}

dist()
{
	configure_tree "$1" || return 1
	quietly "$1/dist.log" make "$(jobs_flag)" -C "$1" distcheck \
		"TESTS=$(tests_in "$1" unit | tr '\n' ' ')"
}

deb()
{
	install_packages debhelper dpkg-dev fakeroot lintian &&
		configure_tree "$1" && "$top/tests/package.sh" "$1"
}

# There is no pkg-config for the other machine: what it finds is for this one.
stage_arm64()
{
	sysroot=/usr/aarch64-linux-gnu
	install_packages gcc-aarch64-linux-gnu g++-aarch64-linux-gnu libc6-dev-arm64-cross \
		qemu-user &&
		configure_tree "$1" --host=aarch64-linux-gnu --enable-werror --without-libunwind \
			PKG_CONFIG=false &&
		build_tree "$1" || return 1
	# Of the leak mode only what is the same with qemu in the process: see totals.py.
	# -singlestep: interrupts may fall between any two instructions of a sequence
	emulator="qemu-aarch64 -L $sysroot"
	LEAK_EMULATOR=$emulator HARD_EMULATOR=$emulator HARD_TIMEOUT=300 HARD_MODES=auto \
		MALLOPT_MODES="libc auto" MALLOPT_CASES="options info_xml" \
		run_tests "$1" LOG_COMPILER="qemu-aarch64 -singlestep -L $sysroot" TESTS="\
			tests/abi/hitpath.sh tests/abi/symbols.sh tests/rseq/sequences \
			tests/hard/run.sh tests/mallopt/run.sh tests/leak/totals.py"
}

# tap LOG COMMAND...: runs a test by hand, and adds to the numbers.
tap()
{
	tap_log=$1
	shift
	"$@" >"$tap_log" 2>&1 </dev/null
	passed=$((passed + $(grep '^ok' "$tap_log" | grep -vc '# SKIP')))
	failed=$((failed + $(grep -c '^not ok' "$tap_log")))
	grep -q '^1\.\.' "$tap_log" || failed=$((failed + 1))
	grep -v '^1\.\.' "$tap_log"
}

# Left out of tests/hard: what needs declarations or the linker of glibc; ulimit, as the pages of
# ZONE_MMAP do not go back; spawn, which starts programs of the system; self_dlopen and ctor, as musl
# neither loads initial-exec storage late nor runs .preinit_array.
stage_musl()
{
	hard="realloc_seq usable stress crossfree threads tsd arenas forkstorm exit_race signals
		sigalloc foreign_sbrk mappings nopie late plugin vfork_alloc"
	install_packages musl-tools &&
		configure_tree "$1" CC=musl-gcc --enable-werror --without-libunwind PKG_CONFIG=false &&
		build_tree "$1" || return 1
	# shellcheck disable=SC2046,SC2086 # lists of words
	build_tree "$1" tests/hard/loaded $(printf 'tests/hard/%s ' $hard) tests/hard/lib_late.la \
		tests/hard/lib_plugin.la tests/rseq/sequences tests/rseq/migrate tests/rseq/lastcpu ||
		return 1
	passed=0 failed=0
	tap "$1/sequences.tap" "$1/tests/rseq/sequences"
	export STELE_LIB="$1/lib/.libs/libstele.so" abs_top_builddir="$1"
	tap "$1/hard.tap" env HARD_CASES="$hard" HARD_LAUNCHERS=" " "$top/tests/hard/run.sh"
	tap "$1/rseq.tap" env HARD_SUITE=rseq HARD_CASES="migrate lastcpu" HARD_LAUNCHERS=" " \
		"$top/tests/hard/run.sh"
	unset STELE_LIB abs_top_builddir
	[ "$failed" = 0 ]
}

stage_fuzz() { one fuzz "$1"; }
stage_clang() { one clang_build "$1"; }
stage_dist() { one dist "$1"; }
stage_deb() { one deb "$1"; }

case " $* " in
"  " | *" -"*)
	sed -n 's/^# usage: /usage: /p' "$0" >&2
	exit 2
	;;
*" all "*) set -- asan tsan fuzz clang dist deb arm64 musl ;;
esac

# A finding of a sanitizer ends the program that made it.
UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
TSAN_OPTIONS=halt_on_error=1
export UBSAN_OPTIONS TSAN_OPTIONS

all_passed=0 all_failed=0
for stage in "$@"; do
	case $stage in
	asan | tsan | fuzz | clang | dist | deb | arm64 | musl) ;;
	*)
		say "no such stage: $stage"
		exit 2
		;;
	esac
	start=$(date +%s)
	passed=0 failed=1
	# shellcheck disable=SC2086 # a list of words
	install_packages $BUILD_PACKAGES && "stage_$stage" "$top/build/$stage"
	seconds=$(($(date +%s) - start))
	echo "stage $stage: $passed ok, $failed not ok, $seconds s"
	all_passed=$((all_passed + passed))
	all_failed=$((all_failed + failed))
done
echo "$all_passed passed, $all_failed failed"
[ "$all_failed" = 0 ]
