# SPDX-License-Identifier: MIT
"""The rows of the tables: workloads of our own, trace replays and real programs."""

import re
import shutil
import subprocess
import time

import inputs


class Row:
    """What is run, and how its figures are read.

    own_report   the program writes the figures itself (bench.h), measure's are not used
    check        what it prints must be the same under every allocator
    time_is_cpu  the time figure is CPU seconds: the clock would measure the program's client
    drive        called while the program runs; returns None or what went wrong
    maker        makes the inputs; returns None or why the row cannot run
    """

    def __init__(self, name, group, argv, **more):
        self.name, self.group, self.argv = name, group, [str(a) for a in argv]
        self.env = more.pop("env", {})
        self.times = more.pop("times", 1)
        self.own_report = more.pop("own_report", False)
        self.check = more.pop("check", False)
        self.time_is_cpu = more.pop("time_is_cpu", False)
        self.latency = more.pop("latency", False)
        self.drive = more.pop("drive", None)
        self.maker = more.pop("maker", None)
        self.brings_malloc = False
        assert not more, more

    def prepare(self):
        path = shutil.which(self.argv[0])
        if not path:
            return f"no {self.argv[0]}"
        try:
            why = self.maker(self) if self.maker else None
        except (OSError, subprocess.SubprocessError) as e:
            why = f"its input cannot be made: {e}"
        if not why and self.group == "program":
            self.brings_malloc = links_allocator(path)
        return why


def links_allocator(path):
    got = subprocess.run(["ldd", path], capture_output=True, text=True, check=False)
    return bool(re.search("jemalloc|tcmalloc|mimalloc", got.stdout))


WORKLOADS = """
pairs-16           pairs -z 16
pairs-64           pairs -z 64
pairs-256          pairs -z 256
pairs-1024         pairs -z 1024
burst-1k-fifo      bursts -n 1000 -o fifo
burst-1k-lifo      bursts -n 1000 -o lifo
burst-1k-random    bursts -n 1000 -o random
burst-10k-fifo     bursts -n 10000 -o fifo
burst-10k-lifo     bursts -n 10000 -o lifo
burst-10k-random   bursts -n 10000 -o random
liveset-512k       liveset -m 512
liveset-16m        liveset -m 16384
liveset-256m       liveset -m 262144
grow-500m          grow
realloc-append     reallocbuf -m append
realloc-vector     reallocbuf -m vector
realloc-huge       reallocbuf -m huge
strings            strings
trees              trees
large              large
aligned            aligned
callocsparse       callocsparse
cxx-map            containers -m map
cxx-string         containers -m string
cxx-vector         containers -m vector
cxx-unordered      containers -m unordered
cxx-list           containers -m list
server-2           server -t 2
server-8           server -t 8
prodcons-2         prodcons -t 2
prodcons-8         prodcons -t 8
rptest-2           rptest -t 2
rptest-8           rptest -t 8
mixed-2            mixed -t 2
mixed-8            mixed -t 8
mixed-64           mixed -t 64
cachescratch       falseshare -m scratch
cachethrash        falseshare -m thrash
shortthreads       shortthreads
tail               tail
"""


def workloads(bench):
    for line in WORKLOADS.strip().split("\n"):
        name, prog, *opts = line.split()
        yield Row(name, "workload", [bench.bin / prog, *opts, "-s", bench.scale],
                  own_report=True, latency=name == "tail")


