"""The benchmarks of `wspipe cat`."""

from measure import Failed, alternate, inward, median, outward, pingpong
from table import Bars, Row

MIB = 1 << 20
URL = "ws://127.0.0.1:PORT/"
# websocat 4 prints the two bytes of the peer's Close as if they were a message.
CLOSE = 2


def ratio(ours, theirs):
    return None if not ours or not theirs else ours / theirs


def per_second(count, seconds):
    return "failed" if not seconds else f"{count / seconds / 1e6:.3g} M lines/s"


def cpu_each(count, seconds):
    return "failed" if seconds is None else f"{seconds / count * 1e9:.0f} ns CPU/line"


def lines(tools, runs, scale):
    """Lines of 63 bytes, against websocat. Version 4 prints so few of them a second that it gets fewer."""
    count = int(1_000_000 * scale)
    few = max(1000, int(30_000 * scale))

    def checked(figures):
        if figures.get("messages", count) != count:
            raise Failed(f"{figures['messages']} messages of {count} arrived")
        return figures

    sink, source = ["ws-sink", f"count={count}"], ["ws-source", f"count={count}", "size=63", "kind=text"]
    feed = ["feed", f"count={count}", "size=63", "format=line"]
    ways = {
        "out": {
            "wspipe": lambda: checked(outward(tools, [tools.wspipe, "cat", "-w", "0", URL], sink, feed)),
            "websocat": lambda: checked(outward(tools, [tools.websocat, "-tu", URL], sink, feed)),
            "websocat 4": lambda: checked(outward(tools, [tools.websocat4, "-tU", URL, "stdio:"], sink, feed)),
        },
        "in": {
            "wspipe": lambda: inward(tools, [tools.wspipe, "cat", "--no-stdin", URL], source, count * 64),
            "websocat": lambda: inward(tools, [tools.websocat, "-tU", URL], source, count * 64),
            "websocat 4": lambda: inward(tools, [tools.websocat4, "-tu", URL, "stdio:"],
                                         ["ws-source", f"count={few}", "size=63", "kind=text"], few * 64, over=CLOSE),
        },
    }
    rows = []
    for way, contenders in ways.items():
        found = alternate(runs, tools.present(contenders))
        speed = {name: median(figures, "seconds") for name, figures in found.items()}
        cpu = {name: median(figures, "cpu") for name, figures in found.items()}
        if way == "in" and speed.get("websocat 4"):
            # As if it had gone on like that.
            speed["websocat 4"] *= count / few
            cpu["websocat 4"] *= count / few
        bars = Bars(f"lines of 63 bytes {way}", "M lines/s", [(n, count / s / 1e6) for n, s in speed.items() if s])
        # The goals are against websocat 1.14, the one that is in use.
        for name in [name for name in found if name != "wspipe"]:
            aim = name == "websocat"
            peer = f"{name}, {few:,} of them" if way == "in" and name == "websocat 4" else name
            faster, cheaper = ratio(speed[name], speed["wspipe"]), ratio(cpu["wspipe"], cpu[name])
            rows.append(Row(f"{count:,} lines of 63 bytes {way}", per_second(count, speed["wspipe"]), peer,
                            per_second(count, speed[name]), faster, aim and ">= 10", faster and faster >= 10, bars))
            rows.append(Row(f"the same, {way}: CPU time", cpu_each(count, cpu["wspipe"]), peer,
                            cpu_each(count, cpu[name]), cheaper, aim and "<= 0.1", cheaper and cheaper <= 0.1))
            bars = None
    return rows


def bulk_out(tools, size, total):
    """Binary messages of `size` out; and what socat does with the same bytes."""
    count = total // size
    sink = ["ws-sink", f"count={count}"]
    feed = ["feed", f"count={count}", f"size={size}"]
    ours = [tools.wspipe, "cat", "-b", "--in", "length", "-w", "0", URL]
    theirs = ["socat", "-u", "-b", str(size), "STDIN", "TCP:127.0.0.1:PORT"]
    return {
        "wspipe": lambda: outward(tools, ours, sink, [*feed, "format=length"]),
        "socat": lambda: outward(tools, theirs, ["tcp-sink"], [*feed, "format=raw"]),
    }


def bulk_in(tools, size, total):
    """The other way."""
    count = total // size
    source = ["ws-source", f"count={count}", f"size={size}", "kind=binary"]
    ours = [tools.wspipe, "cat", "--no-stdin", "--out", "chunk", URL]
    theirs = ["socat", "-u", "-b", str(size), "TCP:127.0.0.1:PORT", "STDOUT"]
    return {
        "wspipe": lambda: inward(tools, ours, source, count * size),
        "socat": lambda: inward(tools, theirs, ["tcp-source", f"bytes={count * size}", f"write={256 * 1024}"],
                                count * size),
    }


