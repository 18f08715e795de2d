#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Bad input to the command `stele`: one clear line and the documented status, for each case."""
import os
import random
import re

from common import build_subject, directory, done, ok, same, stele, take_snapshot

d = directory()
build_subject(d)
snap = take_snapshot(d, "a.snap")
text = open(snap).read()
lines = text.splitlines()
bad = os.path.join(d, "bad.snap")


def line_of(start):
    return next(i for i, line in enumerate(lines) if line.startswith(start))


def says(content, message, name):
    """The file is refused with exactly this line after its name."""
    with open(bad, "w" if isinstance(content, str) else "wb") as out:
        out.write(content)
    result = stele("report", bad)
    ok(result.returncode == 1 and result.stdout == "" and result.stderr == f"stele: {bad}: {message}\n", name,
       f"status {result.returncode}\n{result.stderr}wanted {message}")


def edited(start, old, new):
    at = line_of(start)
    changed = lines[at].replace(old, new, 1)
    assert changed != lines[at], (start, old)
    return "\n".join(lines[:at] + [changed] + lines[at + 1:]) + "\n", at + 1


def damaged(start, old, new, message):
    content, line = edited(start, old, new)
    says(content, f"line {line}: {message}", f"{start.strip()}: {message}")


# ---- the frame of the file ----

says("", "line 0: the file is empty", "an empty file")
says("hello\n", "line 1: this is not a snapshot of Stele", "another file")
says(b"\x7fELF\x00\x01", "line 1: a byte that is 0", "a binary file")
says("stele-snapshot 2\n", "line 1: snapshot of version '2', this tool reads version 1", "a later version")
says(text[:-3], f"line {len(lines)}: the line is cut off", "cut off in the last line")
says("\n".join(lines[:20]) + "\n", "line 20: the file is cut off: there is no line 'end'", "cut off between lines")
says("\n".join(lines[:20] + lines[21:]) + "\n",
     f"line {len(lines) - 1}: the file has {len(lines) - 2} lines before this one, not {len(lines) - 1}",
     "a line is missing")
says(text + "more\n", f"line {len(lines)}: more lines after the end", "lines after the end")
for name in ("process", "time", "mode"):
    kept = [line for line in lines[:-1] if not line.startswith(name + " ")]
    says("\n".join(kept + [f"end {len(kept)}"]) + "\n", f"line {len(kept) + 1}: there was no record '{name}'",
         f"no record '{name}'")

# ---- records ----

damaged("process ", "4242", "42x2", "pid is not a number")
damaged("process ", "subject /tmp", "subject", "directory is missing")
damaged("arg two", "%20", "%2", "argument has a bad escape")
damaged("arg two", "words", "w\tords", "argument has a byte that is not escaped")
damaged("time ", "5000", "99999999999999999999999", "uptime is not a number")
damaged("mode ", "leak", "lark", "unknown mode")
damaged("heap ", "40000", "-1", "heap's bytes is not a number")
damaged("scan ", " 1200", "", "pause is missing")
damaged("stack 1 ", " 0 ", "  ", "generation is not a number")
damaged("stack 1 ", "stack 1", "stack 0", "0 is no id of a stack")
damaged("stack 2 ", "stack 2", "stack 1", "a second stack 1")
damaged("root 2 ", "root 2", "root 1", "a second root 1")
damaged("root 1 ", "data", "date", "unknown kind of root")
damaged("root 1 ", "+", "-", "root is not of the form PATH+OFFSET")
damaged("leak direct 1 ", "direct", "lost", "unknown kind")
damaged("leak direct 1 ", "direct 1", "direct 99", "there is no stack 99")
damaged("leak direct 1 ", "1000 2000", "2000 1000", "the least age is above the greatest")
damaged("leak direct 1 ", " 2 200", " 0 200", "a group of no blocks")
damaged("leak direct 1 ", "7f0000001000", "7G", "address is not an address")
damaged("leak indirect ", "- 1", "- 77", "there is no stack 77")
damaged("leak reachable ", " 1 -", " 9 -", "there is no root 9")
content, line = edited("point 5000", "5000", "1")
says(content, f"line {line}: the history runs backwards", "point: the history runs backwards")
at = line_of("module ")
start, end = lines[at].split()[1:3]
content, line = edited("module ", f"{start} {end}", f"{end} {start}")
says(content, f"line {line}: the module ends before it starts", "module: ends before it starts")
content, line = edited("module ", lines[at].split()[5], "xyz0")
says(content, f"line {line}: build id is not a hexadecimal string", "module: build id")
content, line = edited("stack 1 ", " 0 ", " 0 q")
says(content, f"line {line}: frame is not an address", "stack: frame")
says("\n".join(lines[:2] + [lines[1]] + lines[2:-1] + [f"end {len(lines)}"]) + "\n",
     "line 3: a second record 'process'", "a second record 'process'")

