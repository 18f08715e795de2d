# SPDX-License-Identifier: MIT
"""Horizontal bars, one group per row and one bar per allocator, as SVG written by hand."""

from xml.sax.saxutils import escape

COLOURS = {"glibc": "#9aa0a6", "stele": "#c0392b", "stele-locked": "#e59866",
           "jemalloc": "#2e86c1", "mimalloc": "#28a16c", "tcmalloc": "#8e5bb5"}
SPARE = ["#b7950b", "#17838a", "#6e4b3a", "#d35da0"]

TOP, LEFT, WIDTH, RIGHT = 74, 150, 640, 60
BAR, GAP = 9, 9
CLIP = 4.0      # longer bars end here, with their number


def x_of(ratio):
    return LEFT + WIDTH * min(ratio, CLIP) / CLIP


def text(x, y, words, size=11, anchor="start", colour="#222", weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
            f'fill="{colour}" font-weight="{weight}">{escape(words)}</text>')


def rect(x, y, w, h, colour):
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" fill="{colour}"/>'


def line(x1, y1, x2, y2, colour, width=1.0):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f'stroke-width="{width}"/>')


def colours_of(allocs):
    spare = iter(SPARE * len(allocs))
    return {a.name: COLOURS.get(a.name) or next(spare) for a in allocs}


def legend(allocs, colour):
    x = LEFT
    for a in allocs:
        yield rect(x, 34, 11, 11, colour[a.name])
        yield text(x + 15, 44, a.name)
        x += 30 + 7 * len(a.name)


def grid(bottom):
    for tick in range(int(CLIP) * 2 + 1):
        ratio = tick / 2
        yield line(x_of(ratio), TOP - 6, x_of(ratio), bottom,
                   "#444" if ratio == 1 else "#ddd", 1.2 if ratio == 1 else 0.8)
        yield text(x_of(ratio), TOP - 10, f"{ratio:g}", 10, "middle", "#666")


def bar(cell, y, colour):
    if cell.failed:
        yield text(LEFT + 4, y + BAR - 1, "FAIL", 9, colour="#a00", weight="bold")
        return
    yield rect(LEFT, y, x_of(cell.ratio) - LEFT, BAR - 1, colour)
    mid = y + (BAR - 1) / 2
    if cell.low < CLIP and cell.high > cell.low:
        yield line(x_of(cell.low), mid, x_of(cell.high), mid, "#222", 0.8)
    end = max(x_of(cell.ratio), x_of(cell.high))
    mark = f"{cell.ratio:.1f} \u25b6" if cell.ratio > CLIP else f"{cell.ratio:.2f}"
    yield text(end + 4, y + BAR - 1, mark, 8.5, colour="#555")


def write_svg(path, title, table):
    allocs, colour = table.allocs, colours_of(table.allocs)
    group = BAR * len(allocs) + GAP
    bottom = TOP + group * len(table.rows)
    width, height = LEFT + WIDTH + RIGHT, bottom + 20
    out = ["<!-- SPDX-License-Identifier: MIT -->",
           f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
           f'viewBox="0 0 {width} {height}" font-family="DejaVu Sans, Helvetica, sans-serif">',
           rect(0, 0, width, height, "#fff"), text(LEFT, 22, title, 15, weight="bold"),
           text(LEFT + WIDTH, 22, "smaller is better; thin line: minimum to maximum", 10, "end",
                "#666"),
           *legend(allocs, colour), *grid(bottom)]
    for i, row in enumerate(table.rows):
        y = TOP + i * group + GAP / 2
        out.append(text(LEFT - 8, y + (group - GAP) / 2 + 4, row.name, 11, "end"))
        for j, a in enumerate(allocs):
            out += bar(table.cells[row.name, a.name], y + j * BAR, colour[a.name])
    out.append("</svg>\n")
    path.write_text("\n".join(out), encoding="utf-8")
