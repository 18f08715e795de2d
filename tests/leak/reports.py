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

    def __init__(self, kind, blocks, size, stack, root=None, via=None, unknown_modules=()):
        self.kind, self.blocks, self.bytes = kind, blocks, size
        self.stack, self.root, self.via = stack, root, via
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
        "said": "it has no such functions",
        "large": "it does not lay blocks apart",
        "holes": "it does not know pages that fault by madvise",
        "idle_term": "it reports for the process that kills as well",
        "exec": "it does not report before exec",
        "fork_exec": "it does not report before exec",
        "vfork": "it makes a fork of it, and reports for the child",
    }
    # Cases in which it is known to answer otherwise, and why.
    RINGS = "what it makes of rings depends on the order of their addresses"
    NUMBERS = "under it addresses are small, and some number is taken for one"
    MANY_BYTES = 64 << 10   # of blocks: now and then a number points in
    CASES = {
        "case_chain_long": "among 50000 blocks a stale word of the program may point into one",
        "case_ring_behind": RINGS,
        "case_rings_joined": RINGS,
        "case_rings_joined_late": RINGS,
        "case_map": RINGS,
        "case_unordered_map": RINGS,
        "case_behind_large": NUMBERS,
        "case_below_block_stack": "it takes all of the block for alive",
        "case_empty_cookie": "what points to the end of a block does not point to it",
        "case_environment": "it has libc free the environment",
        "case_hash_key": "it has libc free the table",
        "case_alternate_stack": "it does not ask the kernel",
        "case_alternate_stack_main": "it does not ask the kernel",
        "case_on_alternate_stack": "it does not walk the stack there",
        "case_register_xmm7": "it does not look into vector registers",
        "case_library_tls_of_thread": "it does not know the thread vector",
        "case_library_tls": "it does not know the thread vector",
        "case_closed_tls_of_thread": "it does not know the thread vector",
        "case_sds": "it does not know such strings",
        "case_tsearch": "it does not know such trees",
        "case_thrown": "it does not know the header of exceptions",
    }

    def __init__(self, program):
        self.program = program

    def missing(self):
        return None if shutil.which("valgrind") else "no valgrind"

    def no_scene(self, scene):
        return self.SCENES.get(scene)

    def differs(self, case):
        many = sum(c.bytes for c in case.clauses) >= self.MANY_BYTES
        return self.CASES.get(case.name) or (self.NUMBERS if many else None)

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


class Stele:
    """What the two ways of asking Stele have in common."""

    has_roots = True
    shell_status = False
    timeout = 90

    def __init__(self, program):
        self.program = program
        self.lib = os.environ.get("STELE_LIB") or ""
        build = os.environ.get("abs_top_builddir") or str(program.parent.parent.parent)
        self.tool = os.environ.get("STELE_TOOL") or build + "/tools/stele"

    def no_scene(self, _scene):
        return None

    def differs(self, _case):
        return None

    def tolerates(self, _entry):
        return False

    def conf(self, scene):
        """No block of the scene "young" gets older than this."""
        more = os.environ.get("LEAK_CONF")
        return (["leak_young=600000"] if scene == "young" else []) + ([more] if more else [])


class Tool(Stele):
    """The tool's JSON, one file for each process."""

    def missing(self):
        return None if os.access(self.tool, os.X_OK) else f"no {self.tool}"

    def complaint(self, stderr):
        return "\n".join(x for x in stderr.split("\n") if x.startswith("stele:")) or None

    def command(self, scene, work, env):
        env["STELE_CONF"] = ",".join(self.conf(scene))
        return ([self.tool, "run", "--leaks", "-o", str(work / "out.json"), "--",
                 str(self.program), scene], env)

    def collect(self, work):
        return [self.read(path) for path in sorted(work.glob("out*.json"))
                if path.stat().st_size]

    def read(self, path):
        data = json.loads(path.read_text(encoding="utf-8"))
        entries = []
        for leak in data["leaks"]:
            nowhere = [f"{f['function']} {f['address']}" for f in leak["frames"]
                       if not f["module"]]
            entries.append(Entry(leak["kind"], leak["blocks"], leak["bytes"], leak["stack"],
                                 leak["root"], leak["via"], nowhere))
        return Report(data["process"]["pid"], data["process"]["args"][-1], entries)


class Text(Stele):
    """The library alone, which names what the program exports, on stderr."""

    # A report for people ends after a thousand groups.
    CASES = {
        "case_bits": "there are more groups than the text has",
        "case_inlined": "it does not read debug information",
    }

    def missing(self):
        return None if os.path.exists(self.lib) else "no STELE_LIB"

    def differs(self, case):
        return self.CASES.get(case.name)

    def complaint(self, stderr):
        known = re.compile(r"stele: (\S+\[\d+\]: |\d+ threads stopped |"
                           r"(direct|indirect|possible|reachable|young) +\d+ blocks|more than)")
        return "\n".join(x for x in stderr.split("\n")
                         if x.startswith("stele:") and not known.match(x)) or None

    def command(self, scene, work, env):
        env["LD_PRELOAD"] = self.lib
        env["STELE_CONF"] = ",".join(
            ["leak=exit", "leak_show=direct:indirect:possible:reachable:young"] + self.conf(scene))
        return [str(self.program), scene], env

    def collect(self, work):
        text = (work / "stderr").read_text(errors="replace")
        found = []
        parts = re.split(r"^stele: \S+\[(\d+)\]: .* in use$", text, flags=re.M)
        for pid, part in zip(parts[1::2], parts[2::2]):
            entries = [e for e in map(self.group, part.split("\n\n")) if e]
            after = any(e.case() == "case_after_exec" for e in entries)
            found.append(Report(int(pid), "execd" if after else work.name, entries))
        return found

    @staticmethod
    def group(text):
        head = re.match(r"\s*(?:un)?referenced (\d+) objects?, (\d+) bytes .*: (\w+)$", text,
                        flags=re.M)
        if not head:
            return None
        held = re.search(r"^  held .*?\bby (.*)$", text, flags=re.M)
        frames, _, via = text.split("  backtrace:\n", 1)[-1].partition("  lead to by a block of:\n")
        stack, nowhere = Text.names(frames)
        return Entry(head.group(3), int(head.group(1)), int(head.group(2)), stack,
                     held.group(1) if held else None, Text.names(via)[0], nowhere)

    @staticmethod
    def names(frames):
        """The functions, and the lines that name no module."""
        found, nowhere = [], []
        for line in map(str.strip, frames.strip().split("\n")):
            frame = re.match(r"(.*?)(?:\+0x[0-9a-f]+)?(?: \[(.*)\])?$", line)
            found.append(frame.group(1))
            if not frame.group(2):
                nowhere.append(line)
        return found, nowhere


SOURCES = {"memcheck": Memcheck, "tool": Tool, "text": Text}
