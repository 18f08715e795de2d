# SPDX-License-Identifier: MIT
"""The reports of Stele's tool, of its library alone and of memcheck, read into one form."""

import json
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path


class Entry:
    """Blocks of one kind with one stack; stack holds names, innermost first."""

    def __init__(self, kind, blocks, size, stack, root=None, unknown_modules=()):
        self.kind, self.blocks, self.bytes = kind, blocks, size
        self.stack, self.root = stack, root
        self.unknown_modules = list(unknown_modules)

    def case(self):
        for name in self.stack:
            found = re.match(r"case_\w+", name)
            if found:
                return found.group(0)
        return None


class Report:
    def __init__(self, pid, scene, entries):
        self.pid, self.scene, self.entries = pid, scene, entries


def program_directory():
    """Where the programs were built; libtool may have put them into .libs."""
    where = os.environ.get("LEAK_DIR")
    if not where:
        here = Path(__file__).resolve().parent
        build = os.environ.get("abs_top_builddir") or here.parent.parent / "build"
        where = Path(build) / "tests" / "leak"
    where = Path(where)
    if (where / ".libs" / "truth").exists():
        return where / ".libs"
    return where


class Damaged(ValueError):
    pass


class Snapshot:
    """The library's own file, read without the tool: as the man page has it, and no more."""

    def __init__(self, path):
        self.path = path
        self.records = []
        lines = path.read_text(errors="replace").split("\n")
        if lines[0] != "stele-snapshot 1" or lines[-1] or lines[-2] != f"end {len(lines) - 2}":
            raise Damaged(f"{path.name}: {lines[0]!r} ... {lines[-2:]!r}, {len(lines)} lines")
        for line in lines[1:-2]:
            self.records.append(line.split(" "))
        self.entries = [Entry(r[1], int(r[3]), int(r[4]), []) for r in self.records
                        if r[0] == "leak"]

    def numbers(self, name):
        """The numbers of the only record of this name."""
        for r in self.records:
            if r[0] == name:
                return [int(f) for f in r[1:] if f.isdigit()]
        raise Damaged(f"{self.path.name}: no {name}")


class Memcheck:
    """Valgrind on the program with libc's malloc."""

    KINDS = {"Leak_DefinitelyLost": "direct", "Leak_IndirectlyLost": "indirect",
             "Leak_PossiblyLost": "possible", "Leak_StillReachable": "reachable"}
    has_roots = False
    shell_status = False
    timeout = 120

    # Scenes of which memcheck cannot be asked, and why.
    SCENES = {
        "overflow": "its own frames take part in the overflow",
        "young": "it knows no age",
        "holes": "it does not know pages that fault by madvise",
        "idle_term": "it reports for the process that kills as well",
        "exec": "it does not report before exec",
        "fork_exec": "it does not report before exec",
        "vfork": "it makes a fork of it, and reports for the child",
    }
    # Cases in which it is known to answer otherwise, and why.
    RINGS = "what it makes of rings depends on the order of their addresses"
    NUMBERS = "under it addresses are small, and some number is taken for one"
    CASES = {
        "case_ring_behind": RINGS,
        "case_rings_joined": RINGS,
        "case_rings_joined_late": RINGS,
        "case_map": RINGS,
        "case_unordered_map": RINGS,
        "case_pages": NUMBERS,
        "case_large": NUMBERS,
        "case_aligned_huge": NUMBERS,
        "case_many": NUMBERS,
        "case_environment": "it has libc free the environment",
        "case_alternate_stack": "it does not ask the kernel",
        "case_alternate_stack_main": "it does not ask the kernel",
        "case_on_alternate_stack": "it does not walk the stack there",
        "case_register_xmm7": "it does not look into vector registers",
        "case_library_tls_of_thread": "it does not know the thread vector",
        "case_library_tls": "it does not know the thread vector",
    }

    def __init__(self, program):
        self.program = program

    def missing(self):
        return None if shutil.which("valgrind") else "no valgrind"

    def no_scene(self, scene):
        return self.SCENES.get(scene)

    def differs(self, case):
        return self.CASES.get(case.name)

    def tolerates(self, entry):
        """The dynamic linker's thread vectors, to which only an inner pointer leads."""
        return entry.kind == "possible" and {"_dl_allocate_tls", "__tls_get_addr"} & {*entry.stack}

    def complaint(self, _stderr):
        return None

    def command(self, scene, work, env):
        return (["valgrind", "--leak-check=full", "--show-leak-kinds=all", "--num-callers=60",
                 "--keep-debuginfo=yes", "--trace-children=yes", "--child-silent-after-fork=no",
                 "--main-stacksize=8388608", "--xml=yes", f"--xml-file={work}/%p.xml",
                 "--leak-resolution=high", str(self.program), scene], env)

    def collect(self, work):
        found = []
        for path in sorted(work.glob("*.xml*")):
            found += self.read(path)
        return found

    def read(self, path):
        text = path.read_text(errors="replace")
        if "</valgrindoutput>" not in text:
            return []
        root = ET.fromstring(text)
        arguments = [a.text for a in root.find("args/argv").findall("arg")]
        entries = []
        for e in root.iter("error"):
            kind = self.KINDS.get(e.findtext("kind"))
            if not kind:
                continue
            frames = [f.findtext("fn") or "?" for f in e.find("stack").findall("frame")
                      if "vgpreload" not in (f.findtext("obj") or "")]
            size = int(e.findtext("xwhat/leakedbytes"))
            blocks = int(e.findtext("xwhat/leakedblocks"))
            # "1,300 (500 direct, 800 indirect) bytes": leakedbytes is the sum of both
            both = re.match(r"[\d,]+ \(([\d,]+) direct, ", e.findtext("xwhat/text"))
            if both:
                size = int(both.group(1).replace(",", ""))
            entries.append(Entry(kind, blocks, size, frames))
        return [Report(int(root.findtext("pid")), arguments[-1], entries)]


class Tool:
    """The tool's JSON, one file for each process."""

    has_roots = True
    shell_status = False
    timeout = 60

    def __init__(self, program):
        self.program = program
        self.lib = os.environ.get("STELE_LIB")
        build = os.environ.get("abs_top_builddir")
        self.tool = os.environ.get("STELE_TOOL") or (build and str(Path(build) / "stele"))

    def missing(self):
        if not self.tool or not os.access(self.tool, os.X_OK):
            return "no tool: STELE_TOOL"
        return None

    def no_scene(self, _scene):
        return None

    def differs(self, _case):
        return None

    def tolerates(self, _entry):
        return False

    def complaint(self, stderr):
        lines = [line for line in stderr.split("\n") if line.startswith("stele:")]
        return "\n".join(lines) or None

    def command(self, scene, work, env):
        raise NotImplementedError

    def collect(self, work):
        raise NotImplementedError


SOURCES = {"memcheck": Memcheck, "tool": Tool}
