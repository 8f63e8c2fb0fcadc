"""Prints the licence texts of all crates that are linked in by default, each text once, below the crates that have it.

    third-party.py
"""

import json
import os
import subprocess
import sys


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments, "--locked"], check=True, capture_output=True, text=True).stdout


def texts(directory):
    """The files that a crate says its licence by: its MIT text where one may choose, else all there are."""
    names = sorted(n for n in os.listdir(directory) if n.upper().startswith(("LICENSE", "LICENCE", "COPYING", "COPYRIGHT")))
    names = [n for n in names if os.path.isfile(os.path.join(directory, n))]
    chosen = [n for n in names if "MIT" in n.upper()] or names
    for name in chosen:
        with open(os.path.join(directory, name), encoding="utf-8", errors="replace") as file:
            yield file.read().strip()


def main():
    host = next(l.split()[1] for l in subprocess.check_output(["rustc", "-vV"], text=True).splitlines() if "host:" in l)
    known = {(p["name"], p["version"]): p for p in
             json.loads(cargo("metadata", "--format-version", "1", "--filter-platform", host))["packages"]}
    tree = cargo("tree", "-e", "normal", "--target", host, "--prefix", "none", "--format", "{p}")
    # "name v1.2.3", then what else there is to say of it.
    linked = sorted({(w[0], w[1].removeprefix("v")) for w in (line.split() for line in tree.splitlines()) if w})
    users, without = {}, []
    for name, version in linked:
        package = known[name, version]
        if package["source"] is None:
            continue
        title = f"{name} {version} ({package['license'] or 'see below'})"
        found = list(texts(os.path.dirname(package["manifest_path"])))
        if not found:
            without.append(f"{title}, {', '.join(package['authors']) or package['repository']}")
        for text in found:
            users.setdefault(text, []).append(title)
    print("Rust's standard library (MIT OR Apache-2.0) and these crates are linked into wspipe.\n")
    for text, titles in users.items():
        print("=" * 100, *titles, "", text, "", sep="\n")
    if without:
        print("=" * 100, "Crates that come without the text of their licence:", "", *without, sep="\n")


if len(sys.argv) != 1:
    sys.exit(__doc__)
main()