# ---- whatever else: never a crash, always a line ----

random.seed(20261122)
crashes = []
for _ in range(250):
    mutant = bytearray(text.encode())
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(mutant))
        choice = random.random()
        if choice < 0.5:
            mutant[at] = random.randrange(256)
        elif choice < 0.75:
            del mutant[at:at + random.randint(1, 60)]
        else:
            mutant[at:at] = mutant[at:at + random.randint(1, 60)]
    with open(bad, "wb") as out:
        out.write(mutant)
    result = stele("report", "--show=all", bad, text=False)
    fine = result.returncode == 0 or (result.returncode == 1 and re.fullmatch(
        rb"stele: [^\n]*: line \d+: [^\n]*\n", result.stderr))
    if not fine:
        crashes.append((result.returncode, result.stderr[-300:]))
same(crashes, [], "250 mutants: each is read, or refused by one line")

# ---- files ----


def refused(status, message, *args, **options):
    result = stele(*args, **options)
    ok(result.returncode == status and result.stderr == f"stele: {message}\n", f"{' '.join(args)[-60:]}: {message[-70:]}",
       f"status {result.returncode}\n{result.stderr}wanted {message}")


missing = os.path.join(d, "nosuch")
refused(1, f"{missing}: No such file or directory", "report", missing)
refused(1, f"{d}: Is a directory", "report", d)
refused(1, f"{missing}/x: No such file or directory", "report", snap, "-o", missing + "/x")
refused(1, f"{missing}: No such file or directory", "report", "--suppress=" + missing, snap)
refused(1, f"{missing}: No such file or directory", "diff", snap, missing)
if os.path.exists("/dev/full"):
    refused(1, "/dev/full: No space left on device", "report", snap, "-o", "/dev/full")
rules = os.path.join(d, "rules")
for content, message in (("leak:x\nrace:y\n", "line 2: not of the form leak:PATTERN"),
                         ("\n# c\nleak:  \n", "line 3: the pattern is empty")):
    with open(rules, "w") as out:
        out.write(content)
    refused(1, f"{rules}: {message}", "report", "--suppress=" + rules, snap)
refused(2, "a difference has no form 'pprof'", "diff", "--pprof", snap, snap)

# ---- usage ----

for args in ([], ["nosuch"], ["report"], ["report", "--nosuch", snap], ["report", "--show=nosuch", snap],
             ["report", "--sort=size", snap], ["report", "--min-age=old", snap], ["report", "--top=-1", snap],
             ["diff", snap], ["diff", snap, snap, snap], ["leaks"], ["run"], ["run", "--json", "true"],
             ["run", "--profile=lots", "true"], ["run", "--profile=0", "true"], ["run", "--wait=ever", "true"],
             ["run", "--unwind=magic", "true"], ["run", "--leak-exit-code=300", "true"]):
    result = stele(*args)
    ok(result.returncode == 2 and result.stdout == "" and result.stderr, "usage: stele " + " ".join(args)[-40:],
       f"{result.returncode}\n{result.stdout}{result.stderr}")
for args in (["--help"], ["run", "--help"], ["leaks", "--help"], ["report", "--help"], ["diff", "--help"],
             ["--version"], ["report", "--version"]):
    result = stele(*args)
    ok(result.returncode == 0 and "stele" in result.stdout and result.stderr == "", "stele " + " ".join(args), result)

done()
