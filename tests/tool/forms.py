#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What `stele report` and `stele diff` make of snapshots of known stacks, form by form."""
import gzip
import json
import os
import re
import shutil
import subprocess

from common import (build_subject, change, directory, done, ok, same, skip, stele, take_snapshot)

d = directory()
subject = build_subject(d)
snap = take_snapshot(d, "a.snap")


def leaks(*args):
    result = stele("report", "--json", *args)
    return json.loads(result.stdout)["leaks"] if result.returncode == 0 else result.stderr


# ---- JSON: names, lines, inlined frames, roots ----

report = json.loads(stele("report", "--json", snap).stdout)
rows = report["leaks"]


def stack_of(**wanted):
    found = [row for row in rows if all(row[k] == v for k, v in wanted.items())]
    return found[0]["stack"] if len(found) == 1 else found


same(stack_of(kind="direct", bytes=200), ["leak_plain", "main"], "a plain function")
same(stack_of(kind="indirect"), ["inner_inline", "outer_inline", "leak_inlined", "main"],
     "inlined functions are frames")
same(stack_of(kind="possible"), ["shop::shelf<long>::put(unsigned int (*)())", "shop::stock(unsigned int (*)())",
                                  "shop::sell(unsigned int (*)())", "cxx_caller", "main"],
     "names of C++ are demangled")
same(stack_of(bytes=5000), ["plugin_first", "plugin_call", "from_plugin", "main"],
     "a plugin that was unloaded")
same(stack_of(bytes=10), ["plugin_other", "plugin_call", "from_plugin", "main"],
     "the plugin that took its place")
same(stack_of(kind="young"), [], "an unknown stack is empty")

inlined = [row for row in rows if row["kind"] == "indirect"][0]
same([f["inlined"] for f in inlined["frames"]], [True, True, False, False],
     "which frames are inlined")
source = open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "subject.c")).read().splitlines()
places = [(f["function"], source[f["line"] - 1]) for f in inlined["frames"]]
ok("capture()" in places[0][1] and "inner_inline()" in places[1][1] and
   "outer_inline()" in places[2][1] and "leak_inlined()" in places[3][1],
   "each frame has the line of its call", places)
same(inlined["via"], ["leak_plain", "main"], "what an indirect leak hangs on")
same(sorted(row["root"] for row in rows if row["kind"] == "reachable"),
     ["global counter_of_the_file in subject", "global held_here+0x8 in subject",
      "stack of thread 77 (worker one)"], "roots have the names of variables and threads")
same((report["process"]["pid"], report["process"]["args"], report["reason"], report["time"]["uptime_ms"]),
     (4242, ["subject", "two words%"], "exit", 5000), "process, arguments, reason, time")
same(report["summary"]["direct"], {"groups": 3, "blocks": 4, "bytes": 5210}, "sums of a kind")
ok(any(m["path"] == subject and re.fullmatch("[0-9a-f]{40}", m["build_id"]) and m["loaded"]
       for m in report["modules"]) and
   any(m["path"].endswith("first.so") and not m["loaded"] for m in report["modules"]),
   "modules, loaded and unloaded", report["modules"])
same(report["history"][1], {"uptime_ms": 2500, "used_bytes": 20000, "rss_bytes": 1500000}, "history")

# ---- a signal handler and a coroutine return to the start of a function: nothing has called there ----

functions = sorted((int(start, 16), int(size, 16), name) for start, size, kind, name in
                   (line.split() for line in subprocess.run(
                       ["nm", "-S", "--defined-only", subject], capture_output=True, text=True,
                       check=True).stdout.splitlines() if len(line.split()) == 4) if kind in "tT")
alone = [b for a, b in zip(functions, functions[1:]) if a[0] + a[1] < b[0]]
with open(snap, encoding="ascii") as f:
    text = f.read()
bias = int(next(line for line in text.splitlines()
                if line.startswith("module ") and line.endswith("/subject")).split()[3], 16)
started = os.path.join(d, "started.snap")
with open(started, "w", encoding="ascii") as f:
    f.write(re.sub(r"(?m)^(stack 1 \d+) \S+", f"\\1 {bias + alone[0][0]:x}", text))
same([r["stack"][0] for r in leaks(started) if r["bytes"] == 200], [alone[0][2]],
     "a frame at the start of a function has its name")

# ---- other compilers: no .debug_aranges, or for some units alone; inlined from other units ----


def frames_by_kind(path):
    """What is known of each frame of each leak."""
    return sorted([r["kind"], r["bytes"], [[f["function"], f["file"] and os.path.basename(f["file"]),
                                            f["line"], f["inlined"]] for f in r["frames"]]]
                  for r in leaks("--show=lost", path))


