"""Large messages over TLS: against the same bytes over a raw TLS connection of the same OpenSSL, and websocat's."""

from cat import CLOSE, MIB, ratio
from measure import alternate, inward, median, outward
from table import Bars, Row

URL = "wss://127.0.0.1:PORT/"
TOTAL = 256 * MIB


def out(tools, size, count):
    """`count` messages of `size` bytes out. websocat makes messages of its own of what it reads."""
    total, pem = count * size, f"tls={tools.pem}"
    feed = ["feed", f"count={count}", f"size={size}"]
    anyhow = ["ws-sink", "count=0", f"bytes={total}", pem]
    ours = [tools.wspipe, "cat", "-k", "-b", "--in", "length", "-w", "0", URL]
    return {
        "wspipe": lambda: outward(tools, ours, ["ws-sink", f"count={count}", f"bytes={total}", pem],
                                  [*feed, "format=length"]),
        "raw TLS": lambda: outward(tools, [tools.peers, "tls-out", "port=PORT", "size=65536"], ["tcp-sink", pem],
                                   [*feed, "format=raw"]),
        "websocat": lambda: outward(tools, [tools.websocat, "-k", "-bu", URL], anyhow, [*feed, "format=raw"]),
        "websocat 4": lambda: outward(tools, [tools.websocat4, "-k", "-bU", URL, "stdio:"], anyhow,
                                      [*feed, "format=raw"]),
    }


def inn(tools, size, count):
    """The other way. websocat takes seconds for one message of 64 MiB, so it gets one."""
    total, pem = count * size, f"tls={tools.pem}"
    single = ["ws-source", "count=1", f"size={size}", "kind=binary", pem] if size > 16 * MIB else None
    source = ["ws-source", f"count={count}", f"size={size}", "kind=binary", pem]
    ours = [tools.wspipe, "cat", "-k", "--no-stdin", "--out", "chunk", URL]
    return {
        "wspipe": lambda: inward(tools, ours, source, total),
        "raw TLS": lambda: inward(tools, [tools.peers, "tls-in", "port=PORT", "size=65536"],
                                  ["tcp-source", f"bytes={total}", f"write={MIB}", pem], total),
        "websocat": lambda: inward(tools, [tools.websocat, "-k", "-bU", URL], single or source,
                                   size if single else total),
        "websocat 4": lambda: inward(tools, [tools.websocat4, "-k", "-bu", URL, "stdio:"], source, total, over=CLOSE),
    }


def tls(tools, runs, scale):
    """256 MiB in messages of 1, 16 and 64 MiB, over TLS."""
    rows = []
    for way, make in (("out", out), ("in", inn)):
        for mebibytes in (1, 16, 64):
            size = mebibytes * MIB
            count = max(1, int(TOTAL * scale) // size)
            found = alternate(runs, tools.present(make(tools, size, count)))
            seconds = {name: median(figures, "seconds") for name, figures in found.items()}
            alone = ("websocat",) if way == "in" and mebibytes == 64 else ()
            speed = {name: s and (1 if name in alone else count) * size / s / 1e9 for name, s in seconds.items()}
            words = {name: f"{s:.3g} GB/s" if s else "failed" for name, s in speed.items()}
            what = f"wss://, {count * size // MIB} MiB in messages of {mebibytes} MiB {way}"
            mib = {name: (1 if name in alone else count) * mebibytes for name in found}
            cpu = {name: median(figures, "cpu") for name, figures in found.items()}
            cpu = {name: s and s / mib[name] * 1e3 for name, s in cpu.items()}
            bars = Bars(f"TLS: messages of {mebibytes} MiB {way}", "GB/s", [(n, s) for n, s in speed.items() if s])
            for name in [name for name in found if name != "wspipe"]:
                peer = f"{name}, one of them" if name in alone else name
                aim = name == "raw TLS"
                share = ratio(speed["wspipe"], speed[name])
                rows.append(Row(what, words["wspipe"], peer, words[name], share, aim and ">= 0.8",
                                share and share >= 0.8, bars if aim else None))
                ours, theirs = (f"{s:.2f} ms CPU/MiB" if s else "failed" for s in (cpu["wspipe"], cpu[name]))
                rows.append(Row(f"the same, {mebibytes} MiB {way}: CPU time", ours, peer, theirs,
                                ratio(cpu["wspipe"], cpu[name])))
    return rows


BENCHMARKS = {"tls": tls}
