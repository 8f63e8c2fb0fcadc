"""Rows into one Markdown table, under a line that says where and when."""

import datetime
import os
import pathlib
import platform
import subprocess

from measure import FAILURES
from setup import ROOT, versions


class Bars:
    """What one picture of bars shows: a title, a unit, (name, value) pairs; `less`: the shortest bar is the best."""

    def __init__(self, title, unit, values, less=False):
        self.title, self.unit, self.values, self.less = title, unit, values, less


class Row:
    """One line: what was measured, ours, theirs, their ratio, and whether the goal is met."""

    def __init__(self, what, ours, peer, theirs, ratio=None, goal=None, met=None, bars=None):
        self.what, self.ours, self.peer, self.theirs = what, ours, peer, theirs
        self.ratio, self.goal, self.met = ratio, goal or "", met if goal else None
        # With the first of the rows that a picture is of.
        self.bars = bars

    def cells(self):
        compared = self.ratio is not None or self.theirs != "failed"
        mark = "" if not self.goal else " ✓" if self.met else " ✗ missed" if compared else " (nothing to compare with)"
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}" if self.ratio >= 0.01 else f"{self.ratio:.4f}"
        return [self.what, self.ours, f"{self.theirs} ({self.peer})" if self.peer else self.theirs, ratio,
                self.goal + mark]


def output_of(*command):
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return result.stdout.strip()


def machine():
    cpu = "unknown CPU"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.split(":", 1)[1].strip()
            break
    return f"{cpu}, {os.cpu_count()} cores, Linux {platform.release().split('-')[0]}"


def commit():
    changed = output_of("git", "status", "--porcelain", "--untracked-files=no")
    return output_of("git", "rev-parse", "--short", "HEAD") + (" with changes" if changed else "")


def head(tools, runs, scale):
    """Machine, date, commit, what was compared; and what could not be."""
    text = (f"Measured on {machine()}, {datetime.date.today()}, commit {commit()}, medians of {runs} runs"
            + (f", {scale:g} of the full amounts" if scale != 1 else "") + f"; {', '.join(versions(tools))}.")
    for name, why in tools.missing.items():
        text += f" Not compared: {name} ({why})."
    for (benchmark, name), what in FAILURES.items():
        text += f" Failed in `{benchmark}`: {name} ({what})."
    return text


def markdown(rows, heading):
    lines = [heading, "", "| what | wspipe | the other | ratio | goal |", "|---|---:|---:|---:|---|"]
    lines += [f"| {' | '.join(row.cells())} |" for row in rows]
    return "\n".join(lines) + "\n"
