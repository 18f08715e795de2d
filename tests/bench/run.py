#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Run every benchmark under every allocator and compare (see README.md beside this file).

Per row the allocators take turns: each repetition runs all of them once, starting one place
further on every time, so that a disturbance of the machine hits them alike.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True

import report  # noqa: E402  (beside this file)
import rows  # noqa: E402

LIBDIR = Path("/usr/lib/x86_64-linux-gnu")
PEER_LIBS = {
    "jemalloc": "libjemalloc.so.2",
    "mimalloc": "libmimalloc.so.2.0",
    "tcmalloc": "libtcmalloc_minimal.so.4",
}
TIMEOUT = 120
ROW_TIME = 1.5      # seconds for each allocator that a row is repeated for,
REPS_MOST = 3       # up to so many times as often


class Allocator:
    """lib is None for the C library's own malloc."""

    def __init__(self, name, lib=None, env=None):
        self.name = name
        self.lib = Path(lib) if lib else None
        self.env = env or {}
        self.is_peer = not name.startswith("stele")


def say(text):
    print(f"run.py: {text}", file=sys.stderr, flush=True)


class Progress:
    """One rewritten line on a terminal, else one line per row."""

    def __init__(self, total):
        self.total, self.done = total, 0
        self.start = self.row_start = time.monotonic()
        self.tty = sys.stderr.isatty()

    def eta(self):
        spent = time.monotonic() - self.start
        if not self.done:
            return "?"
        left = spent / self.done * (self.total - self.done)
        return f"{int(left) // 60}:{int(left) % 60:02d}"

    def step(self, row, alloc, count=1):
        if self.tty:
            print(f"\r\x1b[K[{self.done}/{self.total}] ETA {self.eta()}  {row} {alloc}",
                  end="", file=sys.stderr, flush=True)
        self.done += count

    def row_done(self, row, text):
        if self.tty:
            print(f"\r\x1b[K{row:22} {text}", file=sys.stderr, flush=True)
        else:
            say(f"[{self.done}/{self.total}] ETA {self.eta()}  {row:22} {text}")


