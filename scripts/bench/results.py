"""Where README.md shows the results."""

import sys

from setup import ROOT
from table import markdown

BEGIN, END = "<!-- bench begin -->", "<!-- bench end -->"
RESULTS = ROOT / "scripts" / "bench" / "results"


def block(rows, heading):
    """The picture, and the rows that have a goal or a picture of their own."""
    short = [row for row in rows if row.goal or row.bars]
    picture = "![Bars of what stands in the table](scripts/bench/results/bars.svg)"
    more = "Every row is in [scripts/bench/results/table.md](scripts/bench/results/table.md)."
    return f"{BEGIN}\n\n{picture}\n\n{markdown(short, heading)}\n{more}\n\n{END}"


def keep(rows, heading, text, picture):
    """Writes table.md, bars.svg and what stands between the markers of README.md."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "table.md").write_text(text, encoding="utf-8")
    (RESULTS / "bars.svg").write_text(picture, encoding="utf-8")
    readme = ROOT / "README.md"
    page = readme.read_text(encoding="utf-8")
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        print(f"scripts/bench/run: README.md has no {BEGIN} and {END}: left as it is", file=sys.stderr)
        return
    readme.write_text(before + block(rows, heading) + after, encoding="utf-8")
