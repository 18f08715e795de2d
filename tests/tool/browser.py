#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The page of --html in headless Chromium, driven through WebDriver: drawn without an error and without
a request, click zooms, search finds, the table sorts. Arguments: directories for screenshots."""
import base64
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

from common import (build_subject, change, directory, done, ok, plan_skip, same, stele, take_snapshot)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
if not CHROMIUM or not DRIVER:
    plan_skip("chromium or chromedriver is not installed")

d = directory()


class Browser:
    """As much of WebDriver as is needed here."""

    def __init__(self):
        log = os.path.join(d, "driver.log")
        self.driver = subprocess.Popen([DRIVER, "--port=0", "--log-path=" + log], stdout=subprocess.PIPE, text=True)
        port = None
        for line in self.driver.stdout:
            found = re.search(r"started successfully on port (\d+)", line)
            if found:
                port = found.group(1)
                break
        self.base = f"http://127.0.0.1:{port}/session"
        self.session = ""
        options = {"binary": CHROMIUM, "args": ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                                                "--window-size=1200,1000", "--user-data-dir=" + os.path.join(d, "profile")]}
        started = self.call("POST", "", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}})
        self.session = "/" + started["sessionId"]

    def call(self, method, path, body=None):
        request = urllib.request.Request(self.base + self.session + path, method=method,
                                         data=None if body is None else json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, path):
        self.call("POST", "/url", {"url": "file://" + path})

    def run(self, script):
        return self.call("POST", "/execute/sync", {"script": script, "args": []})

    def element(self, css):
        found = self.call("POST", "/element", {"using": "css selector", "value": css})
        return next(iter(found.values()))

    def click(self, css):
        self.call("POST", f"/element/{self.element(css)}/click", {})

    def type(self, css, text):
        self.call("POST", f"/element/{self.element(css)}/value", {"text": text})

    def key(self, value):
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "k", "actions": [
            {"type": "keyDown", "value": value}, {"type": "keyUp", "value": value}]}]})

    def dark(self, on):
        self.call("POST", "/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": {
            "features": [{"name": "prefers-color-scheme", "value": "dark" if on else "light"}]}})

    def log(self):
        return [entry["message"] for entry in self.call("POST", "/se/log", {"type": "browser"})]

    def screenshot(self, path):
        with open(path, "wb") as out:
            out.write(base64.b64decode(self.call("GET", "/screenshot")))

    def close(self):
        try:
            self.call("DELETE", "")
        except (urllib.error.URLError, OSError):
            pass
        self.driver.terminate()
        self.driver.wait()


FRAMES = """return [...document.querySelectorAll("#flame .frame")].map(f => [f.dataset.name, f.style.left, f.style.width,
    f.classList.contains("match")])"""
TABLE = """return [...document.querySelectorAll("#table tbody tr")].map(r => [...r.cells].map(c => c.innerText))"""
# Contrast of the text of an element with what is behind it, as WCAG counts it.
CONTRAST = """
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const rgba = (c) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1); return canvas.getImageData(0, 0, 1, 1).data; };
const light = (c) => { const [r, g, b] = [...c].slice(0, 3).map(v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
let worst = [99, ""];
for (const e of document.querySelectorAll("h1, h2, p, .card b, .card span, button, input, td, th, label, .legend, .callers")) {
    if (!e.offsetParent || !e.innerText || e.closest(".above"))
        continue;
    let behind = e;
    while (behind.parentElement && rgba(getComputedStyle(behind).backgroundColor)[3] < 255)
        behind = behind.parentElement;
    const a = light(rgba(getComputedStyle(e).color)), b = light(rgba(getComputedStyle(behind).backgroundColor));
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < worst[0])
        worst = [contrast, e.outerHTML.slice(0, 120)];
}
return worst"""

build_subject(d)
snap = take_snapshot(d, "a.snap")
evil = change(snap, os.path.join(d, "evil.snap"), lambda old: [
    re.sub("^process 4242 1 .*/subject", "process 4242 1 /x/%3C!--%3Cscript%3Ethrow%201;%3C/script%3E%26%22", line)
    for line in old])
page, evil_page = os.path.join(d, "a.html"), os.path.join(d, "evil.html")
for source, target in ((snap, page), (evil, evil_page)):
    result = stele("report", source, "-o", target)
    if not ok(result.returncode == 0, "the page is written", result.stderr):
        done()
        sys.exit(1)
text = open(page).read()
ok(not re.search(r"""(src|href)="(?!data:)|url\(|@import|fetch\(|XMLHttp|https?://(?!www\.w3\.org)""", text),
   "the page names no other file and no address")

try:
    browser = Browser()
except (OSError, urllib.error.URLError, KeyError) as e:
    plan_skip(f"chromium does not start here: {e}")

