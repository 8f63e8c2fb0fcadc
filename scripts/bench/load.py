"""Latency under load: a line there and back while the same connection carries a stream of others."""

from cat import ratio
from measure import alternate, median, pingpong
from table import Bars, Row

URL = "ws://127.0.0.1:PORT/"
# Lines of 63 bytes a second that the server sends, whatever comes: with their newlines 12.8 MB/s, which every
# contender can carry.
RATE = 200_000
SIZE = 63
TRIPS = 20_000


def load(tools, runs, scale):
    """The time from writing a line of 64 bytes to reading its echo among what else comes."""
    trips = max(100, int(TRIPS * scale))
    server = [f"rate={RATE}", f"size={SIZE}"]
    commands = {
        "wspipe": ([tools.wspipe, "cat", "-w", "0", URL], "ws-loaded"),
        "relay": ([tools.peers, "relay", "port=PORT"], "tcp-loaded"),
        "websocat": ([tools.websocat, "-t", URL], "ws-loaded"),
        "websocat 4": ([tools.websocat4, "-t", URL, "stdio:"], "ws-loaded"),
    }
    found = alternate(runs, tools.present({
        name: lambda command=command, kind=kind: pingpong(tools, command, [kind, *server], trips, 64, among=True)
        for name, (command, kind) in commands.items()
    }))
    rows = []
    for title, key in (("median", "p50"), ("99th percentile", "p99")):
        times = {name: median(figures, key) for name, figures in found.items()}
        words = {name: f"{t / 1000:.0f} us" if t else "failed" for name, t in times.items()}
        bars = Bars(f"round trip under load, {title}", "us", [(n, t / 1000) for n, t in times.items() if t], less=True)
        for name in [name for name in found if name != "wspipe"]:
            aim = name == "relay" and key == "p50"
            more = ratio(times["wspipe"], times[name])
            peer = "bare poll(2) relay, plain TCP" if name == "relay" else name
            rows.append(Row(f"round trip of 64 bytes while {RATE:,} lines/s come in, {title}", words["wspipe"], peer,
                            words[name], more, aim and "<= 1.3", more and more <= 1.3, bars))
            bars = None
    return rows


BENCHMARKS = {"load": load}
