#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Python with its own small-object allocator, then with every object malloced:
# threads, forks, subprocesses, and malloc called through ctypes.
# needs: /usr/bin/python3
# timeout: 90

cat >work.py <<'END'
import collections, ctypes, hashlib, io, json, multiprocessing, os, pickle, random
import re, subprocess, sys, threading, zlib

def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]

def containers():
    rng = random.Random(4711)
    table = {}
    for i in range(120000):
        table.setdefault(rng.randrange(40000), []).append(str(i))
    lists = sorted(table.values(), key=lambda v: (len(v), v))
    print("dict", len(table), len(lists[-1]), digest(json.dumps(lists)))
    queue = collections.deque(maxlen=5000)
    for i in range(60000):
        queue.append("x" * rng.randrange(600))
    print("deque", sum(map(len, queue)))
    grown = bytearray()
    for i in range(60000):
        grown += b"%d," % i
        if len(grown) > 200000:
            del grown[:150000]
    print("bytearray", len(grown), zlib.crc32(bytes(grown)))
    tree = {"leaf": list(range(50))}
    for depth in range(200):
        tree = {"depth": depth, "text": "t" * depth, "below": tree}
    print("pickle", pickle.loads(pickle.dumps(tree)) == tree)
    print("json", json.loads(json.dumps(tree)) == tree)

def texts():
    text = " ".join("word%d=%d;" % (i % 997, i * i % 1009) for i in range(30000))
    found = re.findall(r"word(\d+)=(\d+);", text)
    print("re", len(found), digest(re.sub(r"(\w+)=(\d+)", r"\2:\1", text)))
    packed = zlib.compress(text.encode(), 9)
    print("zlib", zlib.decompress(packed).decode() == text)
    lines = io.StringIO(text.replace(" ", "\n")).readlines()
    print("io", len(lines), digest("".join(reversed(lines))))

def threads():
    results, lock = {}, threading.Lock()

    def job(number):
        rng = random.Random(number)
        kept = {}
        for i in range(6000):
            kept[rng.randrange(800)] = bytes(rng.randrange(3000))
        blob = zlib.compress(b"".join(kept[k] for k in sorted(kept)), 1)
        with lock:
            results[number] = (len(kept), len(zlib.decompress(blob)))

    workers = [threading.Thread(target=job, args=(n,)) for n in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print("threads", sorted(results.items()))

def c_malloc():
    libc = ctypes.CDLL(None, use_errno=True)
    for name in ("malloc", "calloc", "realloc"):
        getattr(libc, name).restype = ctypes.c_void_p
    libc.malloc_usable_size.restype = ctypes.c_size_t
    blocks = []
    for i in range(3000):
        size = i * 37 % 5000 + 1
        block = ctypes.c_void_p(libc.malloc(ctypes.c_size_t(size)))
        assert block.value and block.value % 16 == 0
        assert libc.malloc_usable_size(block) >= size
        ctypes.memset(block, i & 255, size)
        blocks.append((block, size, i & 255))
    for block, size, byte in blocks:
        block = ctypes.c_void_p(libc.realloc(block, ctypes.c_size_t(size * 2)))
        assert ctypes.string_at(block, size) == bytes([byte]) * size
        libc.free(block)
    zeroed = ctypes.c_void_p(libc.calloc(ctypes.c_size_t(1000), ctypes.c_size_t(1000)))
    print("ctypes", ctypes.string_at(zeroed, 1000000).count(0))
    libc.free(zeroed)
    print("too large", libc.malloc(ctypes.c_size_t(2**63)), ctypes.get_errno() != 0)

def square(n):
    return n, len("y" * (n * 10)), sum(len(str(i)) for i in range(n))

def processes():
    stop = threading.Event()

    def churn():
        while not stop.is_set():
            [bytes(i) for i in range(300)]

    # The children are forked while another thread is allocating.
    other = threading.Thread(target=churn)
    other.start()
    states = []
    for i in range(40):
        pid = os.fork()
        if pid == 0:
            kept = [bytearray(j) for j in range(1000)]
            os._exit(len(kept) * i % 7)
        states.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    stop.set()
    other.join()
    print("fork", states)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print("pool", sum(map(sum, pool.map(square, range(300)))))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print("spawn", pool.map(square, [5, 6]))
    for i in range(5):
        done = subprocess.run([sys.executable, "-c", "print(len('z' * %d * 100000))" % i],
                              stdout=subprocess.PIPE, check=True)
        print("subprocess", done.stdout.decode().strip())

def database():
    try:
        import sqlite3
    except ImportError:
        print("sqlite3 not there")
        return
    db = sqlite3.connect(":memory:")
    db.execute("create table t (id integer primary key, name text, n int)")
    db.executemany("insert into t (name, n) values (?, ?)",
                   (("name%d" % (i % 500), i * 7919 % 10007) for i in range(20000)))
    db.execute("create index tn on t (name, n)")
    print("sqlite3", db.execute("select count(*), max(s) from "
          "(select name, sum(n) s from t group by name)").fetchone())

if __name__ == "__main__":
    containers()
    texts()
    threads()
    c_malloc()
    processes()
    database()
END

export PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1
for allocator in pymalloc malloc; do
	echo "PYTHONMALLOC=$allocator"
	PYTHONMALLOC=$allocator /usr/bin/python3 work.py
done
# The wrapper of the debug allocator checks the bytes round every block.
PYTHONMALLOC=malloc_debug /usr/bin/python3 -X dev -c 'print(len(repr(list(range(100000)))))'