try:
    browser.open(page)
    frames = {f[0]: f for f in browser.run(FRAMES)}
    same(sorted(frames), ["all", "cxx_caller", "from_plugin", "inner_inline", "leak_inlined", "leak_plain", "main",
                          "outer_inline", "plugin_call", "plugin_first", "plugin_other",
                          "shop::sell(unsigned int (*)())", "shop::shelf<long>::put(unsigned int (*)())",
                          "shop::stock(unsigned int (*)())"], "a frame for each function")
    ok(frames["main"][2] == "100%" and abs(float(frames["plugin_first"][2][:-1]) - 100 * 5000 / 5560) < 0.01,
       "a frame is as wide as its share", frames)
    count = len(browser.run(FRAMES))
    same(browser.run("return performance.getEntriesByType('resource').map(r => r.name).filter(n => !n.startsWith('data:'))"),
         [], "nothing was requested")

    browser.click("#flame .frame[data-name=leak_inlined]")
    frames = {f[0]: f for f in browser.run(FRAMES)}
    same([frames["leak_inlined"][1:3], frames["outer_inline"][1:3], "leak_plain" in frames],
         [["0%", "100%"], ["0%", "100%"], False], "a click zooms: the frame fills the width, others go")
    same(browser.run("return document.getElementById('focus').textContent"), "leak_inlined", "the page says where it is")
    browser.key("\ue00c")
    same(browser.run("return document.querySelectorAll('.frame.above').length"), 1, "Escape goes up one frame")
    browser.click("#reset")
    same(len(browser.run(FRAMES)), count, "and the button all the way")

    browser.type("#search", "PLUGIN_")
    frames = browser.run(FRAMES)
    same(sorted(f[0] for f in frames if f[3]), ["plugin_call", "plugin_call", "plugin_first", "plugin_other"],
         "search marks what it finds, by function or file")
    same(browser.run("return document.getElementById('found').textContent"), "90.1 % found", "and says how much that is")
    same([row[1] for row in browser.run(TABLE)], ["5,000", "10"], "and the table has only these")
    browser.run("const s = document.getElementById('search'); s.value = ''; s.dispatchEvent(new Event('input'))")

    rows = browser.run(TABLE)
    same([row[1] for row in rows], ["5,000", "300", "200", "50", "10"], "the table begins sorted by bytes")
    browser.click("[data-sort=bytes]")
    same([row[1] for row in browser.run(TABLE)], ["10", "50", "200", "300", "5,000"], "a click on the column turns it round")
    browser.click("[data-sort=blocks]")
    same([row[2] for row in browser.run(TABLE)][:2], ["3", "2"], "another column sorts by that")
    browser.click("[data-sort=age]")
    same([row[3] for row in browser.run(TABLE)][0], "4.0 s", "by age")
    browser.click("[data-sort=kind]")
    same([row[0] for row in browser.run(TABLE)][::4], ["directly lost", "possibly lost"], "by kind")
    browser.click("#table tbody tr td.kind")
    ok(browser.run("return document.querySelectorAll('ol.frames li').length") > 0 and
       "subject_plugin.c:12" in browser.run("return document.querySelector('ol.frames').innerText"),
       "a click on a row shows its stack with lines")

    browser.click("#kinds [data-choice=reachable]")
    held = [row for row in browser.run(TABLE) if row[0] == "still reachable"]
    ok(any("global held_here+0x8 in subject" in row for row in held), "reachable blocks come with their roots", held)
    browser.click("#metrics [data-choice=blocks]")
    frames = {f[0]: f for f in browser.run(FRAMES)}
    ok(abs(float(frames["leak_plain"][2][:-1]) - 100 * 10 / 17) < 0.01, "the measure can be blocks", frames["leak_plain"])
    same(browser.run("return [...document.querySelectorAll('#history path')].map(p => p.getAttribute('d').split('L').length)"),
         [3, 3], "the chart has the points of the history")

    for dark in (False, True):
        browser.dark(dark)
        worst = browser.run(CONTRAST)
        ok(worst[0] >= 4.5, f"{'dark' if dark else 'light'}: every text has a contrast of 4.5", worst)
        for where in sys.argv[1:]:
            browser.screenshot(os.path.join(where, "dark.png" if dark else "light.png"))
    same(browser.log(), [], "the console has no error")

    browser.open(evil_page)
    same(browser.run("return document.querySelector('h1').textContent"),
         'Leaks of script>&", pid 4242', "a hostile name of a program is text")
    same(browser.log(), [], "and runs nothing")

    result = stele("report", snap, evil, "--html", "-o", page)
    browser.open(page)
    browser.run("const p = document.getElementById('process'); p.value = '1'; p.dispatchEvent(new Event('change'))")
    same(sum(row[1] == "5,000" for row in browser.run(TABLE)), 1, "two processes: one can be chosen")

    lines = [f"root {i + 10} mapping /m{i}" for i in range(5000)] + [
        f"leak direct {i % 5 + 1} 1 {i + 1} 1 1 7f00 {i + 10} -" for i in range(5000)]
    large = change(snap, os.path.join(d, "large.snap"), lambda old: old + lines)
    stele("report", large, "-o", page)
    start = time.monotonic()
    browser.open(page)
    same(len(browser.run(TABLE)), 200, "a large table is drawn in parts")
    browser.click("#more")
    same(len(browser.run(TABLE)), 1200, "and more on demand")
    print(f"# 5,000 rows: {time.monotonic() - start:.1f} s")

    diff = change(snap, os.path.join(d, "b.snap"), lambda old: [
        re.sub(r"^leak direct (\d+) 2 200 ", r"leak direct \1 5 900 ", line)
        for line in old if not re.match("leak direct .* 5000 ", line)])
    stele("diff", snap, diff, "--show=lost", "-o", page)
    browser.open(page)
    same([row[:1] + row[3:4] for row in browser.run(TABLE)], [["+700", "grown"], ["-5,000", "gone"]], "a page of a difference")
    same([f[0] for f in browser.run(FRAMES)], ["all", "main", "leak_plain"], "its flame graph is of what grew")
    profile = change(snap, os.path.join(d, "profile.snap"), lambda old: [
        line.replace("mode leak", "mode profile 4096") for line in old if not line.startswith(("leak", "root"))] +
        ["alloc 1 1 1000 5 9000", "alloc 2 0 0 7 7000"])
    stele("report", profile, "-o", page)
    browser.open(page)
    browser.click("#metrics [data-choice=total_bytes]")
    frames = {f[0]: f for f in browser.run(FRAMES)}
    ok(frames["leak_plain"][2] == "56.25%", "a profile by what was ever allocated", frames)
    same(browser.log(), [], "the console has no error")
finally:
    browser.close()
done()
