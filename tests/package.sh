#!/bin/sh
# SPDX-License-Identifier: MIT
#
# usage: tests/package.sh DIR
#
# Builds the Debian packages from a release as `make dist` makes it, in DIR (configured already), has
# lintian read them, and installs them where they can do no harm: in a copy of this system that is
# an overlay (as root, where that may be mounted), else unpacked into a directory. There the examples
# are compiled with pkg-config's answers alone, and run, by the packages' own test.
set -u
tree=$(cd "${1:?usage: tests/package.sh DIR}" && pwd) || exit 1
work=$tree/packages

fail()
{
	printf 'package: %s\n' "$*" >&2
	exit 1
}

# The files of a package.
contents()
{
	dpkg-deb --fsys-tarfile "$work/$1"_*.deb | tar -t | sed 's|^\./|/|; s|/$||'
}

# has PACKAGE PATTERN...: a path of the package matches each extended regular expression.
has()
{
	contents "$1" >"$work/contents"
	package=$1
	shift
	for pattern; do
		grep -Eqx "$pattern" "$work/contents" || fail "$package has no $pattern"
	done
}

build()
{
	rm -rf "$work"
	mkdir -p "$work"
	make -C "$tree" dist >"$work/dist.log" 2>&1 || fail "make dist: see $work/dist.log"
	tar -C "$work" -xzf "$tree"/stele-*.tar.gz || fail "no release was made"
	source=$(find "$work" -maxdepth 1 -name 'stele-*' -type d)
	(cd "$source" && DEB_BUILD_OPTIONS="nocheck noautodbgsym parallel=$(nproc)" \
		dpkg-buildpackage -us -uc -b) >"$work/build.log" 2>&1 || {
		tail -n 40 "$work/build.log" >&2
		fail "dpkg-buildpackage: see $work/build.log"
	}
}

look()
{
	lintian --allow-root --fail-on error,warning "$work"/*.changes >"$work/lintian.log" 2>&1 || {
		cat "$work/lintian.log" >&2
		fail "lintian has errors or warnings"
	}
	has libstele1 '/usr/lib/[^/]*/libstele\.so\.1' '/usr/lib/[^/]*/libstele\.so\.1\.[0-9.]*'
	has libstele-dev '/usr/lib/[^/]*/libstele\.so' '/usr/lib/[^/]*/pkgconfig/stele\.pc' \
		/usr/include/stele.h /usr/include/stele/gfp.h \
		'/usr/share/man/man3/stele_get_free_pages\.3\.gz' '/usr/share/doc/libstele-dev/examples/.*\.c'
	has stele /usr/bin/stele '/usr/share/man/man1/stele\.1\.gz' '/usr/share/man/man7/stele\.7\.gz'
	if contents libstele1 | grep -Eq '/libstele\.so$|\.la$|/man/'; then
		fail "libstele1 has files that two versions of it could not both have"
	fi
}

# In a mount name space of its own: what is installed goes with it.
in_overlay()
{
	# shellcheck disable=SC2016 # the inner shell's variables
	unshare -m sh -ec '
		mount -t tmpfs tmpfs "$1/overlay"
		mkdir "$1/overlay/upper" "$1/overlay/work" "$1/overlay/root"
		mount -t overlay overlay "$1/overlay/root" \
			-o "lowerdir=/,upperdir=$1/overlay/upper,workdir=$1/overlay/work"
		root=$1/overlay/root
		mount -t proc proc "$root/proc"
		mount --bind /dev "$root/dev"
		mkdir -p "$root/packages"
		cp "$1"/*.deb "$root/packages"
		cp "$2" "$root/packages/test"
		chroot "$root" sh -ec "
			dpkg -i /packages/*.deb
			/packages/test
			stele --version
			dpkg -P stele libstele-dev libstele1"
	' sh "$work" "$source/debian/tests/examples" >"$work/install.log" 2>&1
}

overlay_works()
{
	[ "$(id -u)" = 0 ] || return 1
	mkdir -p "$work/overlay"
	# shellcheck disable=SC2016
	unshare -m sh -ec '
		mount -t tmpfs tmpfs "$1"
		mkdir "$1/u" "$1/w" "$1/r"
		mount -t overlay overlay "$1/r" -o "lowerdir=/,upperdir=$1/u,workdir=$1/w"
	' sh "$work/overlay" 2>/dev/null
}

# Without privilege: unpacked, and everything told where to look.
in_directory()
{
	root=$work/root
	for deb in "$work"/*.deb; do
		dpkg -x "$deb" "$root" || return 1
	done
	libdir=$(dirname "$(find "$root/usr/lib" -name libstele.so.1)")
	mkdir "$work/run"
	examples=$root/usr/share/doc/libstele-dev/examples
	for source in "$examples"/*.c "$examples/kernel"; do
		[ ! -d "$source" ] || source="$source/*.c"
		name=$(basename "$source" .c)
		# shellcheck disable=SC2046,SC2086 # lists of words
		gcc -Wall -Werror -O2 -pthread $source -o "$work/run/$name" \
			$(PKG_CONFIG_LIBDIR=$libdir/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root \
				PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 \
				pkg-config --cflags --libs stele) || return 1
		LD_LIBRARY_PATH=$libdir "$work/run/$name" || [ $? = 77 ] || return 1
	done >"$work/install.log" 2>&1
	LD_LIBRARY_PATH=$libdir LD_PRELOAD=libstele.so.1 STELE_CONF=help /bin/true >>"$work/install.log" 2>&1 &&
		grep -q mmap_threshold "$work/install.log" &&
		LD_LIBRARY_PATH=$libdir "$root/usr/bin/stele" --version >>"$work/install.log" 2>&1
}

build
look
if overlay_works; then
	in_overlay
else
	in_directory
fi || {
	tail -n 40 "$work/install.log" >&2
	fail "as installed: see $work/install.log"
}