class Bench:
    def __init__(self, build, work, scale):
        self.bin = build / "tests" / "bench"
        self.work = work
        self.scale = scale
        self.report = work / "report"
        self.libc = None
        self.output = {}    # row name -> digest of what it printed the first time

    def environment(self, row, alloc):
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C",
               "HOME": str(self.work), "TMPDIR": str(self.work)}
        env.update(row.env)
        env.update(alloc.env)
        return env

    def preload(self, row, alloc):
        """A program that links an allocator of its own needs libc in front of it."""
        if alloc.lib:
            return str(alloc.lib)
        return self.libc if row.brings_malloc else None

    def command(self, row, alloc):
        cmd = [str(self.bin / "measure"), "-t", str(TIMEOUT), "-r", str(self.report)]
        lib = self.preload(row, alloc)
        if lib:
            cmd += ["-l", lib]
        if row.times > 1:
            cmd += ["-n", str(row.times)]
        return cmd + row.argv

    def probe(self, alloc):
        """None, or why the allocator cannot be measured."""
        if alloc.lib and not alloc.lib.exists():
            return f"no {alloc.lib}"
        row = rows.Row("probe", "", [str(self.bin / "pairs"), "-P"])
        got = subprocess.run(self.command(row, alloc), env=self.environment(row, alloc),
                             capture_output=True, text=True, check=False)
        if got.returncode or not got.stdout.startswith("malloc "):
            return f"a program with {alloc.lib} preloaded does not start (status {got.returncode})"
        answers = got.stdout.split("\n", 1)[0][len("malloc "):]
        if not alloc.lib:
            self.libc = os.path.realpath(answers)
            return None
        if os.path.realpath(answers) != os.path.realpath(alloc.lib):
            return f"{alloc.lib} did not get loaded: malloc comes from {answers}"
        if os.path.realpath(alloc.lib) not in got.stdout:
            return f"{alloc.lib} is not in the map of the process"
        return None

    def run(self, row, alloc):
        """One run: a dict of figures, or with only "status" set when it failed."""
        self.report.unlink(missing_ok=True)
        out, err = self.work / "stdout", self.work / "stderr"
        with open(out, "wb") as fo, open(err, "wb") as fe:
            proc = subprocess.Popen(self.command(row, alloc), env=self.environment(row, alloc),
                                    cwd=self.work, stdin=subprocess.DEVNULL, stdout=fo, stderr=fe)
            try:
                trouble = row.drive(proc, self) if row.drive else None
                status = proc.wait()
            except BaseException:
                proc.terminate()    # measure takes the program down with it
                proc.wait()
                raise
        text = out.read_text(errors="replace")
        if status == 124:
            return {"status": f"timeout {TIMEOUT} s"}
        if status or trouble:
            last = err.read_text(errors="replace").strip().split("\n")[-1]
            return {"status": trouble or f"exit status {status}: {last[:100]}"}
        if row.check and not self.same_output(row, text):
            return {"status": "printed something else than the first allocator"}
        return self.figures(row, text)

    def same_output(self, row, text):
        digest = hashlib.sha256(text.encode()).hexdigest()
        return self.output.setdefault(row.name, digest) == digest

    def figures(self, row, text):
        """A workload writes its own line first, measure writes the last."""
        lines = self.report.read_text().split("\n")
        wall, cpu, rss, faults = lines[0 if row.own_report else -2].split()
        got = {"status": "ok", "wall": float(wall), "cpu": float(cpu), "rss": int(rss),
               "faults": int(faults)}
        got["time"] = got["cpu"] if row.time_is_cpu else got["wall"]
        if row.latency:
            got["latency"] = [line.split(",") for line in text.strip().split("\n")[1:]]
        return got


def parse_args():
    p = argparse.ArgumentParser(description="Compare Stele with other allocators.")
    p.add_argument("--build", default="build", help="the build directory (default: build)")
    p.add_argument("--out", help="where results go (default: BUILD/bench-results)")
    p.add_argument("--work", help="inputs, made once (default: BUILD/bench-work)")
    p.add_argument("--reps", type=int,
                   help="repetitions (default 5); of short rows up to three times as many")
    p.add_argument("--scale", type=float, help="amount of work (default 1.0)")
    p.add_argument("--quick", action="store_true", help="one repetition at scale 0.25")
    p.add_argument("--only", help="rows or groups, comma separated; name* matches more")
    p.add_argument("--alloc", help="allocators, comma separated (default: all that are there)")
    p.add_argument("--peer", action="append", default=[], metavar="NAME=LIB",
                   help="one more allocator to compare with")
    p.add_argument("--list", action="store_true", help="print the rows and exit")
    args = p.parse_args()
    args.reps = args.reps or (1 if args.quick else 5)
    args.scale = args.scale or (0.25 if args.quick else 1.0)
    args.build = Path(args.build).resolve()
    args.out = Path(args.out or args.build / "bench-results").resolve()
    args.work = Path(args.work or args.build / "bench-work").resolve()
    return args


def known_allocators(args):
    stele = os.environ.get("STELE_LIB") or args.build / "lib" / ".libs" / "libstele.so"
    found = [Allocator("glibc"), Allocator("stele", stele),
             Allocator("stele-locked", stele, {"STELE_CONF": "percpu=locked"})]
    found += [Allocator(name, LIBDIR / lib) for name, lib in PEER_LIBS.items()]
    for peer in args.peer:
        name, _, lib = peer.partition("=")
        if not lib:
            sys.exit("run.py: --peer takes NAME=/path/lib.so")
        found.append(Allocator(name, os.path.abspath(lib)))
    return found


