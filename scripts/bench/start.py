"""One message from start to end, with what it takes: time, memory, and the size of the program itself."""

import os
import pathlib
import select
import shutil
import signal
import statistics
import subprocess
import time

from measure import Failed, Peer, fill
from table import Bars, Row

# At least so many starts of each; a start is short, and the first of them are cold.
STARTS = 20
TOPIC = "bench/topic"


def start_to_end(command, stdin):
    """Seconds; a spawn as light as can be."""
    null = os.open(os.devnull, os.O_WRONLY)
    source = os.open(stdin, os.O_RDONLY)
    begin = time.monotonic()
    actions = [(os.POSIX_SPAWN_DUP2, source, 0), (os.POSIX_SPAWN_DUP2, null, 1), (os.POSIX_SPAWN_DUP2, null, 2)]
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=actions)
    _, status = os.waitpid(pid, 0)
    seconds = time.monotonic() - begin
    os.close(null)
    os.close(source)
    if status:
        raise Failed(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return seconds


def start_to_reply(command, reply):
    """Seconds until `reply` stands on its stdout: for what does not end by itself, but would with its stdin."""
    begin = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        seen = b""
        while reply not in seen:
            ready, _, _ = select.select([process.stdout], [], [], 10)
            part = os.read(process.stdout.fileno(), 4096) if ready else b""
            if not part:
                raise Failed(f"{' '.join(command)}: no reply")
            seen += part
        return time.monotonic() - begin
    finally:
        process.kill()
        process.communicate()


def peak(command, stdin, report, reply=None):
    """The largest resident set in KiB, by GNU time."""
    timed = [shutil.which("time") or "time", "-f", "%M", "-o", str(report), *command]
    with open(stdin, "rb") as file:
        process = subprocess.Popen(timed, stdin=subprocess.PIPE if reply else file, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
    if reply:
        # Ended once it has replied, with time(1) left to tell.
        if reply not in process.stdout.readline():
            raise Failed(f"{' '.join(command)}: no reply")
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for child in children:
            os.kill(int(child), signal.SIGTERM)
    process.communicate(timeout=30)
    return int(report.read_text().split()[-1])


def measured(tools, runs, contenders, server):
    """Medians: name -> (seconds, KiB). A contender is a command and, where it does not end, its reply."""
    message = tools.dir / "message"
    message.write_text("hello\n")
    listener = Peer([tools.peers, server])
    try:
        port = listener.port()
        commands = {name: (fill(command, port), reply) for name, (command, reply) in tools.present(contenders).items()}
        times = {name: [] for name in commands}
        for _ in range(max(STARTS, runs)):
            each(tools, times, commands, lambda command, reply: (
                start_to_reply(command, reply) if reply else start_to_end(command, message)))
        peaks = {name: [] for name in commands}
        for _ in range(runs):
            each(tools, peaks, commands, lambda command, reply: peak(command, message, tools.dir / "time", reply))
    finally:
        listener.stop()
    return {name: (statistics.median(times[name]), statistics.median(peaks[name])) for name in commands}


def each(tools, found, commands, measure):
    """One figure more of each. Who fails is out of the contest, and the table says so."""
    for name, (command, reply) in list(commands.items()):
        try:
            found[name].append(measure(command, reply))
        except (Failed, OSError, ValueError, subprocess.TimeoutExpired) as failure:
            if name == "wspipe":
                raise
            tools.missing[name] = f"failed: {failure}"
            del commands[name]


def rows_of(what, found):
    """wspipe against each of the others, and the goals of a one-shot."""
    ours = found["wspipe"]
    seconds = {name: figures[0] * 1e3 for name, figures in found.items()}
    sets = {name: figures[1] * 1024 / 1e6 for name, figures in found.items()}
    rows = []
    for title, unit, goal, limit, figures in (
        ("start to end", "ms", "< 10 ms", 10, seconds),
        ("resident set", "MB", "< 5 MB", 5, sets),
    ):
        bars = Bars(f"{what}, {title}", unit, list(figures.items()), less=True)
        for name in (name for name in figures if not name.startswith("wspipe")):
            rows.append(Row(f"{what}, {title}", f"{figures['wspipe']:.1f} {unit}", name, f"{figures[name]:.1f} {unit}",
                            figures["wspipe"] / figures[name], goal, goal and figures["wspipe"] < limit, bars))
            # The goal and the bars are of all of them together: once.
            goal = bars = None
        if goal:
            ours = figures["wspipe"]
            rows.append(Row(f"{what}, {title}", f"{ours:.1f} {unit}", "", "", None, goal, ours < limit, bars))
    return rows


def oneshot(tools, runs, scale):
    """One message and its echo. wscat does not end at the reply: timed to it."""
    url = "ws://127.0.0.1:PORT/"
    found = measured(tools, runs, {
        "wspipe": ([tools.wspipe, "echo", "--quiet", url], None),
        "websocat": ([tools.websocat, "-1", url], None),
        "websocat 4": ([tools.websocat4, "-t", url], None),
        "wscat": ([tools.wscat, "-c", url, "-x", "hello", "-w", "-1"], b"hello"),
    }, "ws-echo")
    return rows_of("one-shot `echo`", found)


def oneshot_publish(tools, runs, scale):
    """One message to a broker, over TCP, which the others are at their best with. The same bytes, but not the same
    promise: wspipe waits for PINGRESP behind the message and for the broker's end of the connection, mosquitto_pub for
    neither, which on a busy machine are two more turns of the scheduler."""
    host = ["-h", "127.0.0.1", "-p", "PORT", "-t", TOPIC, "-m", "hello"]
    found = measured(tools, runs, {
        "wspipe": ([tools.wspipe, "pub", "mqtt://127.0.0.1:PORT", "-t", TOPIC, "-m", "hello"], None),
        "wspipe, ws://": ([tools.wspipe, "pub", "ws://127.0.0.1:PORT/mqtt", "-t", TOPIC, "-m", "hello"], None),
        "mosquitto": ([shutil.which("mosquitto_pub"), *host], None),
        "MQTT.js": ([tools.mqttjs, "pub", *host], None),
        "paho": ([tools.python, tools.paho, "pub", "127.0.0.1", "PORT", TOPIC, "hello"], None),
    }, "mqtt-broker")
    return rows_of("one-shot `pub`", found)


def libraries(path):
    """Bytes of the shared libraries besides libc's own, as ldd finds them."""
    own = ("libc.so", "libm.so", "libpthread.so", "libdl.so", "librt.so", "ld-linux", "libgcc_s.so")
    total = 0
    for line in subprocess.run(["ldd", path], capture_output=True, text=True).stdout.splitlines():
        words = line.split()
        if "=>" in words and len(words) > 2 and words[2].startswith("/") and not words[0].startswith(own):
            total += os.stat(words[2]).st_size
    return total


def tree(path):
    """Bytes of all files below `path`."""
    return sum(os.lstat(os.path.join(folder, name)).st_size for folder, _, names in os.walk(path) for name in names)


def size(tools, runs, scale):
    """What is on disk, and what else must be there."""
    def binary(path):
        return os.stat(path).st_size, libraries(path), "shared libraries"

    def script(root, runtime):
        path = os.path.realpath(shutil.which(runtime) or runtime)
        return tree(root), os.stat(path).st_size + libraries(path), os.path.basename(runtime)

    npm, venv = tools.dir, tools.dir / "venv" / "lib"
    made = {
        "wspipe": lambda: binary(tools.wspipe),
        "websocat": lambda: binary(tools.websocat),
        "websocat 4": lambda: binary(tools.websocat4),
        "mosquitto": lambda: binary(shutil.which("mosquitto_pub")),
        "wscat": lambda: script(npm / "npm-wscat" / "node_modules", "node"),
        "MQTT.js": lambda: script(npm / "npm-mqtt" / "node_modules", "node"),
        "paho": lambda: script(next(venv.glob("python*/site-packages/paho")), "python3"),
    }
    found = {name: make() for name, make in tools.present(made).items()}
    bars = Bars("size, with what it needs", "MB", [(n, (own + needs) / 1e6) for n, (own, needs, _) in found.items()],
                less=True)
    words = {name: f"{own / 1e6:.2f} MB + {needs / 1e6:.1f} MB {of}" for name, (own, needs, of) in found.items()}
    total = {name: own + needs for name, (own, needs, _) in found.items()}
    rows = []
    for name in found:
        if name != "wspipe":
            rows.append(Row("size on disk + what it needs besides libc", words["wspipe"], name, words[name],
                            total["wspipe"] / total[name], bars=bars))
            bars = None
    return rows


BENCHMARKS = {"oneshot": oneshot, "oneshot-publish": oneshot_publish, "size": size}
