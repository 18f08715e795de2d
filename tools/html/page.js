// SPDX-License-Identifier: MIT
// The page of `stele report --html` and `stele diff --html`: a flame graph, a chart of the size over
// time and a table, all drawn from the JSON in the page. Nothing is loaded from anywhere.
"use strict";
(() => {
const data = JSON.parse(document.getElementById("data").textContent);
const FRAME_HEIGHT = 20;
const NARROWEST = 0.0008;	// of the width; what is narrower is not drawn
const ROWS_AT_ONCE = 200;
const KIND_TITLES = {
	direct: "directly lost", indirect: "indirectly lost", possible: "possibly lost",
	reachable: "still reachable", young: "young",
};
const METRICS = {
	leaks: { bytes: "bytes", blocks: "blocks" },
	profile: { bytes: "bytes in use", blocks: "blocks in use", total_bytes: "bytes allocated", total_blocks: "blocks allocated" },
	diff: { bytes: "bytes grown", blocks: "blocks grown" },
};
const state = {
	process: -1,
	kinds: new Set(data.shown),
	metric: "bytes",
	query: "",
	zoom: [],	// path of frame numbers from the outermost
	sort: "bytes",
	descending: true,
	limit: ROWS_AT_ONCE,
	open: new Set(),
};

const $ = (id) => document.getElementById(id);
const hint = $("detail").textContent;

function element(tag, attributes, ...children) {
	const e = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes || {})) {
		if (name.startsWith("on"))
			e.addEventListener(name.slice(2), value);
		else if (value !== false && value !== null)
			e.setAttribute(name, value === true ? "" : value);
	}
	e.append(...children);
	return e;
}

function bytesText(n) {
	const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
	let value = Math.abs(n), unit = 0;
	while (value >= 1023.95 && unit < units.length - 1) {
		value /= 1024;
		unit++;
	}
	return (n < 0 ? "-" : "") + (unit ? value.toFixed(1) : value) + " " + units[unit];
}

function measureText(metric, n) {
	return metric.endsWith("bytes") ? bytesText(n) : n.toLocaleString("en") + (n === 1 ? " block" : " blocks");
}

function ageText(ms) {
	if (ms < 1000) return ms + " ms";
	if (ms < 60e3) return (ms / 1e3).toFixed(1) + " s";
	if (ms < 3600e3) return (ms / 60e3).toFixed(1) + " min";
	return (ms / 3600e3).toFixed(1) + " h";
}

function percent(part, whole) {
	return whole > 0 ? (100 * part / whole).toFixed(1) + " %" : "";
}

const frameName = (frame) => data.frames[frame][0];
function framePlace(frame) {
	const [, file, line, module] = data.frames[frame];
	return file ? file + ":" + line : module || "";
}

// ---- which rows ----

function shownRows() {
	return data.rows.filter((row) => (state.process < 0 || row.process === state.process) &&
		(!row.kind || data.form !== "leaks" || state.kinds.has(row.kind)));
}

function matcher() {
	const query = state.query.trim().toLowerCase();
	if (!query)
		return null;
	const hits = data.frames.map((frame) => [frame[0], frame[1], frame[3]].some((text) => text && text.toLowerCase().includes(query)));
	return (frame) => hits[frame];
}

// ---- flame graph ----

function buildTree(rows) {
	const root = { frame: -1, value: 0, children: new Map() };
	for (const row of rows) {
		const value = row[state.metric];
		if (!(value > 0))
			continue;
		let node = root;
		root.value += value;
		for (let i = row.stack.length - 1; i >= 0; i--) {
			const frame = row.stack[i];
			// lines differ within a function; the picture is of functions
			const key = data.sameName[frame];
			let child = node.children.get(key);
			if (!child)
				node.children.set(key, child = { frame, key, value: 0, children: new Map() });
			child.value += value;
			node = child;
		}
	}
	return root;
}

function hash(text) {
	let sum = 7;
	for (let i = 0; i < text.length; i++)
		sum = (sum * 31 + text.charCodeAt(i)) >>> 0;
	return sum;
}

// A module has its colour, and a function its shade of that.
function hueOf(frame) {
	const [name, , , module] = data.frames[frame];
	return (hash(module || name) % 360 + hash(name) % 37 - 18 + 360) % 360;
}

