#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The options that the commands' --help names are those of the manual and of the completions."""
import os
import re
import shutil
import subprocess

from common import BUILD, SOURCE, done, ok, same, skip, stele

COMMANDS = ("run", "leaks", "report", "diff")
manual = open(os.path.join(SOURCE, "man/stele.1")).read()
zsh = open(os.path.join(SOURCE, "tools/completion/_stele")).read()
helps = {c: set(re.findall(r"--[a-z][-a-z]+", stele(c, "--help").stdout)) for c in COMMANDS}
ours = set().union(*helps.values()) - {"--usage"}

in_manual = {"--" + name.replace("\\-", "-") for name in re.findall(r"Fl \\&-([a-z][-a-z]+)", manual)}
same(sorted(ours ^ in_manual), [], "the manual has every option, and no other")
in_zsh = set(re.findall(r"--[a-z][-a-z]+", zsh))
same(sorted((ours - {"--version"}) ^ in_zsh), [], "so has the completion for zsh")
for command in COMMANDS:
    ok(f".Ss stele {command}\n" in manual, f"the manual tells about stele {command}")

script = os.path.join(SOURCE, "tools/completion/stele.bash")


def complete(*words):
    """What bash offers for the last of these words."""
    run = f"""PATH={BUILD}/tools:$PATH; . {script}; compopt() {{ :; }}
        COMP_WORDS=({' '.join(f"'{w}'" for w in words)}); COMP_CWORD={len(words) - 1}; _stele
        printf '%s\\n' "${{COMPREPLY[@]}}\""""
    out = subprocess.run(["bash", "-c", run], capture_output=True, text=True, check=False, cwd=SOURCE)
    return [line.strip() for line in (out.stdout + out.stderr).splitlines()]


if shutil.which("bash"):
    same(complete("stele", "r"), ["run", "report"], "bash: commands")
    same(complete("stele", "report", "--s"), ["--show=", "--sort=", "--suppress="], "bash: options")
    same(complete("stele", "run", "--pro"), ["--profile"], "bash: an option with a value that may be left out")
    same(complete("stele", "report", "--sort", "=", "b"), ["bytes", "blocks"], "bash: values")
    same(complete("stele", "run", "--unwind", "="), ["auto", "fp", "libunwind", "none"], "bash: all values")
    ok("README.md" in complete("stele", "report", "READ"), "bash: files")
    ok("true" in complete("stele", "run", "--leaks", "tru"), "bash: programs")
    same([p for p in complete("stele", "leaks", str(os.getpid())) if p == str(os.getpid())], [str(os.getpid())],
         "bash: processes")
else:
    skip("bash", "bash is not installed")
if shutil.which("zsh"):
    same(subprocess.run(["zsh", "-n", os.path.join(SOURCE, "tools/completion/_stele")], check=False).returncode, 0,
         "zsh: it parses")
else:
    skip("zsh: it parses", "zsh is not installed")
done()
