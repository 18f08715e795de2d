#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What the leak mode and the heap profile cost; prints a table and leakcost.csv.

usage: leakcost.py [--build DIR] [--quick] [--reps N] [--scale X] [--only ROW,...]
                   [--without LIB] [--list]

CPU time (user and system) and peak RSS of each program under libc, under Stele, and under Stele
in each mode, interleaved; a figure is the median of the ratios of neighbouring runs. --without names
a libstele.so built without the mode, for the cost of having it and not using it.
"""

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True

import rows  # noqa: E402  (beside this file)
import run  # noqa: E402

SNAPSHOT = "leak_output=/dev/null"

# What each mode may cost: (row, mode, compared with, figure, limit). From the best that there is.
LIMITS = [
    ("callsites", "stele", "without", "cpu", 1.01),
    ("callsites", "profile", "stele", "cpu", 1.02),
    ("callsites-fp", "profile", "stele", "cpu", 1.02),
    ("callsites-2", "profile", "stele", "cpu", 1.02),
    ("sqlite3", "profile", "stele", "cpu", 1.005),
    ("python3", "profile", "stele", "cpu", 1.005),
    ("cc1plus", "profile", "stele", "cpu", 1.005),
    ("callsites", "full", "glibc", "cpu", 4.0),
    ("callsites-fp", "full", "glibc", "cpu", 4.0),
    ("callsites-2", "full", "glibc", "cpu", 5.0),
    ("sqlite3", "full", "glibc", "cpu", 1.4),
    ("python3", "full", "glibc", "cpu", 2.2),
    ("cc1plus", "full", "glibc", "cpu", 1.3),
    ("callsites", "full", "glibc", "rss", 1.6),
]


def modes(lib, without):
    found = [run.Allocator("glibc"), run.Allocator("stele", lib)]
    if without:
        found.append(run.Allocator("without", without))
    found.append(run.Allocator("profile", lib, {
        "STELE_CONF": "profile=512K,profile_output=/dev/null"}))
    found.append(run.Allocator("full", lib, {"STELE_CONF": f"leak=exit,{SNAPSHOT}"}))
    return found


def choose(bench, only):
    """The programs of callsites.c and the real programs of the tables."""
    found = [rows.Row("callsites", "leak", [bench.bin / "callsites", "-s", bench.scale], own_report=True),
             rows.Row("callsites-fp", "leak", [bench.bin / "callsites_fp", "-s", bench.scale],
                      own_report=True),
             rows.Row("callsites-2", "leak", [bench.bin / "callsites", "-t", "2", "-s", bench.scale],
                      own_report=True)]
    found += [r for r in rows.programs(bench) if r.name in ("sqlite3", "python3", "cc1plus")]
    if only:
        found = [r for r in found if r.name in only.split(",")]
    return found


def measure_row(bench, row, allocs, reps):
    """{mode: [figures]}, one list entry for each repetition."""
    got = {a.name: [] for a in allocs}
    for rep in range(reps):
        turn = rep % len(allocs)
        for alloc in allocs[turn:] + allocs[:turn]:
            one = bench.run(row, alloc)
            if one["status"] != "ok":
                sys.exit(f"leakcost.py: {row.name} under {alloc.name}: {one['status']}")
            got[alloc.name].append(one)
        run.say(f"{row.name}: {rep + 1} of {reps}  " + "  ".join(
            f"{name} {runs[-1]['cpu']:.2f}" for name, runs in got.items()))
    return got


def ratio(got, mode, base, figure):
    """Runs of one repetition stand side by side in time: their ratio feels the machine least."""
    return statistics.median(a[figure] / b[figure] for a, b in zip(got[mode], got[base]))


def scan_speed(bench, lib):
    """GiB a second, and the pause, over a heap of 512 MiB of blocks that point to each other."""
    program = bench.bin.parent / "leak" / "exercise"
    if not program.exists():
        return None
    speeds = []
    with tempfile.TemporaryDirectory() as work:
        for rep in range(3):
            out = Path(work) / f"{rep}.snap"
            env = {"LD_PRELOAD": str(lib), "STELE_CONF": f"leak=exit,leak_output={out}"}
            subprocess.run([program, "heap", "512"], env=env, check=True, timeout=120)
            for line in out.read_text(errors="replace").split("\n"):
                if line.startswith("scan "):
                    _, _, _, size, took, pause = line.split()[:6]
                    speeds.append((int(size) / int(took) * 1e6 / 2**30, int(pause) / 1000))
    return max(speeds) if speeds else None


def print_table(results):
    print("| program | mode | CPU / libc | CPU / Stele | RSS / libc | RSS / Stele |")
    print("|---|---|---:|---:|---:|---:|")
    for row, got in results.items():
        for mode in got:
            if mode in ("glibc",):
                continue
            cells = [ratio(got, mode, base, figure)
                     for figure in ("cpu", "rss") for base in ("glibc", "stele")]
            print(f"| {row} | {mode} | " + " | ".join(f"{c:.3f}" for c in cells) + " |")


def print_limits(results):
    over = 0
    for row, mode, base, figure, limit in LIMITS:
        got = results.get(row)
        if not got or mode not in got or base not in got:
            continue
        value = ratio(got, mode, base, figure)
        over += value > limit
        print(f"{'OVER' if value > limit else 'ok  '} {row}: {mode} / {base}, {figure}: "
              f"{value:.3f} (limit {limit:g})")
    return over


def write_csv(path, results):
    with open(path, "w", newline="", encoding="ascii") as f:
        out = csv.writer(f)
        out.writerow(["row", "mode", "repetition", "cpu", "wall", "rss", "faults"])
        for row, got in results.items():
            for mode, runs in got.items():
                for rep, one in enumerate(runs):
                    out.writerow([row, mode, rep, one["cpu"], one["wall"], one["rss"],
                                  one["faults"]])


def main():
    p = argparse.ArgumentParser(description="What the leak mode and the heap profile cost.")
    p.add_argument("--build", default="build")
    p.add_argument("--work", help="inputs, made once (default: BUILD/bench-work)")
    p.add_argument("--out", help="where leakcost.csv goes (default: BUILD/bench-results)")
    p.add_argument("--reps", type=int, default=7)
    p.add_argument("--scale", type=float, default=0.5)
    p.add_argument("--quick", action="store_true", help="one repetition of a quarter of the work")
    p.add_argument("--only", help="rows, comma separated")
    p.add_argument("--without", help="a libstele.so without the mode")
    p.add_argument("--list", action="store_true", help="print the rows and exit")
    args = p.parse_args()
    if args.quick:
        args.reps, args.scale = 1, args.scale / 4
    build = Path(args.build).resolve()
    work = Path(args.work or build / "bench-work").resolve()
    out = Path(args.out or build / "bench-results").resolve()
    work.mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    bench = run.Bench(build, work, args.scale)
    lib = Path(os.environ.get("STELE_LIB") or build / "lib" / ".libs" / "libstele.so").resolve()
    chosen = choose(bench, args.only)
    if args.list:
        print("\n".join(r.name for r in chosen))
        return 0
    allocs = modes(lib, args.without)
    for alloc in allocs:
        why = bench.probe(alloc)
        if why:
            sys.exit(f"leakcost.py: {alloc.name}: {why}")
    results = {}
    for row in chosen:
        why = row.prepare()
        if why:
            run.say(f"{row.name} skipped: {why}")
            continue
        results[row.name] = measure_row(bench, row, allocs, args.reps)
        write_csv(out / "leakcost.csv", results)
    print_table(results)
    speed = scan_speed(bench, lib)
    over = print_limits(results)
    if speed:
        over += speed[0] < 1
        print(f"{'OVER' if speed[0] < 1 else 'ok  '} scan: {speed[0]:.2f} GiB/s (limit 1), "
              f"pause {speed[1]:.1f} ms over 512 MiB")
    print(f"{over} over their limits")
    return 0


if __name__ == "__main__":
    sys.exit(main())
