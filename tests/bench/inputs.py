# SPDX-License-Identifier: MIT
"""Inputs of the real programs, generated once: the same text every time."""

import random
import shutil
import subprocess

LUA = """
local words, lines = {}, {}
local seed = 42
local function rnd(n) seed = (seed * 1103515245 + 12345) % 2147483648; return seed // 65536 % n end
for i = 1, ROUNDS do
  local w = string.rep(string.char(97 + rnd(26)), 1 + rnd(20)) .. rnd(5000)
  words[w] = (words[w] or 0) + 1
  lines[rnd(5000) + 1] = { name = w, at = i, parts = { w:sub(1, 3), w:upper(), w .. "," .. w } }
  if i % 20011 == 0 then words = {} end
end
local sum, list = 0, {}
for w, n in pairs(words) do sum = sum + n * #w; list[#list + 1] = w end
table.sort(list)
print(sum, #list, #table.concat(list, " "))
"""

PERL = """
my ($seed, %count, @rows) = (42);
sub rnd { $seed = ($seed * 1103515245 + 12345) % 2147483648; return ($seed >> 16) % $_[0] }
for my $i (1 .. ROUNDS) {
    my $w = chr(97 + rnd(26)) x (1 + rnd(20)) . rnd(5000);
    $count{$w}++;
    $rows[rnd(5000)] = { name => $w, at => $i, parts => [ split //, $w ] };
    (my $t = "$w,$i;$w") =~ s/[aeiou]+/<$i>/g;
    push @{$rows[0]{list}}, $t;
    %count = () if $i % 20011 == 0;
    $rows[0] = {} if $i % 1000 == 0;
}
my $sum = 0;
$sum += $count{$_} * length for sort keys %count;
print "$sum ", length(join " ", sort keys %count), "\\n";
"""

PYTHON = """
import json, re
seed = 42
def rnd(n):
    global seed
    seed = (seed * 1103515245 + 12345) % 2147483648
    return (seed >> 16) % n
class Item:
    def __init__(self, name, at):
        self.name, self.at, self.parts = name, at, name.split("-")
items, index, total = [None] * 4000, {}, 0
for i in range(ROUNDS):
    name = f"{chr(97 + rnd(26)) * (1 + rnd(20))}-{rnd(5000)}-{i}"
    items[rnd(4000)] = Item(name, i)
    index.setdefault(name[:2], []).append(name)
    if i % 5000 == 4999:
        text = json.dumps(index)
        total += len(json.loads(text)) + len(re.findall(r"[a-m]+-\\d+", text))
        index = {}
print(total, sum(len(x.name) for x in items if x))
"""

CXX_HEADERS = """algorithm array bitset chrono complex deque filesystem forward_list fstream
functional future iomanip iostream iterator list locale map memory mutex numeric optional queue
random regex set sstream stack string thread tuple typeindex unordered_map unordered_set
valarray variant vector""".split()

CXX_BODY = """
template <int N> struct part@ {
	std::map<std::string, std::vector<int>> table;
	std::unordered_map<int, std::string> names;
	int add(const std::string &s) { table[s].push_back(N); names[N] = s; return (int)table.size(); }
};
int use@(std::istream &in)
{
	part@<1> a; part@<2> b; std::string s; std::set<std::string> seen; int n = 0;
	while (std::getline(in, s)) {
		n += s.find("@") ? a.add(s) : b.add(s);
		seen.insert(s);
	}
	std::vector<std::string> v(seen.begin(), seen.end());
	std::sort(v.begin(), v.end(), [](const auto &x, const auto &y) { return x.size() < y.size(); });
	return n + (int)v.size();
}
"""


def cc1plus():
    try:
        got = subprocess.run(["g++", "-print-prog-name=cc1plus"], capture_output=True, text=True,
                             check=False)
    except FileNotFoundError:
        return "cc1plus"
    return got.stdout.strip()


