#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`stele run` and `stele leaks PID` with the library itself: the program does not notice, its status is the
tool's, every process of it makes a report."""
import glob
import json
import os
import pty
import re
import select
import signal
import subprocess
import time

from common import BUILD, HERE, LIBRARY, TOOL, compile_c, directory, done, ok, same, stele

d = directory()
prog = compile_c(os.path.join(d, "prog"), "-g", "-O1", "-fno-builtin", os.path.join(HERE, "run.c"))
environment = {**os.environ, "STELE_LIB": LIBRARY, "TMPDIR": d}
environment.pop("STELE_CONF", None)
environment.pop("LD_PRELOAD", None)


def run(*args, **options):
    options.setdefault("env", environment)
    return stele("run", *args, **options)


def leaks(path):
    """What is lost, by kind, blocks, bytes and the function that called malloc."""
    return [(r["kind"], r["blocks"], r["bytes"], r["stack"][:2]) for r in json.load(open(path))["leaks"]
            if r["kind"] in ("direct", "indirect", "possible")]


LOST = [("direct", 3, 300, ["leak_direct", "main"]), ("indirect", 4, 192, ["make", "leak_chain"]),
        ("direct", 1, 48, ["make", "leak_chain"])]
out = os.path.join(d, "x.json")

# ---- reports ----

result = run(prog)
ok(result.returncode == 0 and result.stdout == "" and
   re.match(r"stele: prog, pid \d+, at exit, after \S+ \S+: 540 B lost in 8 blocks\n", result.stderr) and
   "directly lost: 300 bytes in 3 blocks" in result.stderr and
   "    leak_direct (run.c:" in result.stderr, "without options: a text on stderr", result)
result = run("--leaks", "-o", out, "--", prog)
same((result.returncode, result.stdout, result.stderr), (0, "", ""), "-o FILE: nothing but the file")
same(leaks(out), LOST, "its leaks")
held = sorted((r["bytes"], r["stack"][0], r["root"]) for r in json.load(open(out))["leaks"] if r["kind"] == "reachable")
same(held[1], (48, "make", "global kept in prog"), "what is reachable, and its root")
same((held[0][0], held[0][1]), (6, "strdup"), "libc's strdup is the caller of malloc")
for suffix, start in ((".html", b"<!DOCTYPE html>"), (".folded", b"main;"), (".pb.gz", b"\x1f\x8b"),
                      (".heap", b"heap profile: "), (".txt", b"stele: prog"), (".anything", b"stele-snapshot 1\n")):
    path = os.path.join(d, "x" + suffix)
    run("-o", path, prog)
    ok(os.path.exists(path) and open(path, "rb").read().startswith(start), f"-o FILE{suffix}")
same(stele("leaks", "--folded", os.path.join(d, "x.anything")).stdout,
     "main;leak_direct 300\nmain;leak_chain;make 192\nmain;leak_chain;make 48\n", "a snapshot can be reported later")
run("--list", "-o", out, prog)
same(sorted((r["inuse_blocks"], r["stack"][0]) for r in json.load(open(out))["profile"] if "main" in r["stack"]),
     [(1, "make"), (1, "strdup"), (3, "leak_direct"), (5, "make")], "--list: everything that was not freed")

# ---- how others ended ----

run("--free-stacks", "-o", out, prog, "sometimes")
row = [r for r in json.load(open(out))["leaks"] if r["kind"] == "direct" and r["stack"][0] == "leak_one_of_ten"]
same([(r["blocks"], r["bytes"]) for r in row], [(1, 70)], "--free-stacks: one of ten blocks leaks")
same([(e["blocks"], e["stack"][:3]) for e in row[0]["others_freed"]],
     [(6, ["drop", "leak_one_of_ten", "act"]), (3, ["leak_one_of_ten", "act", "main"])],
     "six were freed by another function, three by a realloc that moved or kept them")
text = run("--free-stacks", prog, "sometimes").stderr
ok(re.search(r"directly lost: 70 bytes in 1 block.*\n    leak_one_of_ten .*\n(    .*\n)+"
             r"  6 others of this stack freed by\n    drop .*\n(    .*\n)+"
             r"  3 others of this stack freed by\n    leak_one_of_ten ", text), "and so says the text", text)
page = os.path.join(d, "freed.html")
run("--free-stacks", "-o", page, prog, "sometimes")
ok(re.search(r'"freed":\[\[6,\[[0-9,]+\]\],\[3,', open(page).read()), "and the page")
run("-o", out, prog, "sometimes")
same([r["others_freed"] for r in json.load(open(out))["leaks"] if r["stack"][0] == "leak_one_of_ten"], [None],
     "without --free-stacks: nothing of it")
