#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Memory back: what is resident after a program has freed most of what it had.

Runs memback.c under every allocator and prints one table: KiB resident 0, 0.1, 1 and 10 seconds
after the last free. Writes memback.csv, and memback.md for the summary.
"""

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True

import report  # noqa: E402  (beside this file)
import rows  # noqa: E402
import run  # noqa: E402

FIGURES = ["peak", "live", "0 s", "0.1 s", "1 s", "10 s"]


def parse_args():
    p = argparse.ArgumentParser(description="Which allocator gives memory back?")
    p.add_argument("--build", default="build", help="the build directory (default: build)")
    p.add_argument("--out", help="where results go (default: BUILD/bench-results)")
    p.add_argument("--work", help="default: BUILD/bench-work")
    p.add_argument("--reps", type=int, default=1, help="repetitions (default 1)")
    p.add_argument("--scale", type=float, help="of 2 GiB (default 1.0)")
    p.add_argument("--quick", action="store_true", help="scale 0.125")
    p.add_argument("--alloc", help="allocators, comma separated (default: all that are there)")
    p.add_argument("--peer", action="append", default=[], metavar="NAME=LIB",
                   help="one more allocator to compare with")
    args = p.parse_args()
    args.scale = args.scale or (0.125 if args.quick else 1.0)
    args.build = Path(args.build).resolve()
    args.out = Path(args.out or args.build / "bench-results").resolve()
    args.work = Path(args.work or args.build / "bench-work").resolve()
    return args


def allocators(args, bench):
    """As for the other rows; the locked slots hold no other memory, the thread does."""
    found = []
    for alloc in run.known_allocators(args):
        if alloc.name == "stele-locked":
            alloc = run.Allocator("stele-kswapd", alloc.lib, {"STELE_CONF": "kswapd=1"})
        if args.alloc and alloc.name not in args.alloc.split(","):
            continue
        why = bench.probe(alloc)
        if why:
            run.say(f"{alloc.name} left out: {why}")
        else:
            found.append(alloc)
    return found


def measure(bench, alloc, scale):
    row = rows.Row("memory-back", "workload", [bench.bin / "memback", "-s", scale])
    got = subprocess.run(bench.command(row, alloc), env=bench.environment(row, alloc),
                         capture_output=True, text=True, check=False)
    if got.returncode:
        run.say(f"{alloc.name} FAILED: status {got.returncode}: {got.stderr.strip()[-100:]}")
        return None
    return [int(n) for n in got.stdout.strip().split(",")]


def main():
    args = parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    args.out.mkdir(parents=True, exist_ok=True)
    bench = run.Bench(args.build, args.work, args.scale)
    if not (bench.bin / "memback").exists():
        sys.exit(f"memback.py: no {bench.bin}/memback; make bench builds it")
    allocs = allocators(args, bench)
    runs = {a.name: [] for a in allocs}
    with open(args.out / "memback.csv", "w", encoding="utf-8") as out:
        out.write("alloc,rep," + ",".join(FIGURES) + "\n")
        for rep in range(args.reps):
            for alloc in allocs:
                got = measure(bench, alloc, args.scale)
                if got:
                    runs[alloc.name].append(got)
                    out.write(f"{alloc.name},{rep}," + ",".join(map(str, got)) + "\n")
                    out.flush()
    lines = [["allocator"] + FIGURES]
    for name, got in runs.items():
        lines.append([name] + ([f"{statistics.median(column) / 1024:.0f}" for column in zip(*got)]
                               if got else ["FAIL"] * len(FIGURES)))
    print(f"\nMemory back: MiB resident after nine in ten of {2048 * args.scale:.0f} MiB were "
          "freed\n")
    print("\n".join(report.plain(lines)))
    (args.out / "memback.md").write_text("\n".join(report.markdown(lines)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