wanted = frames_by_kind(snap)
ok(wanted and all(f[1] and f[2] for row in wanted for f in row[2]), "every frame has a file and a line", wanted)
lld = ["-flto", "-fuse-ld=lld", "-Qunused-arguments"]
for name, cc, cxx in (("clang", ["clang"], ["clang++"]),
                      ("clang, DWARF 4", ["clang", "-gdwarf-4"], ["clang++", "-gdwarf-4"]),
                      ("clang -flto", ["clang", *lld], ["clang++", *lld]),
                      ("gcc -flto", ["gcc", "-flto"], ["g++", "-flto"]),
                      ("C by gcc, C++ by clang", ["gcc"], ["clang++"]),
                      ("C by clang, C++ by gcc", ["clang"], ["g++"])):
    programs = [cc[0], cxx[0]] + ["ld.lld"] * (cc[1:] == lld)
    missing = [program for program in programs if not shutil.which(program)]
    name += ": the same names, files, lines and inlined frames"
    if missing:
        skip(name, missing[0] + " is not installed")
        continue
    other = directory()
    build_subject(other, cc, cxx)
    same(frames_by_kind(take_snapshot(other, "a.snap")), wanted, name)

# ---- without DWARF, without symbols, without the file ----

os.rename(subject, subject + ".whole")
subprocess.run(["strip", "-g", "-o", subject, subject + ".whole"], check=True)
rows = leaks(snap)
same(stack_of(kind="indirect"), ["leak_inlined", "main"], "symbols alone: functions without inlined ones")
same([f["file"] for f in [r for r in rows if r["kind"] == "indirect"][0]["frames"]], [None, None],
     "symbols alone: no lines")
subprocess.run(["strip", "-o", subject, subject + ".whole"], check=True)
rows = leaks(snap)
found = stack_of(kind="indirect")
ok(re.fullmatch(r"subject\+0x[0-9a-f]+", found[0]), "no symbols: module and offset", found)
ok(any(re.fullmatch(r"global subject\+0x[0-9a-f]+", r["root"] or "") for r in rows),
   "no symbols: a root by module and offset", [r["root"] for r in rows])
os.unlink(subject)
found = stele("report", "--folded", snap)
ok(found.returncode == 0 and "subject+0x" in found.stdout and not found.stderr,
   "no file: module and offset", found)
shutil.copy("/bin/true", subject)
found = stele("report", "--folded", snap)
ok("subject+0x" in found.stdout and found.stderr.count("\n") == 1 and
   "not the file that was loaded" in found.stderr,
   "another build of the file: no wrong names, and one line says so", found)
os.rename(subject + ".whole", subject)

# ---- text ----

text = stele("report", snap).stdout
ok(text.startswith("stele: subject, pid 4242, at exit, after 5.0 s: 5.4 KiB lost in 8 blocks\n"),
   "text: the first line", text)
ok("directly lost: 5,000 bytes in 1 block, 89.9 %, age 3.0 s, at 7f0000004000\n"
   "    plugin_first (subject_plugin.c:12)\n" in text, "text: a paragraph per stack", text)
ok("directly lost: 200 bytes in 2 blocks, 3.6 %, age 1.0 s to 2.0 s" in text, "text: ages", text)
ok("still reachable:" not in text and re.search(r"^still reachable +3 +9 +7,071  \(not listed\)$", text, re.M),
   "text: what is reachable is counted, not listed", text)
held = stele("report", "--show=reachable", snap).stdout
ok("7,001 bytes in 8 blocks" in held and "  held by global held_here+0x8 in subject\n"
   "  held by global counter_of_the_file in subject\n" in held,
   "text: one paragraph with all its roots", held)
short = stele("report", "--top=1", snap).stdout
ok(short.count("lost: ") == 1 and "and 4 more stacks with 560 bytes" in short, "text: --top", short)

# ---- choosing rows ----

same(sorted({r["kind"] for r in leaks("--show=direct:young", snap)}), ["direct", "young"], "--show")
same([r["bytes"] for r in leaks("--show=lost", "--min-age=1500ms", snap)], [5000, 200, 10], "--min-age")
same([r["blocks"] for r in leaks("--show=lost", "--sort=blocks", snap)], [3, 2, 1, 1, 1], "--sort=blocks")
same([r["max_age_ms"] for r in leaks("--show=lost", "--sort=age", snap)], [4000, 3000, 2000, 1000, 10],
     "--sort=age")
same([r["kind"] for r in leaks("--show=lost", "--sort=kind", snap)],
     ["direct"] * 3 + ["indirect", "possible"], "--sort=kind")

rules = os.path.join(d, "rules")