function drawFlame(rows, matches) {
	const box = $("flame"), root = buildTree(rows), fragment = document.createDocumentFragment();
	const narrow = 26 / Math.max(box.clientWidth, 1);	// too little for a name
	let focus = root, path = [root], matched = 0, depth = 0;

	for (const key of state.zoom) {
		const next = focus.children.get(key);
		if (!next)
			break;
		path.push(focus = next);
	}
	state.zoom = path.slice(1).map((node) => node.key);

	function put(node, left, width, level, above, trail) {
		const name = node.frame < 0 ? "all" : frameName(node.frame);
		const text = `${name}, ${measureText(state.metric, node.value)}, ${percent(node.value, root.value)}`;
		const hit = matches && node.frame >= 0 && matches(node.frame);
		const frame = element("button", {
			type: "button",
			class: "frame" + (above ? " above" : "") + (hit ? " match" : ""),
			title: text, "aria-label": text, "data-name": name, "data-trail": trail.join("."),
			onclick: () => zoomTo(trail),
			onmouseenter: () => describe(node, root),
			onfocus: () => describe(node, root),
		}, width < narrow ? "" : name);
		frame.style.left = 100 * left + "%";
		frame.style.width = 100 * width + "%";
		frame.style.top = level * FRAME_HEIGHT + "px";
		frame.style.setProperty("--hue", node.frame < 0 ? 210 : hueOf(node.frame));
		fragment.append(frame);
		depth = Math.max(depth, level + 1);
	}

	function below(node, left, width, level, trail) {
		let at = left;
		const children = [...node.children.values()].sort((a, b) => b.value - a.value);
		for (const child of children) {
			const childWidth = width * child.value / node.value;
			const childTrail = [...trail, child.key];
			if (childWidth >= NARROWEST) {
				put(child, at, childWidth, level, false, childTrail);
				below(child, at, childWidth, level + 1, childTrail);
			}
			at += childWidth;
		}
	}

	function countMatches(node) {
		if (matches && node.frame >= 0 && matches(node.frame)) {
			matched += node.value;
			return;
		}
		for (const child of node.children.values())
			countMatches(child);
	}

	path.forEach((node, level) => put(node, 0, 1, level, level < path.length - 1, state.zoom.slice(0, level)));
	if (root.value > 0)
		below(focus, 0, 1, path.length, state.zoom);
	countMatches(focus);
	box.replaceChildren(fragment);
	box.style.height = depth * FRAME_HEIGHT + "px";
	$("reset").hidden = path.length === 1;
	$("focus").textContent = path.length === 1 ? "" : frameName(focus.frame);
	$("found").textContent = matches ? percent(matched, focus.value) + " found" : "";
}

function zoomTo(trail) {
	state.zoom = trail;
	draw();
}

function describe(node, root) {
	if (node.frame < 0) {
		$("detail").textContent = `all: ${measureText(state.metric, node.value)}`;
		return;
	}
	const place = framePlace(node.frame);
	$("detail").textContent = `${frameName(node.frame)}${place ? " - " + place : ""}: ` +
		`${measureText(state.metric, node.value)}, ${percent(node.value, root.value)}`;
}

// ---- table ----

const COLUMNS = {
	leaks: [
		["kind", "Kind", (row) => Object.keys(KIND_TITLES).indexOf(row.kind)],
		["bytes", "Bytes", (row) => row.bytes], ["blocks", "Blocks", (row) => row.blocks],
		["age", "Age", (row) => row.max_age], ["stack", "Allocated by", (row) => topName(row)],
		["root", "Held by", (row) => row.root || ""],
	],
	profile: [
		["bytes", "Bytes in use", (row) => row.bytes], ["blocks", "Blocks in use", (row) => row.blocks],
		["total_bytes", "Bytes allocated", (row) => row.total_bytes], ["total_blocks", "Blocks allocated", (row) => row.total_blocks],
		["stack", "Allocated by", (row) => topName(row)],
	],
	diff: [
		["bytes", "Bytes", (row) => row.bytes], ["blocks", "Blocks", (row) => row.blocks],
		["bytes_after", "Bytes now", (row) => row.bytes_after], ["kind", "Change", (row) => row.kind],
		["stack", "Allocated by", (row) => topName(row)],
	],
};
const NUMBERS = new Set(["bytes", "blocks", "age", "total_bytes", "total_blocks", "bytes_after"]);

const topName = (row) => row.stack.length ? frameName(row.stack[0]) : "(unknown)";

function signed(n) {
	return (data.form === "diff" && n > 0 ? "+" : "") + n.toLocaleString("en");
}

function frameList(stack, matches) {
	return element("ol", { class: "frames" }, ...stack.map((frame) => {
		const name = matches && matches(frame) ? element("mark", {}, frameName(frame)) : frameName(frame);
		return element("li", {}, name, element("span", {}, " " + framePlace(frame) + (data.frames[frame][4] ? " [inlined]" : "")));
	}));
}