class Inputs:
    """Every method makes one input unless it is there, and returns None: nothing is missing."""

    def __init__(self, directory, scale):
        self.dir, self.scale = directory, scale

    def count(self, base):
        return max(1, int(base * self.scale))

    def write(self, name, make):
        path = self.dir / name
        if not path.exists():
            self.dir.mkdir(parents=True, exist_ok=True)
            part = self.dir / (name + ".part")
            part.write_text(make())
            part.rename(path)

    def script(self, name, text, rounds):
        self.write(name, lambda: text.replace("ROUNDS", str(self.count(rounds))))

    def lua(self, _row):
        self.script("work.lua", LUA, 150000)

    def perl(self, _row):
        self.script("work.pl", PERL, 110000)

    def python(self, _row):
        self.script("work.py", PYTHON, 170000)

    def sqlite(self, _row):
        self.write("work.sql", self.sql_text)

    def sql_text(self):
        rng = random.Random(1)
        lines = ["CREATE TABLE item(id INTEGER PRIMARY KEY, k INT, name TEXT, note TEXT);",
                 "CREATE TABLE tag(item INT, word TEXT);", "CREATE INDEX item_k ON item(k);",
                 "CREATE INDEX item_name ON item(name);", "BEGIN;"]
        for i in range(self.count(22000)):
            lines.append(f"INSERT INTO item VALUES({i},{rng.randrange(1000)},"
                         f"'name-{rng.randrange(20000)}','{'x' * rng.randrange(5, 120)}');")
            lines.append(f"INSERT INTO tag VALUES({rng.randrange(i + 1)},'w{rng.randrange(500)}');")
        lines.append("COMMIT;")
        for i in range(self.count(40)):
            lines += [
                "SELECT word, count(*), group_concat(name) FROM tag JOIN item ON item.id = tag.item"
                f" WHERE k < {rng.randrange(50, 200)} GROUP BY word ORDER BY 2 DESC, 1 LIMIT 5;",
                f"UPDATE item SET note = note || 'y{i}', name = name || '-{i}'"
                f" WHERE k % 50 = {i % 50};",
                f"DELETE FROM tag WHERE word = 'w{rng.randrange(500)}';",
            ]
        lines.append("SELECT count(*), sum(length(note)) FROM item;")
        return "\n".join(lines) + "\n"

    def cxx(self, _row):
        if (self.dir / "work.ii").exists():
            return
        source = "".join(f"#include <{h}>\n" for h in CXX_HEADERS)
        source += "".join(CXX_BODY.replace("@", str(i)) for i in range(self.count(2)))
        self.write("work.cc", lambda: source)
        subprocess.run(["g++", "-std=gnu++17", "-E", self.dir / "work.cc", "-o",
                        self.dir / "work.part"], check=True, capture_output=True)
        (self.dir / "work.part").rename(self.dir / "work.ii")

    def postscript(self, _row):
        self.write("work.ps", self.ps_text)

    @staticmethod
    def word(rng):
        return "".join(chr(97 + rng.randrange(26)) for _ in range(rng.randrange(2, 10)))

    def ps_text(self):
        rng = random.Random(2)
        fonts = ["Times-Roman", "Helvetica", "Courier", "Times-Italic"]
        text = ["%!PS"]
        for _ in range(self.count(16)):
            text.append(f"/{rng.choice(fonts)} findfont {rng.randrange(6, 13)} scalefont setfont")
            for line in range(60):
                words = " ".join(self.word(rng) for _ in range(12))
                text.append(f"40 {760 - 12 * line} moveto ({words}) show")
            for _ in range(400):
                x, y = rng.randrange(600), rng.randrange(800)
                text.append(f"{rng.random():.2f} {rng.random():.2f} {rng.random():.2f} setrgbcolor "
                            f"newpath {x} {y} moveto "
                            + " ".join(str(rng.randrange(800)) for _ in range(6)) + " curveto "
                            f"{x} {y} {rng.randrange(2, 60)} 0 360 arc "
                            + rng.choice(["fill", "stroke", "gsave clip newpath grestore"]))
            text.append("showpage")
        return "\n".join(text) + "\n"

    def smt(self, _row):
        self.write("work.smt2", self.smt_text)

    def smt_text(self):
        """Job-shop scheduling with integers; each deadline is one query."""
        rng = random.Random(3)
        jobs, machines = 8, 5
        out = ["(set-logic QF_IDL)"]
        start = [[f"s{j}_{m}" for m in range(machines)] for j in range(jobs)]
        length = [[rng.randrange(1, 20) for _ in range(machines)] for _ in range(jobs)]
        order = [rng.sample(range(machines), machines) for _ in range(jobs)]
        out += [f"(declare-fun {s} () Int)" for job in start for s in job]
        out.append("(declare-fun end () Int)")
        for j in range(jobs):
            a = order[j]
            out.append(f"(assert (>= {start[j][a[0]]} 0))")
            for m, n in zip(a, a[1:]):
                out.append(f"(assert (>= (- {start[j][n]} {start[j][m]}) {length[j][m]}))")
            out.append(f"(assert (>= (- end {start[j][a[-1]]}) {length[j][a[-1]]}))")
        for m in range(machines):
            for j in range(jobs):
                for k in range(j):
                    out.append(f"(assert (or (>= (- {start[j][m]} {start[k][m]}) {length[k][m]})"
                               f" (>= (- {start[k][m]} {start[j][m]}) {length[j][m]})))")
        floor = max(sum(length[j][m] for j in range(jobs)) for m in range(machines))
        for i in range(self.count(24)):
            out += ["(push)", f"(assert (<= end {floor + 24 - i}))", "(check-sat)", "(pop)"]
        return "\n".join(out) + "\n"

    def git(self, _row):
        repo = self.dir / "repo.git"
        if repo.exists():
            return
        part = self.dir / "repo.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True, exist_ok=True)
        subprocess.run(["git", "init", "-q", "--bare", part], check=True, capture_output=True)
        subprocess.run(["git", "-C", part, "fast-import", "--quiet"], check=True,
                       input=self.git_stream().encode(), capture_output=True)
        # Once before the first measured run, so that all of them find the same repository.
        subprocess.run(["git", "-C", part, "gc", "--quiet", "--aggressive", "--prune=now"],
                       check=True, capture_output=True)
        part.rename(repo)

    def git_stream(self):
        rng = random.Random(4)
        files = [[f"line {i} of file {f}" for i in range(300)] for f in range(120)]
        out = []
        for n in range(self.count(160)):
            out.append(f"commit refs/heads/main\nmark :{n + 1}\ncommitter A <a@example.org> "
                       f"{1600000000 + n * 60} +0000\ndata 4\nwork\n")
            if n:
                out.append(f"from :{n}\n")
            for f in rng.sample(range(120), 6):
                for _ in range(8):
                    files[f][rng.randrange(300)] = f"changed in {n} to {rng.random()}"
                text = "\n".join(files[f]) + "\n"
                out.append(f"M 100644 inline src/dir{f % 10}/file{f}.c\ndata {len(text)}\n{text}\n")
        return "".join(out)