def suppressed(*lines):
    with open(rules, "w") as out:
        out.write("\n".join(lines) + "\n")
    return [r["bytes"] for r in leaks("--show=lost", "--suppress=" + rules, snap)]


same(suppressed("# a comment", "", "leak:plugin_f"), [300, 200, 50, 10], "suppress: part of a function's name")
same(suppressed("leak:^plugin_other$"), [5000, 300, 200, 50], "suppress: a whole name")
same(suppressed("leak:^lugin_other"), [5000, 300, 200, 50, 10], "suppress: an anchor holds")
same(suppressed("leak:sh*p::*::put"), [5000, 300, 200, 10], "suppress: a star")
same(suppressed("leak:subject_cxx.cc"), [5000, 300, 200, 10], "suppress: a source file")
same(suppressed("leak:other.so"), [5000, 300, 200, 50], "suppress: a module")
same(suppressed("leak:^leak_plain$"), [5000, 50, 10], "suppress: with what hangs on it")
text = stele("report", "--suppress=" + rules, snap).stdout
ok("500 bytes in 5 blocks by leak:^leak_plain$" in text, "suppress: the text says what was suppressed", text)

# ---- folded, heap, pprof ----

same(stele("report", "--folded", snap).stdout.splitlines()[1],
     "main;leak_inlined;outer_inline;inner_inline 300", "folded: outermost first")

heap = os.path.join(d, "a.heap")
stele("report", snap, "-o", heap)
lines = open(heap).read().splitlines()
same(lines[0].split(), "heap profile: 8: 5560 [ 8: 5560] @ heapprofile".split(), "heap: its first line")
if shutil.which("google-pprof"):
    out = subprocess.run(["google-pprof", "--text", subject, heap], capture_output=True, text=True,
                         check=False, env={**os.environ, "HOME": d}).stdout
    shares = {line.split()[-1]: line.split()[1] for line in out.splitlines() if "%" in line}
    same([shares.get(name) for name in ("plugin_first", "leak_plain", "plugin_other")],
         ["89.9%", "3.6%", "0.2%"], "heap: google-pprof reads it, the unloaded plugin too")
else:
    skip("heap: google-pprof reads it", "google-pprof is not installed")

profile = os.path.join(d, "a.pb.gz")
stele("report", snap, "-o", profile)


def fields(message):
    """The fields of a protocol buffer: number to the list of its values."""
    at, found = 0, {}

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = varint()
        if key & 7 == 0:
            value = varint()
        else:
            assert key & 7 == 2, key
            size = varint()
            value = message[at:at + size]
            at += size
        found.setdefault(key >> 3, []).append(value)
    return found


def numbers(packed):
    out, value, shift = [], 0, 0
    for byte in packed:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            out.append(value)
            value = shift = 0
    return out


top = fields(gzip.open(profile).read())
strings = [s.decode() for s in top[6]]
functions = {f[1][0]: strings[f[2][0]] for f in map(fields, top[5])}
locations = {}
for message in map(fields, top[4]):
    locations[message[1][0]] = [functions[fields(line)[1][0]] for line in message[4]]
samples = {}
for message in map(fields, top[2]):
    stack = [name for i in numbers(message.get(1, [b""])[0]) for name in locations[i]]
    labels = {strings[fields(x)[1][0]]: strings[fields(x)[2][0]] for x in message[3]}
    samples[";".join(stack), labels["kind"]] = numbers(message[2][0])
same([[strings[v] for v in (t[1][0], t[2][0])] for t in map(fields, top[1])],
     [["inuse_objects", "count"], ["inuse_space", "bytes"]], "pprof: the types of samples")
same(samples.get(("inner_inline;outer_inline;leak_inlined;main", "indirect")), [3, 300],
     "pprof: a stack with inlined frames")
same(samples.get(("plugin_first;plugin_call;from_plugin;main", "direct")), [1, 5000],
     "pprof: the unloaded plugin")
mapping = [m for m in map(fields, top[3]) if strings[m[5][0]] == subject][0]
build_id = [m["build_id"] for m in report["modules"] if m["path"] == subject][0]
same(strings[mapping[6][0]], build_id, "pprof: the build id of a mapping")
same((strings[0], top[9][0], top[10][0]), ("", 1700000000000000000, 5000000000), "pprof: times")

# ---- profiles ----


def as_profile(old):
    stacks = [line.split()[1] for line in old if line.startswith("stack ")]
    kept = [line for line in old if not line.startswith(("leak ", "root ", "mode "))]
    return kept + ["mode profile 524288"] + \
        [f"alloc {s} {10 * i} {1000 * i} {20 * i} {4000 * i}" for i, s in enumerate(stacks, 1)]


