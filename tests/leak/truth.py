#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Compare leak reports on the truth program with its table; prints TAP.

usage: truth.py [--by tool|text|memcheck] [--keep DIR] [SCENE...]

    tool       "stele run --leaks" and its JSON (default)
    text       the library alone: its report on stderr
    memcheck   valgrind, on libc's malloc: holds the table itself to the truth

STELE_LIB names the library, STELE_TOOL the tool; LEAK_DIR is where the programs are; LEAK_CONF is
added to STELE_CONF.
"""

import argparse
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

sys.dont_write_bytecode = True

import reports  # noqa: E402  (beside this file)

class Clause:
    """KIND[|KIND...] BLOCKS BYTES [root=REGEX] [via=REGEX] [then=REGEX]"""

    def __init__(self, text):
        kinds, *rest = text.split()
        self.text = text
        self.kinds = kinds.split("|")
        self.root = self.via = self.then = None
        self.blocks = self.bytes = 0
        if kinds == "none":
            return
        self.blocks, self.bytes = int(rest[0]), int(rest[1])
        for word in rest[2:]:
            name, _, value = word.partition("=")
            assert name in ("root", "via", "then"), text
            setattr(self, name, re.compile(value))


class Case:
    def __init__(self, line):
        self.role, self.name, want = line.split(" ", 2)
        self.scene = self.role.split(".")[0]
        self.clauses = [Clause(c.strip()) for c in want.split(";")]
        self.want = want

    def totals(self):
        """Every reading of the clauses: {kind: (blocks, bytes)}, ring still a kind of its own."""
        for kinds in itertools.product(*(c.kinds for c in self.clauses)):
            sums = defaultdict(lambda: [0, 0])
            for kind, clause in zip(kinds, self.clauses):
                if kind != "none":
                    sums[kind][0] += clause.blocks
                    sums[kind][1] += clause.bytes
            yield dict(sums)

    def judge(self, entries, roots):
        """None, or what is wrong."""
        got = defaultdict(lambda: [0, 0])
        for e in entries:
            got[e.kind][0] += e.blocks
            got[e.kind][1] += e.bytes
        if not any(same(dict(got), want) for want in self.totals()):
            seen = "; ".join(f"{k} {n} {b}" for k, (n, b) in sorted(got.items()))
            by = {e.root for e in entries if e.root}
            return f"reported: {seen or 'nothing'}" + (f"\nheld by {', '.join(by)}" if by else "")
        for clause in self.clauses:
            for e in entries:
                if clause.then and not clause.then.search("<".join(e.stack)):
                    return f"stack: {' < '.join(e.stack)}"
            if roots and clause.root and not any(clause.root.search(e.root or "")
                                                 for e in entries):
                return f"root: {[e.root for e in entries]}"
            if roots and clause.via and not all(clause.via.search("<".join(e.via or ()))
                                                for e in entries if e.kind == "indirect"):
                return f"via: {[e.via for e in entries]}"
        return None


def same(got, want):
    if "ring" in want:
        ring = want["ring"]
        d, i = got.get("direct", [0, 0]), got.get("indirect", [0, 0])
        return (set(got) <= {"direct", "indirect"} and d[0] == 1
                and [d[0] + i[0], d[1] + i[1]] == ring)
    return got == want


class Tap:
    def __init__(self):
        self.count = self.failed = 0

    def line(self, why, name):
        self.count += 1
        self.failed += why is not None
        print(f"{'not ok' if why else 'ok'} {self.count} - {name}")
        for text in (why or "").split("\n") if why else []:
            print(f"# {text[:600]}")

    def skip(self, name, why):
        self.count += 1
        print(f"ok {self.count} - {name} # SKIP {why}")


def ended(status):
    return f"signal {-status}" if status < 0 else f"exit {status}"


def run_scene(scene, how, source, work, roles_file):
    """The role of every report: {role: [report]}, what the process printed, how it ended."""
    env = dict(os.environ, TRUTH_ROLES=str(roles_file))
    for name in ("LD_PRELOAD", "STELE_CONF"):
        env.pop(name, None)
    command, env = source.command(scene, work, env)
    with open(work / "stdout", "wb") as out, open(work / "stderr", "wb") as err:
        try:
            status = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                    env=env, timeout=source.timeout, check=False).returncode
        except subprocess.TimeoutExpired:
            return {}, "", "timeout"
    if status > 128 and source.shell_status:
        status = 128 - status
    return source.collect(work), (work / "stderr").read_text(errors="replace"), ended(status)


def roles_of(found, scene, roles_file):
    """Who a report is of: by its process id, and by its argument where that is another scene."""
    named = {}
    if roles_file.exists():
        for line in roles_file.read_text().split("\n"):
            if line:
                pid, role = line.split()
                named[int(pid)] = role
    by_role = defaultdict(list)
    for r in found:
        if r.scene != scene:
            by_role[r.scene].append(r)
        elif r.pid in named:
            by_role[f"{scene}.{named[r.pid]}"].append(r)
        else:
            by_role[scene].append(r)
    return by_role


def judge_role(tap, role, cases, got, source, optional):
    """The cases of one role against its one report."""
    if len(got) != 1:
        if got or not optional:
            tap.line(f"{len(got)} reports", f"{role}: one report")
        return
    tap.line(None, f"{role}: one report")
    by_case = defaultdict(list)
    strange = []
    for e in got[0].entries:
        name = e.case()
        if name:
            by_case[name].append(e)
        elif e.kind != "reachable" and not source.tolerates(e):
            strange.append(f"{e.kind} {e.blocks} {e.bytes}: {' < '.join(e.stack)}")
    for case in cases:
        why = case.judge(by_case.pop(case.name, []), source.has_roots)
        label = f"{role} {case.name}: {case.want}"
        known = source.differs(case)
        if known and why:
            tap.skip(label, known)
        else:
            tap.line(why, label)
    for name, entries in by_case.items():
        strange += [f"{e.kind} {e.blocks} {e.bytes}: {name}, no case here" for e in entries]
    tap.line("\n".join(strange[:20]) or None, f"{role}: nothing else is reported")
    nowhere = sorted({m for e in got[0].entries for m in e.unknown_modules})
    tap.line("\n".join(nowhere) or None, f"{role}: every frame has its module")


def judge_scene(tap, scene, how, table, source, top):
    work = top / scene
    work.mkdir()
    reason = source.no_scene(scene)
    if reason:
        tap.skip(scene, reason)
        return
    found, stderr, status = run_scene(scene, how, source, work, work / "roles")
    wrong = None if status == how else f"it ended with {status}\n{stderr[-1500:]}"
    tap.line(wrong, f"{scene}: ends with {how}")
    if wrong:
        return
    optional = scene == "overflow"      # there may be no stack left to make a report on
    if not optional:
        tap.line(source.complaint(stderr), f"{scene}: nothing is complained of")
    by_role = roles_of(found, scene, work / "roles")
    roles = [r for r in table if r.split(".")[0] == scene]
    followed = {"exec": ["execd"], "fork_exec": ["execd"], "vfork": ["execd"], "spawn": ["execd"]}
    for role in roles + followed.get(scene, []):
        judge_role(tap, role, table[role], by_role.pop(role, []), source, optional)
    others = [f"{role}: {len(r)}" for role, r in by_role.items()]
    tap.line("\n".join(others) or None, f"{scene}: no other process reports")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--by", choices=("tool", "text", "memcheck"), default="tool")
    p.add_argument("--keep", help="leave what the runs wrote in this directory")
    p.add_argument("scenes", nargs="*")
    args = p.parse_args()
    program = reports.program_directory() / "truth"
    if not program.exists():
        print(f"Bail out! no {program}")
        return 1
    listing = subprocess.run([program, "-l"], capture_output=True, text=True, check=True).stdout
    table = defaultdict(list)
    for line in listing.strip().split("\n"):
        case = Case(line)
        table[case.role].append(case)
    ends = dict(line.split(" ", 1) for line in subprocess.run(
        [program, "-s"], capture_output=True, text=True, check=True).stdout.strip().split("\n"))
    source = reports.SOURCES[args.by](program)
    why = source.missing()
    if why:
        print(f"1..0 # SKIP {why}")
        return 0
    top = Path(args.keep or tempfile.mkdtemp(prefix="stele-truth-"))
    top.mkdir(exist_ok=True)
    tap = Tap()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        for scene in args.scenes or ends:
            judge_scene(tap, scene, ends[scene], table, source, top)
    finally:
        if not args.keep:
            shutil.rmtree(top, ignore_errors=True)
    print(f"1..{tap.count}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