function cell(name, row, matches) {
	switch (name) {
	case "kind":
		return element("td", { class: "kind" }, ...(data.form === "leaks" ? [element("span", { class: "dot " + row.kind }), KIND_TITLES[row.kind]] : [row.kind]));
	case "age":
		return element("td", { class: "number" }, row.min_age === row.max_age ? ageText(row.max_age) : ageText(row.min_age) + " to " + ageText(row.max_age));
	case "root":
		return element("td", {}, row.root || "");
	case "stack": {
		const callers = row.stack.slice(1, 4).map(frameName).join(" \u2190 ");
		const td = element("td", { class: "stack" }, element("b", {}, topName(row)), " ", element("span", { class: "callers" }, callers ? "\u2190 " + callers : ""));
		if (state.open.has(row)) {
			td.append(frameList(row.stack, matches));
			if (row.via)
				td.append(element("span", { class: "callers" }, "by way of a block from"), frameList(row.via, matches));
			for (const [count, stack] of row.freed || [])
				td.append(element("span", { class: "callers" }, `${count.toLocaleString("en")} other${count === 1 ? "" : "s"} of this stack freed by`), frameList(stack, matches));
		}
		return td;
	}
	case "bytes":
		return element("td", { class: "number", title: bytesText(row.bytes) }, signed(row.bytes));
	case "blocks":
		return element("td", { class: "number" }, signed(row.blocks));
	default:
		return element("td", { class: "number" }, row[name].toLocaleString("en"));
	}
}

function drawTable(rows, matches) {
	const key = COLUMNS[data.form].find((column) => column[0] === state.sort)[2];
	const columns = COLUMNS[data.form].filter(([name]) => name !== "root" || rows.some((row) => row.root));
	const list = rows.filter((row) => !matches || row.stack.some(matches) || (row.root && row.root.toLowerCase().includes(state.query.trim().toLowerCase())));

	list.sort((a, b) => {
		const x = key(a), y = key(b);
		const order = x < y ? -1 : x > y ? 1 : 0;
		return (state.descending ? -order : order) || b.bytes - a.bytes;
	});
	$("table").tHead.replaceChildren(element("tr", {}, ...columns.map(([name, title]) => element("th", {
		class: NUMBERS.has(name) ? "number" : "", scope: "col",
		"aria-sort": state.sort === name ? (state.descending ? "descending" : "ascending") : "none",
	}, element("button", { type: "button", "data-sort": name, onclick: () => sortBy(name) }, title)))));
	$("table").tBodies[0].replaceChildren(...list.slice(0, state.limit).map((row) => element("tr", {
		class: "row", tabindex: "0", "data-row": row.index,
		onclick: () => toggle(row),
		onkeydown: (event) => {
			if (event.key === "Enter")
				toggle(row);
		},
	}, ...columns.map(([name]) => cell(name, row, matches)))));
	$("more").hidden = list.length <= state.limit;
	$("more").textContent = `Show more (${list.length - state.limit} left)`;
}

function toggle(row) {
	if (!getSelection().isCollapsed)
		return;
	if (!state.open.delete(row))
		state.open.add(row);
	draw();
}

function sortBy(name) {
	state.descending = state.sort === name ? !state.descending : NUMBERS.has(name);
	state.sort = name;
	draw();
}

// ---- size over time ----

function drawHistory() {
	const lists = data.processes.map((p) => p.history);
	const index = state.process < 0 ? lists.findIndex((list) => list.length > 1) : state.process;
	const points = index < 0 ? [] : lists[index];
	const section = $("history-section");

	section.hidden = points.length < 2;
	if (section.hidden)
		return;
	const W = Math.max(320, $("history").clientWidth || 900), H = 230, left = 74, right = 14, top = 12, bottom = 28;
	const t0 = points[0][0], t1 = Math.max(points[points.length - 1][0], t0 + 1);
	const highest = points.reduce((most, p) => Math.max(most, p[1], p[2]), 4);
	const step = 2 ** Math.ceil(Math.log2(highest / 4)), most = step * Math.ceil(highest / step);
	const x = (t) => left + (W - left - right) * (t - t0) / (t1 - t0);
	const y = (v) => H - bottom - (H - top - bottom) * v / most;
	const line = (field) => points.map((p, i) => (i ? "L" : "M") + x(p[0]).toFixed(1) + " " + y(p[field]).toFixed(1)).join("");
	const parts = [];
	for (let v = 0; v <= most; v += step)
		parts.push(`<line class="grid" x1="${left}" x2="${W - right}" y1="${y(v)}" y2="${y(v)}"/>`,
			`<text x="${left - 8}" y="${y(v) + 4}" text-anchor="end">${bytesText(v)}</text>`);
	for (let i = 0; i <= 4; i++) {
		const t = t0 + (t1 - t0) * i / 4;
		parts.push(`<text x="${x(t)}" y="${H - 8}" text-anchor="${i === 0 ? "start" : i === 4 ? "end" : "middle"}">${ageText(Math.round(t))}</text>`);
	}
	parts.push(`<path class="rss" d="${line(2)}"/>`, `<path class="used" d="${line(1)}"/>`);
	$("history").innerHTML = `<svg viewBox="0 0 ${W} ${H}" role="img" aria-label="bytes in use and resident over time">${parts.join("")}</svg>` +
		`<span class="legend"><span class="dot used"></span>in use<span class="dot rss"></span>resident</span>`;
}

