#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The truth program's totals by kind of leak, without the names of functions; prints TAP.

usage: totals.py [SCENE...]

For where stacks have no names: LEAK_EMULATOR is put before the program, as "qemu-aarch64 -L ROOT". Under
qemu-user the library reads the map of qemu itself: it finds no modules, so no names; it stops no threads,
as qemu has one of its own in their midst; and words in qemu's memory hold some of the program's blocks. The
scenes below are those in which that makes no difference. STELE_LIB names the library, LEAK_DIR is where the
program is.
"""

import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

SCENES = ["said", "held", "catch", "quick", "_exit"]
LOST = ["direct", "indirect", "possible"]

emulator = os.environ.get("LEAK_EMULATOR", "").split()
program = Path(os.environ.get("LEAK_DIR") or
               Path(os.environ.get("abs_top_builddir", "build")) / "tests" / "leak") / "truth"
library = os.environ["STELE_LIB"]
preload = ["-E", f"LD_PRELOAD={library}"] if emulator else ["env", f"LD_PRELOAD={library}"]


def wanted():
    """{scene: {kind: [blocks, bytes]}}"""
    table = subprocess.run([*emulator, program, "-l"], stdout=subprocess.PIPE, text=True, check=True)
    sums = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for line in table.stdout.splitlines():
        scene, _, want = line.split(" ", 2)
        for clause in want.split(";"):
            kind, *rest = clause.split()
            if kind != "none":
                sums[scene][kind][0] += int(rest[0])
                sums[scene][kind][1] += int(rest[1])
    return sums


def reported(scene, file):
    command = [*emulator, *preload, program, scene]
    subprocess.run(command, env={**os.environ, "STELE_CONF": f"leak=exit,leak_output={file}"}, check=False,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300)
    lines = file.read_text(encoding="ascii").splitlines() if file.exists() else []
    sums = defaultdict(lambda: [0, 0])
    for fields in (line.split() for line in lines if line.startswith("leak ")):
        sums[fields[1]][0] += int(fields[3])
        sums[fields[1]][1] += int(fields[4])
    return sums, bool(lines) and lines[-1].startswith("end ")


def main():
    want = wanted()
    chosen = sys.argv[1:] or SCENES
    print(f"1..{2 * len(chosen)}")
    with tempfile.TemporaryDirectory() as work:
        for i, scene in enumerate(chosen):
            got, whole = reported(scene, Path(work) / scene)
            same = whole and all(got[kind] == want[scene][kind] for kind in LOST)
            print(f"{'ok' if same else 'not ok'} {2 * i + 1} - {scene}: what is lost is found, and nothing else")
            held = whole and got["reachable"][0] >= want[scene]["reachable"][0]
            print(f"{'ok' if held else 'not ok'} {2 * i + 2} - {scene}: what is held is not lost", flush=True)
            if not same or not held:
                print(f"# reported {dict(got)}\n# wanted {({k: v for k, v in want[scene].items()})}")


if __name__ == "__main__":
    main()
