"""The table's main figures as bars: one SVG file with no script and no font of its own, for light and dark pages."""

from xml.sax.saxutils import escape

WIDTH, COLUMNS, MARGIN = 940, 2, 16
BAR, GAP, TITLE = 15, 6, 34
NAME, VALUE = 108, 92
STYLE = """
    svg { background: #ffffff }
    text { font: 12px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
    .title { font-weight: 600 } .note, .head { fill: #59636e } .head { font-size: 11px }
    .ours { fill: #0969da } .other { fill: #afb8c1 }
    @media (prefers-color-scheme: dark) {
      svg { background: #0d1117 } text { fill: #e6edf3 } .note, .head { fill: #9198a1 }
      .ours { fill: #4493f8 } .other { fill: #484f58 }
    }
"""


def figure(value):
    """Three digits that mean something."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def panel(bars, x, y, width):
    """One picture; gives its elements and the y below it."""
    most = max(value for _, value in bars.values)
    room = width - NAME - VALUE
    better = "less is better" if bars.less else "more is better"
    out = [f'<text class="title" x="{x}" y="{y + 14}">{escape(bars.title.replace("`", ""))} '
           f'<tspan class="note" font-weight="400">{escape(bars.unit)}, {better}</tspan></text>']
    y += TITLE - 8
    for name, value in bars.values:
        kind = "ours" if name.startswith("wspipe") else "other"
        length = max(1.0, room * value / most)
        out.append(f'<text x="{x + NAME - 8}" y="{y + 12}" text-anchor="end">{escape(name)}</text>'
                   f'<rect class="{kind}" x="{x + NAME}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2"/>'
                   f'<text x="{x + NAME + length + 6:.1f}" y="{y + 12}">{figure(value)}</text>')
        y += BAR + GAP
    return out, y + 14


def wrapped(text, width):
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) + 1 > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def svg(rows, heading):
    """All pictures of `rows`, the shorter column first."""
    ends = [MARGIN] * COLUMNS
    width = (WIDTH - MARGIN * (COLUMNS + 1)) // COLUMNS
    body = []
    for bars in [row.bars for row in rows if row.bars and row.bars.values]:
        column = ends.index(min(ends))
        elements, ends[column] = panel(bars, MARGIN + column * (width + MARGIN), ends[column], width)
        body += elements
    y = max(ends) + 4
    for line in wrapped(heading, 150):
        body.append(f'<text class="head" x="{MARGIN}" y="{y + 8}">{escape(line)}</text>')
        y += 15
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + MARGIN}" width="{WIDTH}" '
            f'height="{y + MARGIN}" role="img" aria-label="wspipe measured beside its peers">\n'
            f"  <style>{STYLE}  </style>\n  " + "\n  ".join(body) + "\n</svg>\n")