def choose_allocators(args, bench):
    """Those that really get loaded. One that was asked for by name must."""
    known = known_allocators(args)
    asked = args.alloc.split(",") if args.alloc else None
    for name in asked or []:
        if name not in {a.name for a in known}:
            sys.exit(f"run.py: unknown allocator {name}")
    if bench.probe(known[0]):
        sys.exit("run.py: the benchmark programs do not run; are they built?")
    chosen = []
    for alloc in known:
        if asked and alloc.name not in asked:
            continue
        why = bench.probe(alloc)
        if why and asked:
            sys.exit(f"run.py: {alloc.name}: {why}")
        if why:
            say(f"{alloc.name} left out: {why}")
        else:
            chosen.append(alloc)
    return chosen


def choose_rows(args, all_rows):
    if not args.only:
        return all_rows
    picked = []
    for name in args.only.split(","):
        want = re.compile(re.escape(name).replace(r"\*", ".*") + r"\Z")
        match = [r for r in all_rows if want.match(r.name) or want.match(r.group)]
        if not match:
            sys.exit(f"run.py: no row is called {name}; --list prints them")
        picked += [r for r in match if r not in picked]
    return picked


def repetitions(reps, allocs, progress):
    """More of a short row, as its median scatters more; of a single one there is none."""
    yield from range(reps)
    end = progress.row_start + ROW_TIME * len(allocs)
    for rep in range(reps, reps * REPS_MOST if reps > 1 else 0):
        if time.monotonic() >= end:
            break
        progress.total += len(allocs)
        yield rep


def run_row(bench, row, allocs, reps, progress):
    """After a failure the allocator's other repetitions of this row are not run."""
    results, failed = [], {}
    progress.row_start = time.monotonic()
    for rep in repetitions(reps, allocs, progress):
        turn = rep % len(allocs)
        for alloc in allocs[turn:] + allocs[:turn]:
            progress.step(row.name, alloc.name)
            if alloc.name in failed:
                continue
            got = bench.run(row, alloc)
            got.update(row=row.name, group=row.group, alloc=alloc.name, rep=rep)
            results.append(got)
            if got["status"] != "ok":
                failed[alloc.name] = got["status"]
    text = "  ".join(f"{a.name} {report.median_of(results, row.name, a.name, 'time')}"
                     for a in allocs)
    progress.row_done(row.name, text)
    for name, why in failed.items():
        say(f"{row.name}: {name} FAILED: {why}")
    return results


def main():
    args = parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    bench = Bench(args.build, args.work, args.scale)
    if not (bench.bin / "measure").exists():
        sys.exit(f"run.py: no benchmark programs in {bench.bin}; make bench builds them")
    wanted = choose_rows(args, rows.all_rows(bench))
    if args.list:
        print("\n".join(f"{r.group:9} {r.name}" for r in wanted))
        return 0
    allocs = choose_allocators(args, bench)
    ready = []
    for row in wanted:
        why = row.prepare()
        if why:
            say(f"{row.name} skipped: {why}")
        else:
            ready.append(row)
    if not ready or not allocs:
        sys.exit("run.py: nothing to run")
    args.out.mkdir(parents=True, exist_ok=True)
    results = []
    progress = Progress(len(ready) * len(allocs) * args.reps)
    say(f"{len(ready)} rows, {args.reps} repetitions, scale {args.scale}, allocators: "
        + ", ".join(a.name for a in allocs))
    try:
        for row in ready:
            results += run_row(bench, row, allocs, args.reps, progress)
            report.write_csv(args.out / "results.csv", results)
    except KeyboardInterrupt:
        say("interrupted; the rows that were complete are reported")
    done = {r["row"] for r in results}
    if not done:
        return 1
    report.write_all(args, [r for r in ready if r.name in done], allocs, results)
    shutil.rmtree(args.work / "tmp", ignore_errors=True)
    say(f"results.csv, summary.md and *.svg are in {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
