"""Prints what each crate, and each part of wspipe, takes of a binary's code, in bytes.

    CARGO_PROFILE_RELEASE_STRIP=false cargo build --release --target-dir target/sizes
    scripts/packaging/sizes.py target/sizes/release/wspipe

A function inlined into another counts there: of the standard library that is most of what is generic.
"""

import collections
import re
import subprocess
import sys

# Of wspipe, two levels of modules; of a crate, its name alone.
PATH = re.compile(r"^[<&\[(]*(?:mut |dyn )?([a-z_][a-z_0-9]*)((?:::[a-z_0-9]+){0,2})::")


def part_of(name):
    match = PATH.match(name)
    if not match:
        return "C, and what has no name"
    crate, modules = match.groups()
    return crate + "::".join(modules.split("::")[:3]) if crate == "wspipe" else crate


def main(binary):
    lines = subprocess.check_output(["nm", "-S", "--size-sort", "-C", binary], text=True).splitlines()
    sizes, functions = collections.Counter(), collections.Counter()
    for line in lines:
        fields = line.split(" ", 3)
        if len(fields) == 4 and fields[2] in "tTwWiI":
            part = part_of(fields[3])
            sizes[part] += int(fields[1], 16)
            functions[part] += 1
    if not sizes:
        sys.exit(f"{binary} is stripped")
    print("| part | functions | bytes |\n|---|--:|--:|")
    for part, size in sizes.most_common():
        print(f"| {part} | {functions[part]} | {size} |")
    print(f"| all | {functions.total()} | {sizes.total()} |")


if len(sys.argv) != 2:
    sys.exit(__doc__)
main(sys.argv[1])