def bulk(tools, runs, scale):
    """256 MiB of binary messages, against a plain TCP copy."""
    total = int(256 * scale) * MIB
    rows = []
    for way, make in (("out", bulk_out), ("in", bulk_in)):
        for name, size in (("64 KiB", 64 * 1024), ("1 MiB", MIB)):
            found = alternate(runs, tools.present(make(tools, size, total)))
            speed = [total / median(found[name], "seconds") / 1e9 if found.get(name) else None
                     for name in ("wspipe", "socat")]
            ours, theirs = (f"{s:.2f} GB/s" if s else "failed" for s in speed)
            share = ratio(*speed)
            rows.append(Row(f"{total // MIB} MiB in messages of {name} {way}", ours, "socat, plain TCP", theirs, share,
                            ">= 0.8", share and share >= 0.8))
    return rows


def roundtrip(tools, runs, scale):
    """One 64-byte line there and back, against a bare relay."""
    count = int(20_000 * scale)
    found = alternate(runs, {
        "wspipe": lambda: pingpong(tools, [tools.wspipe, "cat", "-w", "0", URL], ["ws-echo"], count, 64),
        "relay": lambda: pingpong(tools, [tools.peers, "relay", "port=PORT"], ["tcp-echo"], count, 64),
    })
    rows = []
    for name, key in (("median", "p50"), ("mean", "mean")):
        times = [median(found[contender], key) for contender in ("wspipe", "relay")]
        ours, theirs = (f"{t / 1000:.1f} us" if t else "failed" for t in times)
        more = ratio(*times)
        rows.append(Row(f"round trip of 64 bytes, {name} of {count:,}", ours, "bare poll(2) relay, plain TCP", theirs,
                        more, "<= 1.3", more and more <= 1.3))
    return rows


def memory(tools, runs, scale):
    """The largest resident set over a long stream, and where what reads it is slow."""
    total = int(2048 * scale) * MIB
    contenders = {}
    for way, make in (("out", bulk_out), ("in", bulk_in)):
        for name, size in (("64 KiB", 64 * 1024), ("1 MiB", MIB)):
            what = f"{total / MIB / 1024:.3g} GiB in messages of {name} {way}"
            contenders[what] = make(tools, size, total)["wspipe"]
    # Lines of 7 bytes at 50 MB/s: as many records as can be, and a queue that is never empty.
    count, rate = int(25_000_000 * scale), 50_000_000
    sink = ["ws-sink", f"count={count}", f"rate={rate}"]
    feed = ["feed", f"count={count}", "size=7", "format=line"]
    source = ["ws-source", f"count={count}", "size=7", "kind=text"]
    wait = ["-W", "600", "--close-timeout", "60", "-w", "0"]
    contenders[f"{count:,} short lines out to a slow server"] = lambda: outward(
        tools, [tools.wspipe, "cat", *wait, URL], sink, feed)
    contenders[f"{count:,} short lines in with a slow reader"] = lambda: inward(
        tools, [tools.wspipe, "cat", "--no-stdin", URL], source, count * 8, rate)
    found = alternate(1, contenders)
    rows = []
    for what, figures in found.items():
        peak = figures[0]["rss"] * 1024 / 1e6 if figures else None
        rows.append(Row(f"resident set: {what}", f"{peak:.1f} MB" if peak else "failed", "", "", None, "< 8 MB",
                        peak and peak < 8))
    return rows


def counted(tools, run, few, many):
    """Instructions a message: `run(count, prefix)` under callgrind with two counts, the difference divided."""
    totals = []
    for count in (few, many):
        out = tools.dir / f"callgrind.{count}"
        run(count, ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"])
        lines = [line for line in out.read_text().splitlines() if line.startswith(("summary:", "totals:"))]
        totals.append(int(lines[-1].split()[1]))
    return (totals[1] - totals[0]) / (many - few)


def instructions(tools, runs, scale):
    """Instructions a line."""
    if tools.lacks("valgrind"):
        return []

    def out(count, prefix):
        feed = ["feed", f"count={count}", "size=63", "format=line"]
        outward(tools, [*prefix, tools.wspipe, "cat", "-w", "0", URL], ["ws-sink", f"count={count}"], feed)

    def inn(count, prefix):
        source = ["ws-source", f"count={count}", "size=63", "kind=text"]
        inward(tools, [*prefix, tools.wspipe, "cat", "--no-stdin", URL], source, count * 64)

    return [
        Row(f"instructions a line of 63 bytes {way}", f"{counted(tools, run, 20_000, 60_000):.0f}", "", "")
        for way, run in (("out", out), ("in", inn))
    ]


BENCHMARKS = {
    "lines": lines,
    "bulk": bulk,
    "roundtrip": roundtrip,
    "memory": memory,
    "instructions": instructions,
}
