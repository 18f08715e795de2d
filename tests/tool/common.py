# SPDX-License-Identifier: MIT
"""What the tests of the command `stele` share: TAP, the tool, programs built for a test."""
import os
import shlex
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.environ.get("abs_top_srcdir", os.path.join(HERE, "../.."))
BUILD = os.environ.get("abs_top_builddir", os.path.join(SOURCE, "build"))
TOOL = os.path.join(BUILD, "tools", "stele")
LIBRARY = os.environ.get("STELE_LIB", os.path.join(BUILD, "lib/.libs/libstele.so"))
CC = shlex.split(os.environ.get("CC", "cc"))
CXX = shlex.split(os.environ.get("CXX", "c++"))

_count = 0


def plan_skip(reason):
    print("1..0 # SKIP " + reason)
    sys.exit(0)


def ok(condition, name, detail=""):
    """One line of TAP; what was seen goes below it when it is wrong."""
    global _count
    _count += 1
    print(f"{'ok' if condition else 'not ok'} {_count} - {name}", flush=True)
    if not condition:
        for line in str(detail).splitlines()[:60]:
            print("# " + line)
    return bool(condition)


def same(got, wanted, name):
    return ok(got == wanted, name, f"got    {got!r}\nwanted {wanted!r}")


def skip(name, reason):
    global _count
    _count += 1
    print(f"ok {_count} - {name} # SKIP {reason}", flush=True)


def done():
    print(f"1..{_count}")


def stele(*args, **options):
    """The tool's output, messages and status."""
    options.setdefault("timeout", 120)
    text = options.pop("text", True)
    return subprocess.run([TOOL, *args], capture_output=True, text=text, check=False, **options)


def directory():
    """A directory that is gone at the end."""
    d = tempfile.mkdtemp(prefix="stele-test-")
    import atexit
    atexit.register(shutil.rmtree, d, True)
    return d


def compile_c(output, *args, compiler=None):
    subprocess.run([*(compiler or CC), "-o", output, *args], check=True)
    return output


def build_subject(d, cc=None, cxx=None):
    """The program that writes snapshots of itself, and its two plugins; the linker is C++'s."""
    main, cxx_o = os.path.join(d, "main.o"), os.path.join(d, "cxx.o")
    compile_c(main, "-g", "-O2", "-c", os.path.join(HERE, "subject.c"), compiler=cc)
    compile_c(cxx_o, "-g", "-O2", "-c", os.path.join(HERE, "subject_cxx.cc"), compiler=cxx or CXX)
    compile_c(os.path.join(d, "subject"), "-g", "-O2", main, cxx_o, compiler=cxx or CXX)
    for plugin, name in (("first.so", "plugin_first"), ("other.so", "plugin_other")):
        compile_c(os.path.join(d, plugin), "-g", "-O2", "-shared", "-fPIC", "-DNAME=" + name,
                  os.path.join(HERE, "subject_plugin.c"), compiler=cc)
    return os.path.join(d, "subject")


def take_snapshot(d, name, **environment):
    path = os.path.join(d, name)
    with open(path, "w") as out:
        subprocess.run([os.path.join(d, "subject"), os.path.join(d, "first.so"),
                        os.path.join(d, "other.so")], stdout=out, check=True,
                       env={**os.environ, **environment})
    return path


def change(path, to, function):
    """A snapshot with other lines; the count in its last line is made right."""
    lines = function(open(path).read().splitlines()[:-1])
    with open(to, "w") as out:
        out.write("\n".join(lines + [f"end {len(lines)}"]) + "\n")
    return to


if not os.path.exists(TOOL):
    plan_skip("the command stele is not built")