bare = subprocess.run([prog, "sometimes"], env={**environment, "LD_PRELOAD": LIBRARY,
                                                 "STELE_CONF": "leak=exit,free_stacks=on"},
                      capture_output=True, text=True, check=False).stderr
ok(re.search(r"\n  others of this stack, 6, were freed by:\n    \S*drop", bare) or
   re.search(r"\n  others of this stack, 6, were freed by:\n    0x", bare),
   "the library's own text has the most frequent", bare)

# ---- the size over time ----

page = os.path.join(d, "history.html")
for options in ([], ["--profile"]):
    # A busy machine may let nobody look for a third of a second, but not each time.
    for _ in range(5):
        run(*options, "-o", page, prog, "grow")
        points = json.loads(re.search(r'"history":(\[\[.*?\]\])', open(page).read()).group(1))
        times = [p[0] for p in points]
        if len(points) >= 20 and times[0] < 300:
            break
    ok(20 <= len(points) <= 256 and times == sorted(times) and times[0] < 300 and times[-1] >= 1000,
       f"-o FILE.html {options}: many points from begin to end of one run", points)
    ok(all(p[1] < 1000000 for p in points if p[0] < 400) and 2000000 <= points[-1][1] < 2500000 and
       all(points[-1][i] - points[0][i] > 1800000 for i in (1, 2)),
       "they show when it grew, in use and resident", points)
run("-o", out, prog)
same(len(json.load(open(out))["history"]), 1, "other forms have a point for each report")

# a size that is certain to be sampled
run("--profile=8", "-o", out, prog)
profile = json.load(open(out))
same((profile["mode"], profile["sample_bytes"], profile["leaks"]), ("profile", 8, []), "--profile: its mode")
direct = [r for r in profile["profile"] if r["stack"][0] == "leak_direct"]
ok(len(direct) == 1 and direct[0]["inuse_bytes"] == direct[0]["total_bytes"] and
   0 < direct[0]["inuse_bytes"] <= 600, "--profile: an estimate by stack", profile["profile"])

# ---- the program's end is the tool's ----

for how, status in (("exit=7", 7), ("exit=255", 255), ("abort", -signal.SIGABRT), ("raise=15", -15),
                    ("raise=11", -11), ("raise=9", -9), ("_exit", 0)):
    result = run("-o", out, prog, how)
    same(result.returncode, status, f"status: {how}")
    if how != "raise=9":
        same(leaks(out), LOST, f"leaks: {how}")
result = run(os.path.join(d, "nosuch"))
same((result.returncode, result.stderr), (127, f"stele: {d}/nosuch: No such file or directory\n"), "no such program")
result = run(d)
same((result.returncode, result.stderr), (126, f"stele: {d}: Permission denied\n"), "not a program")
result = run("true", env={**environment, "STELE_CONF": "skip=true"})
same((result.returncode, result.stderr),
     (1, "stele: true: left no snapshot: is it privileged, or linked statically?\n"), "a program that makes no report")
result = run("-o", d + "/no/such.json", "touch", d + "/ran")
ok(result.returncode == 1 and not os.path.exists(d + "/ran"), "an output that cannot be written: nothing is run", result)
same(run("--leak-exit-code=9", prog).returncode, 9, "--leak-exit-code")
same(run("--leak-exit-code=9", prog, "exit=3").returncode, 3, "a failure comes before --leak-exit-code")
rules = os.path.join(d, "rules")
with open(rules, "w") as f:
    f.write("leak:leak_direct\nleak:leak_chain\n")
same(run("--leak-exit-code=9", "--suppress=" + rules, prog).returncode, 0, "suppressed leaks do not count")
same(run("--leak-exit-code=9", "--show=possible", prog).returncode, 0, "nor those that are not to be shown")
same(run("--leak-exit-code=9", "true").returncode, 0, "a program without leaks")

# ---- children ----


def outputs():
    found = {os.path.basename(p): p for p in glob.glob(d + "/y*.json")}
    return found


run("-o", d + "/y.json", prog, "fork")
found = outputs()
child = [p for name, p in found.items() if re.fullmatch(r"y\.\d+\.json", name)]
ok(len(found) == 2 and len(child) == 1, "fork: a file for each process", list(found))
same(leaks(d + "/y.json"), LOST, "fork: the parent's report is its own")
ok(child and ("direct", 1, 7, ["leak_direct", "act"]) in leaks(child[0]), "fork: and the child's",
   child and leaks(child[0]))