// ---- head ----

function drawCards(rows) {
	const cards = [];
	const card = (value, label, kind) => cards.push(element("div", { class: "card" }, element("b", {}, value),
		element("span", {}, kind ? element("span", { class: "dot " + kind }) : "", label)));
	const sum = (list, field) => list.reduce((total, row) => total + row[field], 0);

	if (data.form === "leaks") {
		for (const kind of Object.keys(KIND_TITLES)) {
			const totals = data.processes.filter((p, i) => state.process < 0 || state.process === i).map((p) => p.summary[kind]);
			const blocks = totals.reduce((n, t) => n + t[0], 0), bytes = totals.reduce((n, t) => n + t[1], 0);
			card(bytesText(bytes), `${KIND_TITLES[kind]}, ${measureText("blocks", blocks)}`, kind);
		}
	} else if (data.form === "profile") {
		card(bytesText(sum(rows, "bytes")), "in use");
		card(bytesText(sum(rows, "total_bytes")), "allocated");
	} else {
		const grown = rows.filter((row) => row.bytes > 0), shrunk = rows.filter((row) => row.bytes < 0);
		card("+" + bytesText(sum(grown, "bytes")), `grown, ${grown.length} stacks`);
		card(bytesText(sum(shrunk, "bytes")), `shrunk, ${shrunk.length} stacks`);
	}
	$("cards").replaceChildren(...cards);
}

function pressButtons(box, choices, pressed, press) {
	box.replaceChildren(...choices.map(([name, title, dot]) => element("button", {
		type: "button", "aria-pressed": String(pressed(name)), "data-choice": name, onclick: () => { press(name); draw(); },
	}, dot ? element("span", { class: "dot " + name }) : "", title)));
}

function drawControls() {
	if (data.form === "leaks") {
		const there = new Set(data.rows.map((row) => row.kind));
		pressButtons($("kinds"), Object.entries(KIND_TITLES).filter(([kind]) => there.has(kind)).map((entry) => [...entry, true]),
			(kind) => state.kinds.has(kind),
			(kind) => { if (!state.kinds.delete(kind)) state.kinds.add(kind); });
	}
	pressButtons($("metrics"), Object.entries(METRICS[data.form]), (name) => state.metric === name, (name) => { state.metric = name; });
}

// What the keyboard is on, by something that outlives a redraw.
function focused() {
	const at = document.activeElement;
	for (const name of ["data-trail", "data-sort", "data-choice", "data-row"]) {
		if (at && at.hasAttribute && at.hasAttribute(name))
			return `[${name}="${at.getAttribute(name)}"]`;
	}
	return null;
}

function draw() {
	const rows = shownRows(), matches = matcher(), kept = focused();
	$("detail").textContent = hint;
	drawControls();
	drawCards(rows);
	drawFlame(rows, matches);
	drawTable(rows, matches);
	const again = kept && document.querySelector(kept);
	if (again)
		again.focus({ preventScroll: true });
}

// ---- start ----

// frames of one function are one frame of the picture
const names = new Map();
data.sameName = data.frames.map((frame) => {
	const key = frame[0] + "\n" + (frame[3] || "");
	if (!names.has(key))
		names.set(key, names.size);
	return names.get(key);
});

data.rows.forEach((row, i) => { row.index = i; });
$("subtitle").textContent = data.subtitle;
if (data.processes.length > 1) {
	$("process").append(element("option", { value: "-1" }, "all"), ...data.processes.map((p, i) => element("option", { value: i }, p.name)));
	$("process").addEventListener("change", () => {
		state.process = Number($("process").value);
		draw();
		drawHistory();
	});
} else {
	$("process-box").hidden = true;
}
$("search").addEventListener("input", () => {
	state.query = $("search").value;
	draw();
});
$("reset").addEventListener("click", () => zoomTo([]));
$("more").addEventListener("click", () => {
	state.limit += 5 * ROWS_AT_ONCE;
	draw();
});
addEventListener("keydown", (event) => {
	if (event.key === "Escape" && state.zoom.length)
		zoomTo(state.zoom.slice(0, -1));
});
addEventListener("resize", drawHistory);
draw();
drawHistory();
})();
