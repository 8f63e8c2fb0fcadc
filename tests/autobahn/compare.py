"""Holds the results of a run of Autobahn's cases against the expected ones. Python 2.7 or 3.

compare.py INDEX EXPECTED [--update]

Any difference is a failure, one for the better too: then --update writes the new ones.

An expected "A or B, C" is for cases that send a message and then break the protocol: NON-STRICT is that the message
does not go back, which is so if TCP happens to bring both in one piece.
"""

import io
import json
import sys
from collections import OrderedDict


def case_number(name):
    return [int(part) for part in name.split(".")]


def results(index):
    """`behavior behaviorClose` of each case of the one agent, in the order of the cases."""
    with io.open(index, encoding="utf-8") as file:
        (cases,) = json.load(file).values()
    found = OrderedDict()
    for name in sorted(cases, key=case_number):
        found[name] = "%s, %s" % (cases[name]["behavior"], cases[name]["behaviorClose"])
    return found


def fits(verdict, expected):
    if not verdict or not expected:
        return False
    behaviors, close = expected.split(", ")
    return verdict in ["%s, %s" % (behavior, close) for behavior in behaviors.split(" or ")]


def write(found, expected, path):
    new = OrderedDict((name, expected[name] if fits(found[name], expected.get(name)) else found[name]) for name in found)
    with open(path, "w") as file:
        file.write(json.dumps(new, indent=1, separators=(",", ": ")) + "\n")
    return new


def main(index, path, update=False):
    found = results(index)
    with io.open(path, encoding="utf-8") as file:
        expected = json.load(file)
    if update:
        expected = write(found, expected, path)
    counts = OrderedDict()
    for verdict in found.values():
        counts[verdict] = counts.get(verdict, 0) + 1
    print("%d cases (behaviour, Close): %s" % (len(found), "; ".join("%d %s" % (n, v) for v, n in counts.items())))
    changed = [name for name in set(found) | set(expected) if not fits(found.get(name), expected.get(name))]
    for name in sorted(changed, key=case_number):
        print("case %s: %s, expected %s" % (name, found.get(name, "not run"), expected.get(name, "no such case")))
    return 1 if changed else 0


sys.exit(main(sys.argv[1], sys.argv[2], "--update" in sys.argv[3:]))