ok(child and json.load(open(child[0]))["process"]["ppid"] == json.load(open(d + "/y.json"))["process"]["pid"],
   "fork: parent and child")
for path in found.values():
    os.unlink(path)
result = run("--wait=60s", "-o", d + "/y.json", prog, "leave=300")
found = [leaks(p) for p in outputs().values()]
ok(len(found) == 3 and any(("direct", 1, 9, ["leak_direct", "act"]) in each for each in found) and
   result.stderr == "", "a daemon that goes on for a moment makes its report", (result, found))
for path in outputs().values():
    os.unlink(path)
began = time.monotonic()
with open(d + "/said", "w+") as said:
    result = subprocess.run([TOOL, "run", "--wait=100ms", "-o", d + "/y.json", prog, "leave=20000"],
                            env=environment, stdout=said, stderr=said, check=False)
    said.seek(0)
    text = said.read()
ok(time.monotonic() - began < 10 and result.returncode == 0 and len(outputs()) == 2 and
   re.fullmatch(r"stele: process \d+ goes on: what it has to report is lost\n", text),
   "one that goes on longer is named, and not waited for", (result, text))
os.kill(int(text.split()[2]), signal.SIGKILL)
for path in outputs().values():
    os.unlink(path)
run("-o", d + "/y.json", "sh", "-c", f"exec {prog}")
ok(os.path.exists(d + "/y.json") and leaks(d + "/y.json") == LOST, "exec: FILE is what the process became", list(outputs()))
for path in outputs().values():
    os.unlink(path)

# ---- the program's environment, input and signals ----

same(run("-o", out, prog, "stdin", input="some text\n").stdout, "some text\n", "standard input is the program's")
result = run("-o", out, "sh", "-c", "echo $LD_PRELOAD; echo $STELE_CONF",
             env={**environment, "LD_PRELOAD": "/lib/x86_64-linux-gnu/libm.so.6", "STELE_CONF": "top_pad=4096"})
lines = result.stdout.splitlines()
ok(lines[0].endswith(":/lib/x86_64-linux-gnu/libm.so.6") and lines[1].startswith("top_pad=4096,leak=exit,"),
   "LD_PRELOAD and STELE_CONF are added to", result)


