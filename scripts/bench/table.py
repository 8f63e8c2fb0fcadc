"""Rows into one Markdown table, under a line that says where and when."""

import datetime
import os
import pathlib
import platform
import subprocess

from setup import ROOT, WEBSOCAT


class Row:
    """One line: what was measured, ours, theirs, their ratio, and whether the goal is met."""

    def __init__(self, what, ours, peer, theirs, ratio=None, goal=None, met=None):
        self.what, self.ours, self.peer, self.theirs = what, ours, peer, theirs
        self.ratio, self.goal, self.met = ratio, goal, met

    def cells(self):
        mark = {None: "", True: " ✓", False: " ✗ missed"}[self.met]
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        return [self.what, self.ours, f"{self.theirs} ({self.peer})" if self.peer else self.theirs, ratio,
                (self.goal or "") + mark]


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


def markdown(rows, runs, scale):
    lines = [
        f"Measured on {machine()}, {datetime.date.today()}, commit {commit()}, medians of {runs} runs"
        + (f", {scale:g} of the full amounts" if scale != 1 else "")
        + f"; websocat {WEBSOCAT}, {output_of('socat', '-V').splitlines()[1].strip().split(' on ')[0]}, "
        + output_of('mosquitto_pub', '--version').split(' running')[0] + ".",
        "",
        "| what | wspipe | the other | ratio | goal |",
        "|---|---:|---:|---:|---|",
    ]
    lines += [f"| {' | '.join(row.cells())} |" for row in rows]
    return "\n".join(lines) + "\n"
