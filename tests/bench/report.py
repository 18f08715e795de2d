# SPDX-License-Identifier: MIT
"""Tables, geometric means and charts from the single runs.

The ratio of a cell is the median, over the repetitions, of its run over that of the row's best
peer in the same repetition: runs that stand side by side in time feel the machine alike. Best is
the peer whose runs are, in the median, the smallest part of what all of a repetition took; Stele
is never its own yardstick. A failed cell is FAIL: it takes no part in its allocator's geometric
mean, and the number of such cells stands beside the mean.
"""

import csv
import math
import platform
import statistics
from types import SimpleNamespace

from chart import write_svg

FIGURES = [
    ("time", "Time", "seconds of the work (server CPU seconds for redis)"),
    ("cpu", "CPU time", "user and system seconds of the whole process"),
    ("rss", "Peak RSS", "KiB"),
    ("faults", "Minor faults", "page faults"),
]
COLUMNS = ["group", "row", "alloc", "rep", "status", "time", "wall", "cpu", "rss", "faults"]


def write_csv(path, results):
    with open(path, "w", newline="") as f:
        out = csv.DictWriter(f, COLUMNS, extrasaction="ignore")
        out.writeheader()
        out.writerows(results)


def runs_of(results, row, alloc):
    return [r for r in results if r["row"] == row and r["alloc"] == alloc]


def median_of(results, row, alloc, figure):
    runs = runs_of(results, row, alloc)
    if not runs or any(r["status"] != "ok" for r in runs):
        return "FAIL"
    return f"{statistics.median(r[figure] for r in runs):.3f}"


class Cell:
    """One allocator in one row: a value for each repetition, the ratios' median and spread."""

    def __init__(self, runs, figure):
        self.failed = not runs or any(r["status"] != "ok" for r in runs)
        self.ratio = self.low = self.high = None
        # A clock tick of 0 would make every ratio infinite.
        self.values = {} if self.failed else {r["rep"]: max(r[figure], 1e-4) for r in runs}

    def median(self):
        return statistics.median(self.values.values())

    def to(self, values):
        """Its runs over those of the same repetitions."""
        return [v / values[rep] for rep, v in self.values.items()]

    def scale(self, best):
        ratios = self.to(best.values)
        self.ratio, self.low, self.high = statistics.median(ratios), min(ratios), max(ratios)

    def text(self):
        if self.failed:
            return "FAIL"
        return f"{self.ratio:.2f} ({self.low:.2f}-{self.high:.2f})"


class Table:
    def __init__(self, figure, rows, allocs, results):
        self.figure, self.rows, self.allocs = figure, rows, allocs
        self.cells = {(r.name, a.name): Cell(runs_of(results, r.name, a.name), figure)
                      for r in rows for a in allocs}
        self.best = {r.name: self.scale_row(r) for r in rows}

    def scale_row(self, row):
        """The best peer's cell; without any peer that ran, the best there is."""
        fine = [a for a in self.allocs if not self.cells[row.name, a.name].failed]
        cells = [self.cells[row.name, a.name] for a in fine]
        if not cells:
            return None
        means = {rep: statistics.geometric_mean(c.values[rep] for c in cells)
                 for rep in cells[0].values}
        yard = [self.cells[row.name, a.name] for a in fine if a.is_peer] or cells
        best = min(yard, key=lambda c: statistics.median(c.to(means)))
        for c in cells:
            c.scale(best)
        return best

    def ratios(self, alloc, group=None):
        cells = [self.cells[r.name, alloc.name] for r in self.rows if group in (None, r.group)]
        return [c.ratio for c in cells if not c.failed], sum(c.failed for c in cells)

    def mean(self, alloc, group=None):
        """Geometric, of what did not fail; None where everything did."""
        ratios, _ = self.ratios(alloc, group)
        return math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else None

    def mean_text(self, alloc, group=None):
        mean, (_, failed) = self.mean(alloc, group), self.ratios(alloc, group)
        if mean is None:
            return "FAIL"
        return f"{mean:.3f}" + (f" ({failed} FAIL)" if failed else "")

    def wins_text(self, alloc):
        ratios, failed = self.ratios(alloc)
        return f"{sum(r <= 1.0 for r in ratios)} of {len(ratios) + failed}"

    def best_text(self, row):
        if self.best[row.name] is None:
            return "-"
        best = self.best[row.name].median()
        return f"{best:.3f}" if self.figure in ("time", "cpu") else f"{best:.0f}"

    def lines(self):
        """The table as lists of strings, first the head."""
        yield ["row", "best peer"] + [a.name for a in self.allocs]
        for r in self.rows:
            yield [r.name, self.best_text(r)] + [self.cells[r.name, a.name].text()
                                                 for a in self.allocs]
        groups = list(dict.fromkeys(r.group for r in self.rows))
        for g in groups if len(groups) > 1 else []:
            yield [f"geometric mean, {g}s", ""] + [self.mean_text(a, g) for a in self.allocs]
        yield ["geometric mean", ""] + [self.mean_text(a) for a in self.allocs]
        yield ["rows <= 1.00", ""] + [self.wins_text(a) for a in self.allocs]