def start(*args, **options):
    return subprocess.Popen([TOOL, "run", "-o", out, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=environment, **options)


def send(sig):
    p = start(prog, "wait", "exit=5", start_new_session=True)
    p.stdout.readline()
    p.send_signal(sig)
    try:
        text, _ = p.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(p.pid, signal.SIGKILL)
        text = "it never came"
    return text, p.returncode


for sig in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
    same(send(sig), ("got the signal\n", 5), f"{sig.name} is passed on")
was = signal.signal(signal.SIGHUP, signal.SIG_IGN)
same(send(signal.SIGHUP), ("got the signal\n", 5), "under nohup too, to a program that handles it")
p = start("sleep", "0.5")
p.send_signal(signal.SIGHUP)
p.communicate()
same(p.returncode, 0, "one that does not goes on")
signal.signal(signal.SIGHUP, was)
p = start(prog, "wait", "exit=6", start_new_session=True)
p.stdout.readline()
os.killpg(p.pid, signal.SIGINT)
text, _ = p.communicate(timeout=60)
same((text, p.returncode), ("got the signal\n", 6), "Ctrl-C is the program's to handle, once")
same(leaks(out), LOST, "and the report is made")


def job_runs(shell, fd):
    """Has a job of the shell the terminal, and does none of its processes stand still?"""
    if os.tcgetpgrp(fd) == shell:
        return False
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as stat:
                state, _, _, session = stat.read().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if state == "T" and int(session) == shell:
            return False
    return True


def on_terminal(keys):
    """A shell with job control on a terminal of its own; what it printed."""
    pid, fd = pty.fork()
    if pid == 0:
        # what a background job ignores would be ignored by all below it
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.execvpe("bash", ["bash", "--norc", "-i"], {**environment, "PS1": "$ ", "TERM": "dumb"})
    seen = ""

    def until(text):
        nonlocal seen
        end = time.monotonic() + 20
        while text not in seen and time.monotonic() < end:
            if not select.select([fd], [], [], 0.2)[0]:
                continue
            try:
                seen += os.read(fd, 4096).decode(errors="replace")
            except OSError:
                break
        there = text in seen
        seen = seen[seen.index(text) + len(text):] if there else seen
        return there

    done_keys = 0
    for wait, key in keys:
        # The shell names the job before it has put it in the foreground and continued it.
        end = time.monotonic() + 20
        while key in ("\x1a", "\x03") and not job_runs(pid, fd) and time.monotonic() < end:
            time.sleep(0.02)
        if not (until(key) if wait else os.write(fd, key.encode())):
            break
        done_keys += 1
    os.kill(pid, signal.SIGKILL)
    os.close(fd)
    os.waitpid(pid, 0)
    return keys[done_keys:], seen


result, seen = on_terminal([(True, "$ "), (False, f"{TOOL} run -o {out} {prog} terminal idle\n"), (True, "1 1"),
                            (True, "ready"), (False, "\x1a"), (True, "Stopped"), (True, "$ "), (False, "fg\n"),
                            (True, "idle"), (False, "\x1a"), (True, "Stopped"), (True, "$ "), (False, "fg\n"),
                            (True, "idle"), (False, "\x03"), (True, "$ "),
                            (False, "echo status $?\n"), (True, "status 130")])
ok(result == [], "a job of a shell: in the foreground, stopped and continued twice, ended by Ctrl-C", f"{result}\n{seen}")

p = start(prog, "wait", "exit=4")
p.stdout.readline()
child = int(open(f"/proc/{p.pid}/task/{p.pid}/children").read())
os.kill(child, signal.SIGSTOP)
time.sleep(0.3)
os.kill(child, signal.SIGCONT)
p.send_signal(signal.SIGTERM)
same((p.communicate(timeout=60)[0], p.returncode), ("got the signal\n", 4),
     "who stops the program, and continues it, need not know of the tool")

# ---- a running process ----

p = start(prog, "idle")
p.stdout.readline()
child = int(subprocess.run(["pgrep", "-P", str(p.pid)], capture_output=True, text=True, check=True).stdout)
for n in (1, 2):
    result = stele("leaks", "--json", "-o", d + "/live.json", str(child))
    same((result.returncode, result.stderr), (0, ""), f"stele leaks PID, time {n}")
    same(leaks(d + "/live.json"), LOST, "what it has lost until now")
same(json.load(open(d + "/live.json"))["reason"], "request", "and why it says so")
p.terminate()
p.wait(timeout=60)
same(p.returncode, -signal.SIGTERM, "the process went on meanwhile")
same(leaks(out), LOST, "and makes its report at the end")

control = {**environment, "LD_PRELOAD": LIBRARY,
           "STELE_CONF": f"leak=on,leak_control={d}/control.%p,leak_output=answer.%p.%n"}
p = subprocess.Popen([prog, "idle"], stdout=subprocess.PIPE, env=control, cwd=d)
p.stdout.readline()
result = stele("leaks", "--folded", str(p.pid))
ok(result.stdout.startswith("main;leak_direct 300\n"), "asked through a control file, answers in its own directory", result)
p.kill()
p.wait()


def refused(message, conf=None, pid=None, preload=False):
    p = subprocess.Popen(["sleep", "60"], env={**environment, **({"STELE_CONF": conf} if conf else {}),
                                               **({"LD_PRELOAD": LIBRARY} if preload else {})})
    time.sleep(0.2)
    result = stele("leaks", "--timeout=300ms", pid or str(p.pid))
    ok(result.returncode == 1 and result.stderr == f"stele: {pid or p.pid}: {message}\n" and p.poll() is None,
       f"stele leaks PID: {message}", result)
    p.kill()
    p.wait()


refused("there is no such process", pid="999999999")
refused("it was started without leak=on, leak=exit or profile=")
refused("it was started without leak=on, leak=exit or profile=", conf="leak=exit,leak=off")
refused("it was started without leak_output=: its reports go to its own stderr", conf="leak=on")
refused("it was started without leak_signal= and leak_control=", conf="leak=on,leak_output=" + out)
refused("it does not catch signal 61: Stele is not in it", conf="leak=on,leak_signal=61,leak_output=" + out)

# ---- nothing is left behind ----

same(glob.glob(d + "/stele-*"), [], "no directory of snapshots is left")
found = stele("run", "true", env={**environment, "STELE_LIB": d + "/nosuch.so"})
same((found.returncode, found.stderr), (1, f"stele: STELE_LIB: {d}/nosuch.so: not a readable file\n"), "STELE_LIB names nothing")
without = {k: v for k, v in environment.items() if k != "STELE_LIB"}
ok(os.path.realpath(os.path.join(BUILD, "lib/.libs/libstele.so")) in
   run("-o", out, "sh", "-c", "echo $LD_PRELOAD", env=without).stdout, "without it the library of the build tree is found")
done()
