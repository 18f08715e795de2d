#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Try to break the leak mode; prints TAP.

usage: robust.py [TEST...]

STELE_LIB names the library; LEAK_DIR is where exercise and throws are.
"""

import json
import math
import os
import re
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True

import reports  # noqa: E402  (beside this file)
from reports import Snapshot  # noqa: E402

TIMEOUT = 60
TESTS = []


class Failed(Exception):
    pass


class Skipped(Exception):
    pass


def need(condition, what):
    if not condition:
        raise Failed(what)


def test(*variants):
    """A test function runs once for each variant."""
    def register(function):
        TESTS.extend((function, v) for v in variants or (None,))
        return function
    return register


class Rig:
    """A directory of its own for one test, and the ways to run a program in it."""

    def __init__(self, work, lib, programs):
        self.work, self.lib, self.programs = work, lib, programs

    def environment(self, conf):
        env = {k: v for k, v in os.environ.items() if k not in ("LD_PRELOAD", "STELE_CONF")}
        if conf is not None:
            env["LD_PRELOAD"] = self.lib
            env["STELE_CONF"] = conf
        return env

    def start(self, conf, program, *args, **more):
        return subprocess.Popen([str(self.programs / program), *map(str, args)], cwd=self.work,
                                env=self.environment(conf), stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)

    def command(self, status, *command):
        got = subprocess.run([str(c) for c in command], cwd=self.work, timeout=TIMEOUT,
                             env=self.environment(None), stdin=subprocess.DEVNULL,
                             capture_output=True, text=True, check=False)
        need(got.returncode == status, f"status {got.returncode}: {got.stderr[-500:]}")
        return got.stdout, got.stderr

    def run(self, conf, program, *args, status=0, timeout=TIMEOUT):
        """What it printed on stdout and on stderr."""
        proc = self.start(conf, program, *args)
        try:
            out, err = proc.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            where = stacks(proc.pid)
            proc.kill()
            proc.communicate()
            raise Failed(f"no end within {timeout} s\n{where}") from None
        need(proc.returncode == status,
             f"status {proc.returncode}, wanted {status}\n{err[-1500:]}")
        return out, err

    def snapshots(self, pattern="*.snap"):
        return [Snapshot(p) for p in sorted(self.work.glob(pattern))]

    def answers(self, count):
        """So many snapshots of a process that goes on, or None: one may be half written."""
        try:
            found = self.snapshots()
        except reports.Damaged:
            return None
        return found if len(found) >= count else None


def stacks(pid):
    """For a hang: what every thread waits for."""
    if not shutil.which("gdb"):
        return ""
    got = subprocess.run(["gdb", "-batch", "-p", str(pid), "-ex", "thread apply all bt 12"],
                         capture_output=True, text=True, timeout=60, check=False)
    return "\n".join(line for line in got.stdout.split("\n") if re.match("#|Thread", line))[:4000]


def own_lines(err):
    return [line for line in err.split("\n") if line.startswith("stele: ")]


def lost(snapshot):
    return {kind: sum(e.blocks for e in snapshot.entries if e.kind == kind)
            for kind in ("direct", "indirect", "possible")}


def wait_line(proc, seconds=20):
    ready, _, _ = select.select([proc.stdout], [], [], seconds)
    need(ready, "the program does not start")
    return proc.stdout.readline()


def wait_until(what, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        got = what()
        if got:
            return got
        time.sleep(0.02)
    return None


def wait_caught(proc, sig):
    """A signal that comes before the library has a handler for it ends the process."""
    status = Path(f"/proc/{proc.pid}/status")

    def caught():
        mask = re.search(r"SigCgt:\s*(\w+)", status.read_text())
        return mask and int(mask.group(1), 16) >> (sig - 1) & 1

    need(wait_until(caught), f"signal {sig} is not caught")


# --- hangs and crashes ---

UNWINDERS = ("auto", "fp", "libunwind", "none")


@test(*UNWINDERS)
def callbacks_of_the_dynamic_linker_allocate(rig, unwind):
    rig.run(f"leak=exit,leak_output=%p.snap,unwind={unwind}", "exercise", "phdr", 0.7)
    need(rig.snapshots(), "no report")


@test(*UNWINDERS)
def libraries_come_and_go_at_one_address(rig, unwind):
    rig.run(f"leak=exit,leak_output=%p.snap,unwind={unwind}", "exercise", "swap", 0.7)
    need(rig.snapshots(), "no report")


@test()
def a_thousand_forks_while_others_allocate(rig):
    rig.run("leak=on", "exercise", "fork", 1000, timeout=150)


@test()
def forks_while_libunwind_walks(rig):
    rig.run("leak=on,unwind=libunwind", "exercise", "fork", 200)


@test(*UNWINDERS)
def a_fork_while_the_dynamic_linker_is_locked(rig, unwind):
    rig.run(f"leak=on,unwind={unwind}", "exercise", "fork_held")


@test()
def every_forked_child_reports(rig):
    rig.run("leak=exit,leak_output=%p.snap", "exercise", "fork", 60)
    need(len(rig.snapshots()) == 61, f"{len(rig.snapshots())} reports of 61 processes")


@test(*UNWINDERS)
def a_storm_of_signals_whose_handlers_allocate(rig, unwind):
    rig.run(f"leak=exit,leak_output=%p.snap,unwind={unwind}", "exercise", "storm", 1)
    need(sum(lost(s)["direct"] for s in rig.snapshots()) == 0, "a leak where there is none")


@test("on", "off")
def sixty_four_threads(rig, scan):
    rig.run(f"leak=exit,leak_output=%p.snap,scan={scan}", "exercise", "many", 1)
    need(rig.snapshots(), "no report")


@test()
def two_thousand_threads(rig):
    _, err = rig.run("leak=exit,leak_output=%p.snap", "exercise", "crowd", 2000)
    begun = int(re.search(r"(\d+) threads", err).group(1))
    snap = rig.snapshots()[0]
    threads, stopped, *_ = snap.numbers("scan")
    need(begun > 60 and threads == begun and stopped == begun,
         f"of {begun} threads {threads} were found and {stopped} stopped")
    need(lost(snap)["direct"] == 0, "what their stacks hold is said to be lost")
    print(f"# {begun} threads stood still for {snap.numbers('scan')[4] / 1000:.0f} ms")


def harass(rig, what, conf, seconds, least=3):
    """Reports on demand, one upon the other, while the program runs."""
    proc = rig.start(f"leak=on,leak_output=%p.%n.snap,leak_signal={int(signal.SIGUSR1)},{conf}",
                     "exercise", what, seconds)
    wait_caught(proc, signal.SIGUSR1)
    time.sleep(0.3)
    while proc.poll() is None:
        proc.send_signal(signal.SIGUSR1)
        try:
            proc.wait(0.1)
        except subprocess.TimeoutExpired:
            pass
        if time.monotonic() > rig.deadline:
            where = stacks(proc.pid)
            proc.kill()
            raise Failed(f"no end\n{where}")
    err = proc.communicate()[1]
    need(proc.returncode == 0, f"status {proc.returncode}\n{err[-1500:]}")
    found = rig.snapshots()
    need(len(found) >= least, f"{len(found)} reports\n{err[-500:]}")
    pauses = [s.numbers("scan")[4] / 1000 for s in found]
    print(f"# {len(found)} reports, pauses {statistics.median(pauses):.1f} ms, "
          f"{max(pauses):.1f} at the longest")
    return found


@test("unwind=auto", "unwind=libunwind")
def threads_begin_and_end_under_scans(rig, conf):
    harass(rig, "coming", conf, 2.5)


@test("unwind=auto")
def scans_of_sixty_four_threads(rig, conf):
    found = harass(rig, "many", conf, 3, least=1)
    threads = max(s.numbers("scan")[1] for s in found)
    need(threads >= 60, f"only {threads} threads were stopped")


@test()
def libraries_come_and_go_under_scans(rig):
    harass(rig, "swap", "unwind=auto", 2)


@test()
def leaks_are_found_while_others_work(rig):
    found = harass(rig, "busy", "unwind=auto", 2.5)
    counts = [lost(s)["direct"] for s in found]
    need(counts[-1] > counts[0], f"leaks found one after the other: {counts}")


# --- on demand ---

def idle_reports(rig, conf, ask):
    """An idle process answers: twice, and the second time with the new leak."""
    proc = rig.start(f"leak=on,leak_output=%p.%n.snap,{conf}", "exercise", "idle")
    try:
        need(wait_line(proc) == "ready\n", "it is not ready")
        ask(proc)
        need(wait_until(lambda: rig.answers(1)), "no answer")
        proc.stdin.write("m")
        proc.stdin.flush()
        need(wait_line(proc) == "more\n", "it did not go on")
        ask(proc)
        need(wait_until(lambda: rig.answers(2)), "no second answer")
        _, err = proc.communicate(timeout=20)
    finally:
        if proc.poll() is None:
            proc.kill()
    need(proc.returncode == 0, f"status {proc.returncode}: {err}")
    counts = [lost(s)["direct"] for s in rig.snapshots()]
    need(counts == [10, 11], f"leaks reported: {counts}")
    need(not own_lines(err), err)


@test()
def an_idle_process_answers_a_signal(rig):
    idle_reports(rig, f"leak_signal={int(signal.SIGUSR2)}",
                 lambda proc: proc.send_signal(signal.SIGUSR2))


@test()
def an_idle_process_answers_its_control_file(rig):
    control = rig.work / "control"

    def ask(_proc):
        need(wait_until(control.exists), "no control file")
        with open(control, "w", encoding="ascii") as f:
            f.write("scan\n")

    idle_reports(rig, f"leak_control={control}", ask)


@test("signal", "control")
def the_tool_asks_an_idle_process(rig, how):
    tool = reports.Tool(rig.programs / "exercise")
    if tool.missing():
        raise Skipped(tool.missing())
    way = (f"leak_signal={int(signal.SIGUSR2)}" if how == "signal"
           else f"leak_control={rig.work}/control")
    proc = rig.start(f"leak=on,leak_output={rig.work}/%p.%n.snap,{way}", "exercise", "idle")
    try:
        need(wait_line(proc) == "ready\n", "it is not ready")
        rig.command(0, tool.tool, "leaks", proc.pid, "--json", "-o", "now.json")
        leaks = json.loads((rig.work / "now.json").read_text())["leaks"]
        _, err = proc.communicate(timeout=20)
    finally:
        if proc.poll() is None:
            proc.kill()
    need(proc.returncode == 0 and not own_lines(err), f"status {proc.returncode}: {err}")
    found = sum(row["blocks"] for row in leaks
                if row["kind"] == "direct" and row["stack"][0] == "leak_some")
    need(found == 10, f"{found} blocks of leak_some")


@test()
def a_thread_that_no_signal_reaches(rig):
    """Its child of vfork keeps it: the report must not wait for it for long."""
    proc = rig.start(f"leak=on,leak_output=%p.%n.snap,leak_signal={int(signal.SIGUSR2)}",
                     "exercise", "suspended")
    try:
        need(wait_line(proc) == "ready\n", "it is not ready")
        begin = time.monotonic()
        proc.send_signal(signal.SIGUSR2)
        need(wait_until(lambda: rig.answers(1), 7), "no answer while the thread is suspended")
        need(time.monotonic() - begin < 7, "a late answer")
        _, err = proc.communicate(timeout=20)
    finally:
        if proc.poll() is None:
            proc.kill()
    need(proc.returncode == 0, f"status {proc.returncode}: {err}")
    need(lost(rig.snapshots()[0])["direct"] == 10, f"{lost(rig.snapshots()[0])}")


@test()
def reports_come_at_an_interval(rig):
    proc = rig.start("leak=on,leak_output=%p.%n.snap,leak_interval=1", "exercise", "busy", 60)
    found = wait_until(lambda: rig.answers(4))
    proc.kill()
    proc.communicate()
    need(found, "less than four reports in half a minute")
    at = [s.numbers("time")[1] / 1000 for s in found]
    gaps = [b - a for a, b in zip([0, *at], at)]
    need(min(gaps) > 0.99 and min(gaps) < 1.5, f"reports at one a second came after {at}")
    counts = [lost(s)["direct"] for s in found]
    need(counts == sorted(counts) and counts[0] < counts[-1], f"leaks reported: {counts}")


# --- suppressions, statuses, bad input ---

@test()
def suppressed_leaks_are_not_reported(rig):
    (rig.work / "suppressions").write_text("# a comment\n\nleak:leak_more\nleak:^nothing$\n")
    out, err = rig.run("leak=exit,leak_suppress=suppressions,leak_output=%p.snap", "exercise",
                       "leaks", status=7)
    need(out == "output\n", out)
    need(lost(rig.snapshots()[0])["direct"] == 10, f"{lost(rig.snapshots()[0])}\n{err}")


@test()
def suppressions_name_modules_and_wildcards(rig):
    (rig.work / "suppressions").write_text("leak:leak_s*e\nleak:*/exercise\n")
    _, err = rig.run("leak=exit,leak_suppress=suppressions,leak_exit_code=23", "exercise",
                     "leaks", 0)
    need("leak_some" not in err and "leak_more" not in err, err)


@test()
def an_unreadable_suppression_file(rig):
    out, err = rig.run("leak=exit,leak_suppress=/nonexistent/file,leak_output=%p.snap",
                       "exercise", "leaks", status=7)
    need(out == "output\n", out)
    need(len(own_lines(err)) == 1 and "/nonexistent/file" in err, f"stderr: {err}")
    need(lost(rig.snapshots()[0])["direct"] == 11, f"{lost(rig.snapshots()[0])}")


@test()
def a_suppression_file_of_nonsense(rig):
    (rig.work / "suppressions").write_bytes(bytes(range(256)) * 40)
    _, err = rig.run("leak=exit,leak_suppress=suppressions,leak_output=%p.snap", "exercise",
                     "leaks", status=7)
    need(1 <= len(own_lines(err)) <= 2, f"stderr: {err[:500]}")
    need(lost(rig.snapshots()[0])["direct"] == 11, f"{lost(rig.snapshots()[0])}")


@test("/nonexistent/file", "/", "/proc/self/nothing")
def an_output_that_cannot_be_written(rig, path):
    out, err = rig.run(f"leak=exit,leak_output={path}", "exercise", "leaks", status=7)
    need(out == "output\n", out)
    need(len(own_lines(err)) == 1 and path in err, f"stderr: {err}")


@test()
def an_output_that_is_full(rig):
    out, err = rig.run("leak=exit,leak_output=/dev/full", "exercise", "leaks", status=7)
    need(out == "output\n", out)
    need(len(own_lines(err)) == 1 and "/dev/full" in err, f"stderr: {err}")


@test("stderr", "leak_output")
def a_report_that_nobody_reads_or_has_room_for(rig, where):
    script = {
        "stderr": '(STELE_CONF=leak=exit LD_PRELOAD="$2" "$1" leaks; echo $? >&3) 2>&1 >&- | :',
        "leak_output": 'ulimit -f 0; STELE_CONF=leak=exit,leak_output=/proc/self/fd/4 '
                       'LD_PRELOAD="$2" "$1" leaks >&- 4>report; echo $? >&3',
    }[where]
    out, _ = rig.command(0, "bash", "-c", "exec 3>&1; " + script, "bash",
                         rig.programs / "exercise", rig.lib)
    need(out == "7\n", f"status {out}")


@test()
def leaks_give_the_status_that_is_asked_for(rig):
    rig.run("leak=exit,leak_exit_code=23", "exercise", "leaks", 0, status=23)
    rig.run("leak=exit,leak_exit_code=23", "exercise", "leaks", 7, status=7)
    rig.run("leak=exit,leak_exit_code=23", "exercise", "clean", status=0)
    rig.run("leak=exit", "exercise", "leaks", 0, status=0)


@test()
def nothing_is_said_of_a_clean_program(rig):
    out, err = rig.run("leak=exit", "exercise", "clean")
    need(out == "output\n", out)
    need(not [line for line in err.split("\n") if "lost" in line and re.search("[1-9]", line)], err)


# --- the heap profile ---

@test("64K", "512K")
def a_profile_estimates_without_bias(rig, rate):
    """By four standard deviations of what so many samples can know; a bias is there each time, chance is not."""
    tool = reports.Tool(rig.programs / "exercise")
    if tool.missing():
        raise Skipped(tool.missing())
    try:
        profile_estimates(rig, rate, tool)
    except Failed as e:
        print(f"# once more: {e}")
        profile_estimates(rig, rate, tool)


def profile_estimates(rig, rate, tool):
    rig.command(0, tool.tool, "run", f"--profile={rate}", "-o", "profile.json", "--",
                rig.programs / "exercise", "amounts")
    found = {}
    for row in json.loads((rig.work / "profile.json").read_text())["profile"]:
        name = next((f for f in row["stack"] if f in ("small_and_live", "big_and_live", "gone")),
                    None)
        sums = found.setdefault(name, [0, 0, 0, 0])
        for i, figure in enumerate(("inuse_blocks", "inuse_bytes", "total_blocks", "total_bytes")):
            sums[i] += row[figure]
    step = int(rate[:-1]) << 10
    mib = 1 << 20
    for name, size, inuse, total in (("small_and_live", 64, 40 * mib, 40 * mib),
                                     ("big_and_live", 16000, 40 * mib, 40 * mib),
                                     ("gone", 250, 0, 400 * mib)):
        samples = total / size * (1 - math.exp(-size / step))
        error = 4 / math.sqrt(samples)
        got = found.get(name, [0, 0, 0, 0])
        print(f"# {name}: {got[1] / mib:.1f} MiB of {inuse / mib:.0f} in use, "
              f"{got[3] / mib:.1f} of {total / mib:.0f} in all, within {error:.0%}")
        need(abs(got[3] - total) <= error * total, f"{name}: {got[3]} bytes in all of {total}")
        need(abs(got[2] * size - total) <= error * total, f"{name}: {got[2]} blocks in all")
        need(abs(got[1] - inuse) <= error * inuse + step * (inuse == 0),
             f"{name}: {got[1]} bytes in use of {inuse}")


# --- surroundings ---

@test(*UNWINDERS)
def a_program_keeps_its_environment(rig, unwind):
    """A library that is loaded too early has libc begin anew, without one."""
    env = rig.environment(f"leak=exit,leak_output=%p.snap,unwind={unwind}")
    got = subprocess.run(["/usr/bin/env"], cwd=rig.work, env=env, stdin=subprocess.DEVNULL,
                         capture_output=True, text=True, timeout=TIMEOUT, check=False)
    need(got.returncode == 0, f"status {got.returncode}")
    need(sorted(got.stdout.strip().split("\n")) == sorted(f"{k}={v}" for k, v in env.items()),
         got.stdout[:300])


@test()
def a_descriptor_that_is_somebody_elses_by_now(rig):
    rig.run("leak=exit", "exercise", "reused")
    need((rig.work / "data").read_text() == "data\n", (rig.work / "data").read_text()[:300])


@test()
def no_descriptor_is_left(rig):
    _, err = rig.run("leak=exit", "exercise", "no_files", status=6)
    need(len(own_lines(err)) <= 1, f"stderr: {err}")


@test()
def no_memory_is_left(rig):
    _, err = rig.run("leak=exit", "exercise", "no_memory", status=5)
    need(len(own_lines(err)) <= 1, f"stderr: {err[:1000]}")


@test()
def the_program_handles_every_signal(rig):
    rig.run("leak=exit,leak_output=%p.snap", "exercise", "all_handled")
    need(lost(rig.snapshots()[0])["direct"] == 10, f"{lost(rig.snapshots()[0])}")


@test("auto", "libunwind")
def exceptions_cost_what_they_did(rig, unwind):
    """Interleaved: nanoseconds of a throw without Stele, and in leak mode with two allocations."""
    ratios = []
    for _ in range(7):
        alone = float(rig.run(None, "throws")[0])
        tracked = float(rig.run(f"leak=on,unwind={unwind}", "throws")[0])
        ratios.append(tracked / alone)
    middle = statistics.median(ratios)
    print(f"# throws, unwind={unwind}: {middle:.2f} of libc's time")
    need(middle < 1.6, f"a throw takes {middle:.2f} times as long: {ratios}")


def main():
    lib = os.environ.get("STELE_LIB")
    if not lib or not os.path.exists(lib):
        print("Bail out! STELE_LIB must name libstele.so")
        return 1
    programs = reports.program_directory()
    chosen = [t for t in TESTS if not sys.argv[1:] or t[0].__name__ in sys.argv[1:]]
    print(f"1..{len(chosen)}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    for number, (function, variant) in enumerate(chosen, 1):
        name = function.__name__.replace("_", " ") + (f" ({variant})" if variant else "")
        work = Path(tempfile.mkdtemp(prefix="stele-robust-"))
        rig = Rig(work, os.path.realpath(lib), programs)
        rig.deadline = time.monotonic() + TIMEOUT
        begin = time.monotonic()
        why = skipped = None
        try:
            function(*([rig] if variant is None else [rig, variant]))
        except Skipped as e:
            skipped = str(e)
        except (Failed, OSError, subprocess.SubprocessError, ValueError, IndexError) as e:
            why = str(e) or repr(e)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        print(f"{'not ok' if why else 'ok'} {number} - {name}"
              + (f" # SKIP {skipped}" if skipped else ""))
        for line in (why or "").strip().split("\n"):
            if line:
                print(f"# {line[:300]}")
        print(f"# {time.monotonic() - begin:.1f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
