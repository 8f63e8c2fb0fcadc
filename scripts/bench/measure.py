"""Starts a client between its peers and measures it: time by the peers' clock, CPU time by wait4(2)."""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time

# The largest that a pipe holds by default on Linux; told here so that all contenders have the same.
PIPE = 64 * 1024
# No single run takes as long; a contender that hangs is ended by this.
LIMIT = 120
# Nor round trips among other messages, a second or so of them.
LIMIT_AMONG = 20
# (benchmark, contender) -> what it did not do; the table says so. BENCHMARK: which one runs, set by `run`.
FAILURES = {}
BENCHMARK = ""


class Failed(Exception):
    """A run that did not do what it should."""


class Peer:
    """A process of bench-peers (or another) whose stdout is ours."""

    def __init__(self, command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=None):
        self.process = subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr)

    def port(self):
        return int(self.process.stdout.readline())

    def figures(self, limit=LIMIT):
        """Its last line, once it has ended."""
        out, err = self.process.communicate(timeout=limit)
        if self.process.returncode:
            raise Failed(f"{self.process.args} ended with {self.process.returncode}")
        return json.loads((out or err).splitlines()[-1])

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def high_water(pid):
    """VmHWM in KiB; None once the process has gone."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    except OSError:
        pass
    return None


class Client:
    """The program that is measured."""

    def __init__(self, command, stdin, stdout, log):
        self.command = command
        self.log = log
        self.rss = 0
        with open(log, "wb") as stderr:
            self.process = subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr)
        self.ended = False
        self.watch = threading.Thread(target=self._watch, daemon=True)
        self.watch.start()

    def _watch(self):
        # ru_maxrss would begin with what the starting process had.
        while not self.ended:
            self.rss = high_water(self.process.pid) or self.rss
            time.sleep(0.02)

    def wait(self, status=0):
        """CPU seconds, user and system. `status`: what it should exit with."""
        _, code, usage = os.wait4(self.process.pid, 0)
        self.ended = True
        self.process.returncode = os.waitstatus_to_exitcode(code)
        if self.process.returncode != status:
            text = pathlib.Path(self.log).read_text(errors="replace")
            raise Failed(f"{' '.join(self.command)} ended with {self.process.returncode}: {text}")
        return usage.ru_utime + usage.ru_stime

    def stop(self):
        self.ended = True
        if self.process.returncode is None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def outward(tools, command, server, feed):
    """feed | client -> server. `server`, `feed`: arguments of bench-peers; URL and PORT in `command` are filled
    in. Seconds are from the upgrade (or accept) to the last byte at the server."""
    listener = Peer([tools.peers, *server])
    client = feeder = None
    try:
        filled = fill(command, listener.port())
        read, write = os.pipe()
        feeder = Peer([tools.peers, *feed], stdout=write)
        os.close(write)
        client = Client(filled, read, subprocess.DEVNULL, tools.dir / "client.log")
        os.close(read)
        cpu = client.wait()
        figures = listener.figures()
    finally:
        for process in (client, feeder, listener):
            if process:
                process.stop()
    figures.update(cpu=cpu, rss=client.rss, seconds=(figures["end"] - figures["start"]) / 1e9)
    return figures


def cpu_so_far(pid):
    """CPU seconds, user and system, of a process that still runs."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def inward(tools, command, server, size, rate=0, endless=False, over=0):
    """server -> client | drain. Seconds are from the upgrade (or accept) to the last of `size` bytes behind the
    client's stdout, which is read at `rate` bytes a second where that is not 0. `endless`: the client does not end by
    itself when all has come, and is ended. `over`: bytes that it may print besides."""
    listener = Peer([tools.peers, *server])
    client = drain = None
    try:
        filled = fill(command, listener.port())
        read, write = os.pipe()
        how = ["drain-only", f"bytes={size}"] if endless else ["drain", f"bytes={size}", f"rate={rate}"]
        drain = Peer([tools.peers, *how], stdin=read)
        os.close(read)
        client = Client(filled, subprocess.DEVNULL, write, tools.dir / "client.log")
        os.close(write)
        if endless:
            drained = drain.figures()
            cpu = cpu_so_far(client.process.pid)
            client.stop()
        else:
            cpu = client.wait()
            drained = drain.figures()
        figures = listener.figures()
    finally:
        for process in (client, drain, listener):
            if process:
                process.stop()
    if not size <= drained["bytes"] <= size + over:
        raise Failed(f"{' '.join(filled)}: {drained['bytes']} bytes of {size} came out")
    figures.update(cpu=cpu, rss=client.rss, seconds=(drained["end"] - figures["start"]) / 1e9)
    return figures


def pingpong(tools, command, server, count, size, among=False):
    """pingpong <-> client <-> echo server; its nanoseconds. `among`: the server says other things in between, and
    the client is ended after the last round trip."""
    listener = Peer([tools.peers, *server])
    client = player = None
    try:
        filled = fill(command, listener.port())
        (to_read, to_write), (from_read, from_write) = os.pipe(), os.pipe()
        arguments = [tools.peers, "pingpong-among" if among else "pingpong", f"count={count}", f"size={size}"]
        player = Peer(arguments, stdin=from_read, stdout=to_write, stderr=subprocess.PIPE)
        os.close(to_write)
        os.close(from_read)
        client = Client(filled, to_read, from_write, tools.dir / "client.log")
        os.close(to_read)
        os.close(from_write)
        figures = player.figures(LIMIT_AMONG if among else LIMIT)
        if among:
            cpu = cpu_so_far(client.process.pid)
            client.stop()
            figures.update(listener.figures())
        else:
            cpu = client.wait()
    finally:
        for process in (client, player, listener):
            if process:
                process.stop()
    return {**figures, "cpu": cpu}


def fill(command, port):
    return [part.replace("PORT", str(port)) for part in command]


def alternate(runs, contenders):
    """Runs each contender (name -> function) `runs` times in turn; name -> list of figures. One that hangs is not
    run again."""
    found = {name: [] for name in contenders}
    hung = set()
    for _ in range(runs):
        for name, measured in contenders.items():
            if name in hung:
                continue
            try:
                found[name].append(measured())
            except (Failed, OSError, ValueError, subprocess.TimeoutExpired) as failure:
                print(f"  {name}: {failure}", file=sys.stderr)
                what = str(failure)
                if isinstance(failure, subprocess.TimeoutExpired):
                    what = f"nothing within {failure.timeout:g} s"
                    hung.add(name)
                FAILURES.setdefault((BENCHMARK, name), what)
                continue
            shown = {key: value for key, value in found[name][-1].items() if key not in ("start", "end")}
            print(f"  {name}: {shown}", file=sys.stderr)
    return found


def median(figures, key):
    """The median of one figure, None where no run succeeded."""
    return statistics.median(run[key] for run in figures) if figures else None
