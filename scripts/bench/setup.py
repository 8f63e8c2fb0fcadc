"""Builds wspipe and installs what it is compared with, each only where it is missing."""

import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
WEBSOCAT = "1.14.0"
# Command -> Debian's package.
DEBIAN = {"mosquitto_pub": "mosquitto-clients", "socat": "socat", "time": "time", "valgrind": "valgrind"}


class Tools:
    """Where everything is."""

    def __init__(self):
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
        self.dir = target / "bench"
        self.wspipe = str(target / "release" / "wspipe")
        self.peers = str(self.dir / "build" / "release" / "bench-peers")
        self.websocat = str(self.dir / "websocat" / "bin" / "websocat")


def say(text):
    print(f"scripts/bench/run: {text}", file=sys.stderr)


def cargo(arguments, target=None):
    environment = dict(os.environ)
    if target:
        environment["CARGO_TARGET_DIR"] = str(target)
    # Progress to stderr: stdout is for the table.
    result = subprocess.run(["cargo", *arguments], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=2)
    if result.returncode:
        sys.exit(f"scripts/bench/run: cargo {' '.join(arguments)} failed")


def debian(packages):
    root = [] if os.getuid() == 0 else ["sudo", "-n"]
    line = [*root, "apt-get", "install", "-y", "--no-install-recommends", *packages]
    say(f"installing {' '.join(packages)}")
    # The lists may be missing or stale on a fresh machine.
    for command in ([*root, "apt-get", "update"], line):
        if subprocess.run(command, stdin=subprocess.DEVNULL, stdout=2).returncode:
            sys.exit(f"scripts/bench/run: missing packages; type: {' '.join(line)}")


def install(what):
    """Installs what the benchmarks in `what` need."""
    tools = Tools()
    tools.dir.mkdir(parents=True, exist_ok=True)
    missing = [package for command, package in DEBIAN.items() if not shutil.which(command)]
    if missing:
        debian(missing)
    if not os.access(tools.websocat, os.X_OK) and {"lines", "oneshot"} & set(what):
        say(f"building websocat {WEBSOCAT}: minutes")
        # Not --locked: the traitobject 0.1.0 of its lock file is no longer accepted by rustc (0.1.1 is).
        root = str(tools.dir / "websocat")
        cargo(["install", "--quiet", "--root", root, "websocat", "--version", WEBSOCAT], tools.dir / "build-websocat")
    manifest = str(ROOT / "scripts" / "bench" / "peers" / "Cargo.toml")
    cargo(["build", "--release", "--quiet", "--locked", "--manifest-path", manifest], tools.dir / "build")
    cargo(["build", "--release", "--quiet"])
    return tools