heap_snap = change(snap, os.path.join(d, "profile.snap"), as_profile)
text = stele("report", heap_snap).stdout
ok("in use 14.6 KiB of 58.6 KiB allocated, estimated from a sample per 512.0 KiB" in text and
   "in use: 1,000 bytes in 10 blocks, 6.7 %, of 4,000 bytes in 20 allocated\n    leak_plain" in text,
   "a profile as text", text)
profile_rows = json.loads(stele("report", "--json", heap_snap).stdout)["profile"]
same([(r["inuse_blocks"], r["inuse_bytes"], r["total_blocks"], r["total_bytes"]) for r in profile_rows][-1],
     (10, 1000, 20, 4000), "a profile as JSON")
stele("report", heap_snap, "-o", profile)
top = fields(gzip.open(profile).read())
strings = [s.decode() for s in top[6]]
same([strings[fields(t)[1][0]] for t in top[1]],
     ["alloc_objects", "alloc_space", "inuse_objects", "inuse_space"], "a profile for pprof")
same(sorted(numbers(fields(s)[2][0]) for s in top[2])[0], [20, 4000, 10, 1000], "its values")

# ---- several processes, several snapshots of one ----

child = change(snap, os.path.join(d, "child.snap"),
               lambda old: [line.replace("process 4242 1", "process 4243 4242") for line in old])
both = json.loads(stele("report", "--json", snap, child).stdout)
same([len(both["processes"]), len(both["leaks"]), sorted({r["pid"] for r in both["leaks"]})],
     [2, 18, [4242, 4243]], "two processes in one document")
text = stele("report", snap, child).stdout
same(re.findall(r"^stele: subject, pid (\d+)", text, re.M), ["4242", "4243"], "two processes, one text after another")
folded = stele("report", "--folded", snap, child).stdout
ok("subject, pid 4243;main;leak_plain 200" in folded, "two processes: folded below their names", folded)
refused = stele("report", "--heap", snap, child)
ok(refused.returncode == 1 and "holds one process, not 2" in refused.stderr,
   "the heap text of two processes is refused", refused)


def later(old):
    lines = [line.replace("time 1700000000000000000 5000", "time 1700000003000000000 8000") for line in old]
    lines = [re.sub(r"^leak direct (\d+) 2 200 ", r"leak direct \1 5 900 ", line) for line in lines]
    lines = [line for line in lines if not re.match("leak direct .* 5000 ", line)]
    lines = [line for line in lines if not line.startswith("point ")]
    return [line.replace("heap 40000", "heap 70000") for line in lines]


after = change(snap, os.path.join(d, "b.snap"), later)
joined = json.loads(stele("report", "--json", after, snap).stdout)
same([len(joined["processes"]), [p["uptime_ms"] for p in joined["history"]]], [1, [0, 2500, 5000, 8000]],
     "of one process the last counts, with all its history")
same(joined["history"][-1], {"uptime_ms": 8000, "used_bytes": 70000, "rss_bytes": 2000000},
     "which ends with the size at the snapshot")

# ---- differences ----

diff = json.loads(stele("diff", "--json", "--show=lost", snap, after).stdout)
same([(r["change"], r["blocks"], r["bytes"], r["bytes_before"], r["bytes_after"], r["stack"][0])
      for r in diff["diff"]],
     [("grown", 3, 700, 200, 900, "leak_plain"), ("gone", -1, -5000, 5000, 0, "plugin_first")],
     "diff: what grew and what went")
same((diff["bytes"], diff["before"]["time"]["uptime_ms"], diff["after"]["time"]["uptime_ms"]),
     (-4300, 5000, 8000), "diff: sums and times")
text = stele("diff", "--show=lost", snap, after).stdout
ok(text.startswith("stele: subject, pid 4242, from 5.0 s to 8.0 s: -4,300 bytes in +2 blocks\n") and
   "grown: +700 bytes in +3 blocks, from 200 to 900 bytes\n    leak_plain" in text, "diff: text", text)
same(stele("diff", "--folded", "--show=lost", snap, after).stdout,
     "main;leak_plain 200 900\nmain;from_plugin;plugin_call;plugin_first 5000 0\n", "diff: folded")
back = json.loads(stele("diff", "--json", "--show=lost", after, snap).stdout)
same([r["change"] for r in back["diff"]], ["new", "shrunk"], "diff: the other way round")
same(json.loads(stele("diff", "--json", snap, snap).stdout)["diff"], [], "diff: nothing changed")
found = stele("diff", "--html", snap, after)
ok(found.returncode == 0 and '"form":"diff"' in found.stdout, "diff: a page", found)

done()