class Means:
    """The geometric means of several tables, as a table for a chart."""

    def __init__(self, tables, allocs):
        self.allocs = allocs
        self.rows = [SimpleNamespace(name=title) for title, _ in tables]
        self.cells = {(title, a.name): self.cell(table.mean(a)) for title, table in tables
                      for a in allocs}

    @staticmethod
    def cell(mean):
        return SimpleNamespace(failed=mean is None, ratio=mean, low=mean, high=mean)


def plain(lines):
    lines = list(lines)
    width = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        yield "  ".join([line[0].ljust(width[0])]
                        + [text.rjust(w) for text, w in zip(line[1:], width[1:])])


def markdown(lines):
    head, *body = lines
    yield "| " + " | ".join(head) + " |"
    yield "|---|" + "---:|" * (len(head) - 1)
    for line in body:
        yield "| " + " | ".join(line) + " |"


def latency_lines(allocs, results):
    """Median over the repetitions of each percentile, in nanoseconds."""
    yield ["call", "allocator", "p50", "p90", "p99", "p99.9", "p99.99", "max"]
    calls = next((r["latency"] for r in results if r.get("latency")), [])
    for i, call in enumerate(calls):
        for a in allocs:
            got = [r["latency"][i][1:] for r in results
                   if r["alloc"] == a.name and r.get("latency")]
            if got:
                yield [call[0], a.name] + [f"{statistics.median(map(float, column)):.0f}"
                                           for column in zip(*got)]


def stele_lines(tables, allocs):
    for a in allocs:
        if not a.is_peer:
            for title, table in tables:
                yield (f"{a.name}: {title.lower()} <= 1.00 of the best peer in "
                       f"{table.wins_text(a)} rows, geometric mean {table.mean_text(a)}")


def failures(results):
    for r in results:
        if r["status"] != "ok":
            yield f"{r['row']} under {r['alloc']}: {r['status']}"


def cpu_name():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            names = [line.split(":", 1)[1].strip() for line in f if line.startswith("model name")]
    except OSError:
        names = []
    return f"{len(names)} x {names[0]}" if names else platform.machine()


def write_all(args, rows, allocs, results):
    write_csv(args.out / "results.csv", results)
    peers = [a.name for a in allocs if a.is_peer] or ["none"]
    md = ["# Benchmark results", "",
          f"{cpu_name()}, Linux {platform.release()}, {platform.libc_ver()[0]} "
          f"{platform.libc_ver()[1]}; {args.reps} repetitions, of short rows more, scale "
          f"{args.scale:g}.", "",
          "Every number is a ratio to the best peer of the row (" + ", ".join(peers) + ") in the "
          "same repetition: median (minimum-maximum). Smaller is better. FAIL: crashed, timed "
          "out, or printed something wrong.", ""]
    tables = []
    for figure, title, unit in FIGURES:
        table = Table(figure, rows, allocs, results)
        tables.append((title, table))
        print(f"\n{title}, ratio to the best peer ({unit})\n")
        print("\n".join(plain(table.lines())))
        md += [f"## {title}", "", f"Unit of the column \"best peer\": {unit}.", "",
               *markdown(table.lines()), "", f"![{title}]({figure}.svg)", ""]
        write_svg(args.out / f"{figure}.svg", f"{title}, ratio to the best peer", table)
    write_svg(args.out / "means.svg", f"Ratio to the best peer, mean of {len(rows)} rows",
              Means(tables, allocs))
    extra = list(stele_lines(tables, allocs))
    latency = list(latency_lines(allocs, results))
    if len(latency) > 1:
        print("\nLatency of single calls in nanoseconds\n")
        print("\n".join(plain(latency)))
        md += ["## Latency of single calls", "", "Nanoseconds, row tail: two threads.", "",
               *markdown(latency), ""]
    failed = list(failures(results))
    if failed:
        print("\nFailures\n\n" + "\n".join(failed))
        md += ["## Failures", "", *(f"- {line}" for line in failed), ""]
    if extra:
        print("\n" + "\n".join(extra))
        md += ["## Stele", "", *(f"- {line}" for line in extra), ""]
    (args.out / "summary.md").write_text("\n".join(md))