def programs(bench):
    """Inputs are made in a directory of the scale, so that scales do not share them."""
    made = inputs.Inputs(bench.work / f"scale-{bench.scale:g}", bench.scale)
    d = made.dir
    yield Row("sqlite3", "program", ["sqlite3", "-batch", ":memory:", f".read {d}/work.sql"],
              check=True, maker=made.sqlite)
    yield Row("python3", "program", ["/usr/bin/python3", "-S", d / "work.py"], check=True,
              env={"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "1"}, maker=made.python)
    yield Row("cc1plus", "program",
              [inputs.cc1plus(), "-quiet", "-fpreprocessed", "-std=gnu++17", "-O0", d / "work.ii",
               "-o", "-"], check=True, maker=made.cxx)
    yield Row("lua5.4", "program", ["lua5.4", d / "work.lua"], check=True, maker=made.lua)
    yield Row("perl", "program", ["perl", d / "work.pl"], check=True,
              env={"PERL_HASH_SEED": "1"}, maker=made.perl)
    yield Row("gs", "program",
              ["gs", "-q", "-dNOPAUSE", "-dBATCH", "-dSAFER", "-sDEVICE=png16m", "-r100",
               "-sOutputFile=/dev/null", d / "work.ps"], check=True, maker=made.postscript)
    yield Row("z3", "program", ["z3", d / "work.smt2"], check=True, maker=made.smt)
    yield Row("git-gc", "program",
              ["git", "-C", d / "repo.git", "gc", "--quiet", "--aggressive", "--prune=now"],
              maker=made.git)
    yield Row("redis", "program", redis_argv(bench), time_is_cpu=True, drive=drive_redis,
              maker=need_redis_tools)
    yield Row("startup", "program", ["/bin/true"], times=max(20, int(500 * bench.scale)))


# --- redis: the server under the allocator, its clients under the C library ---

REDIS_LOAD = [("set,get,incr,lpush,rpop,sadd,hset,zadd", 64, 50000),
              ("set,lpush,lrange_100", 700, 20000)]


def redis_socket(bench):
    return str(bench.work / "redis.sock")


def redis_argv(bench):
    return ["redis-server", "--port", "0", "--unixsocket", redis_socket(bench), "--save", "",
            "--appendonly", "no", "--daemonize", "no", "--activedefrag", "no"]


def need_redis_tools(_row):
    missing = [p for p in ("redis-benchmark", "redis-cli") if not shutil.which(p)]
    return f"no {missing[0]}" if missing else None


def redis_call(bench, *cmd):
    return subprocess.run(["redis-cli", "-s", redis_socket(bench), *cmd], capture_output=True,
                          text=True, timeout=30, check=False)


def drive_redis(proc, bench):
    for _ in range(100):
        if proc.poll() is not None:
            return "the server did not start"
        if redis_call(bench, "ping").stdout.strip() == "PONG":
            break
        time.sleep(0.1)
    else:
        proc.terminate()
        return "the server does not answer"
    trouble = None
    for tests, size, requests in REDIS_LOAD:
        count = max(2000, int(requests * bench.scale))
        try:
            got = subprocess.run(
                ["redis-benchmark", "-s", redis_socket(bench), "-q", "-c", "20", "-P", "16",
                 "-n", str(count), "-r", "50000", "-d", str(size), "-t", tests],
                capture_output=True, timeout=100, check=False)
            if got.returncode:
                trouble = f"redis-benchmark: status {got.returncode}"
        except subprocess.TimeoutExpired:
            trouble = "redis-benchmark did not end"
    redis_call(bench, "shutdown", "nosave")
    return trouble


# --- replays: the traces are recorded here, from the program rows ---

def replays(bench, by_name):
    for name in ("sqlite3", "python3", "cc1plus", "redis"):
        trace = bench.work / "traces" / f"{name}-{bench.scale:g}.trace"
        yield Row(f"replay-{name}", "replay", [bench.bin / "replay", "-s", bench.scale, trace],
                  own_report=True,
                  maker=lambda row, p=by_name[name], t=trace: record(bench, p, t))


def find_tracer(bench):
    for path in (bench.bin / ".libs" / "trace_record.so", bench.bin / "trace_record.so"):
        if path.exists():
            return path
    return None


def record(bench, program, trace):
    if trace.exists():
        return None
    tracer = find_tracer(bench)
    if not tracer:
        return "no trace_record.so"
    why = program.prepare()
    if why:
        return why
    raw = bench.work / "tmp"
    shutil.rmtree(raw, ignore_errors=True)
    raw.mkdir(parents=True)
    trace.parent.mkdir(exist_ok=True)
    proc = subprocess.Popen(
        [str(bench.bin / "measure"), "-t", "300", "-l", str(tracer), "-r", str(bench.report),
         *program.argv], cwd=bench.work, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "HOME": str(bench.work),
             "TRACE_DIR": str(raw), **program.env})
    why = program.drive(proc, bench) if program.drive else None
    if proc.wait() or why:
        return f"{program.name} does not run under the tracer ({why or proc.returncode})"
    files = sorted(raw.glob("*.trace"), key=lambda f: f.stat().st_size)
    if not files:
        return "the tracer wrote nothing"
    files[-1].rename(trace)
    return None


def all_rows(bench):
    real = list(programs(bench))
    by_name = {r.name: r for r in real}
    return list(workloads(bench)) + list(replays(bench, by_name)) + real
