"""The benchmarks of `pub` and `sub`, against mosquitto's clients over plain TCP, MQTT.js's and a script on paho."""

from cat import counted, ratio
from measure import Failed, alternate, inward, median, outward
from table import Bars, Row

SIZE = 64
WS = "ws://127.0.0.1:PORT/mqtt"
TCP = "mqtt://127.0.0.1:PORT"
TOPIC = ["-t", "bench/topic"]
# Standing for the host and port that mosquitto's clients take apart from each other.
PLAIN = ["-h", "127.0.0.1", "-p", "PORT"]


def per_second(count, seconds):
    return "failed" if not seconds else f"{count / seconds / 1e6:.2f} M messages/s"


def cpu_each(count, seconds):
    return "failed" if seconds is None else f"{seconds / count * 1e9:.0f} ns CPU/message"


def publishing(tools, command, count, receive=0, whole=True):
    """One run of a publisher of `count` lines; `whole`: all of them must arrive."""
    sink = ["mqtt-sink", f"count={count}", f"receive={receive}"]
    figures = outward(tools, command, sink, ["feed", f"count={count}", f"size={SIZE}", "format=line"])
    if whole and figures["messages"] != count:
        raise Failed(f"{figures['messages']} messages of {count} arrived")
    return figures


def subscribing(tools, command, count, frame, endless=False):
    """One run of a subscriber; `endless`: it is ended once all has come."""
    source = ["mqtt-source", f"count={count}", f"size={SIZE}", f"frame={frame}"]
    return inward(tools, command, source, count * (SIZE + 1), endless=endless)


def slower(title, found, counts, ours):
    """Rows of those that get fewer messages, by message: the time of ours as a part of theirs."""
    rows = []
    for name in ("MQTT.js", "paho"):
        if name not in found:
            continue
        each = [median(found[who], "seconds") for who in (ours, name)]
        each = [seconds and seconds / count for seconds, count in zip(each, (counts[ours], counts[name]))]
        words = [f"{one * 1e6:.2f} us/message" if one else "failed" for one in each]
        rows.append(Row(f"{title}, mqtt://, by message", words[0], f"{name}, {counts[name]:,} of them", words[1],
                        ratio(each[1], each[0])))
    return rows


def speeds(title, found, counts, names):
    """Bars of messages a second."""
    medians = {label: (counts[name], median(found.get(name), "seconds")) for name, label in names.items()}
    return Bars(title, "M messages/s", [(label, n / s / 1e6) for label, (n, s) in medians.items() if s])


def compared(what, ours, theirs, count, faster_goal):
    """The rows of one way of ours next to theirs: speed, CPU time, and that of the peer."""
    speed = [median(figures, "seconds") for figures in (ours, theirs)]
    cpu = [median(figures, "cpu") for figures in (ours, theirs)]
    faster, cheaper = ratio(speed[1], speed[0]), ratio(cpu[0], cpu[1])
    peer = median(ours, "peer_cpu")
    return [
        Row(what, per_second(count, speed[0]), "mosquitto, TCP", per_second(count, speed[1]), faster,
            f">= {faster_goal}", faster and faster >= faster_goal),
        Row(f"{what}: CPU time", cpu_each(count, cpu[0]), "mosquitto, TCP", cpu_each(count, cpu[1]), cheaper,
            "<= 0.1", cheaper and cheaper <= 0.1),
        Row(f"{what}: the peer's own CPU time", cpu_each(count, peer and peer / 1e9), "", ""),
    ]


def publish(tools, runs, scale):
    """Lines at QoS 0."""
    count, few = int(3_000_000 * scale), max(1000, int(30_000 * scale))
    counts = {"ws": count, "mqtt": count, "mosquitto": count, "MQTT.js": few, "paho": few}
    ours = [tools.wspipe, "pub", "-l", *TOPIC]
    script = [tools.python, tools.paho, "lines", "127.0.0.1", "PORT", TOPIC[1]]
    commands = {
        "ws": [*ours, WS],
        "mqtt": [*ours, TCP],
        "mosquitto": ["mosquitto_pub", "-l", *TOPIC, *PLAIN],
        "MQTT.js": [tools.mqttjs, "pub", *TOPIC, *PLAIN, "-s", "-M"],
        "paho": script,
    }
    found = alternate(runs, tools.present({
        name: lambda command=command, name=name: publishing(tools, command, counts[name])
        for name, command in commands.items()
    }))
    rows = []
    for scheme in ("ws", "mqtt"):
        what = f"`pub -l` of {count:,} lines of {SIZE} bytes, {scheme}://"
        rows += compared(what, found[scheme], found.get("mosquitto", []), count, 10)
    names = {"ws": "wspipe, ws://", "mqtt": "wspipe, mqtt://", "mosquitto": "mosquitto", "MQTT.js": "MQTT.js",
             "paho": "paho"}
    rows[0].bars = speeds("publish lines at QoS 0", found, counts, names)
    return rows + slower("`pub -l`", found, counts, "mqtt")


def publish1(tools, runs, scale):
    """Lines at QoS 1, whole; mosquitto_pub leaves before its lines have."""
    count = int(1_000_000 * scale)
    ours = [tools.wspipe, "pub", "-l", "-q", "1", *TOPIC]
    theirs = ["mosquitto_pub", "-l", "-q", "1", *TOPIC, *PLAIN]
    found = alternate(runs, {
        "ws": lambda: publishing(tools, [*ours, WS], count),
        "mqtt": lambda: publishing(tools, [*ours, TCP], count),
        # What mosquitto's broker announces, and what libmosquitto keeps to by itself.
        "ws, Receive Maximum 20": lambda: publishing(tools, [*ours, WS], count, receive=20),
        **tools.present({"mosquitto": lambda: publishing(tools, theirs, count, whole=False)}),
    })
    theirs = found.pop("mosquitto", [])
    arrived = median(theirs, "messages")
    rows = []
    for name, figures in found.items():
        seconds = median(figures, "seconds")
        each = seconds / count * 1e6 if seconds else None
        # A window of 20 is a round trip for each 20 lines, of the three system calls that one takes: that is the limit.
        free = "20" not in name
        goal = "<= 1.5 us" if free else ""
        rows.append(Row(f"`pub -l -q 1` of {count:,} lines, all of them, {name}",
                        f"{each:.2f} us/line" if each else "failed", "mosquitto, TCP",
                        f"{arrived:,.0f} arrived" if theirs else "failed", None, goal,
                        goal and each and each <= 1.5 if goal else None))
        cpu = median(figures, "cpu")
        # Theirs by what arrived: the rest was read for nothing.
        other = median(theirs, "cpu") * count / arrived if arrived else None
        cheaper = ratio(cpu, other)
        rows.append(Row(f"the same, {name}: CPU time", cpu_each(count, cpu), "mosquitto, TCP, by what arrived",
                        cpu_each(count, other), cheaper, "<= 0.1" if free else "",
                        cheaper and cheaper <= 0.1 if free else None))
    return rows


def subscribe(tools, runs, scale):
    """Messages at QoS 0 to lines."""
    count, few = int(3_000_000 * scale), max(1000, int(50_000 * scale))
    ways = {"ws, a frame each": (WS, "one"), "ws, many to a frame": (WS, "many"), "mqtt": (TCP, "many")}
    counts = {**dict.fromkeys([*ways, "mosquitto"], count), "MQTT.js": few, "paho": few}
    contenders = {
        name: lambda url=url, frame=frame: subscribing(
            tools, [tools.wspipe, "sub", *TOPIC, url, "-C", str(count)], count, frame)
        for name, (url, frame) in ways.items()
    }
    script = [tools.python, tools.paho, "sub", "127.0.0.1", "PORT", TOPIC[1], str(few)]
    contenders.update(tools.present({
        "mosquitto": lambda: subscribing(
            tools, ["mosquitto_sub", *TOPIC, *PLAIN, "-C", str(count)], count, "many"),
        "MQTT.js": lambda: subscribing(tools, [tools.mqttjs, "sub", *TOPIC, *PLAIN], few, "many", endless=True),
        "paho": lambda: subscribing(tools, script, few, "many"),
    }))
    found = alternate(runs, contenders)
    rows = []
    for name in ways:
        what = f"`sub` of {count:,} messages of {SIZE} bytes, {name}"
        rows += compared(what, found[name], found.get("mosquitto", []), count, 20)
    names = {"ws, a frame each": "wspipe, ws://", "mqtt": "wspipe, mqtt://", "mosquitto": "mosquitto",
             "MQTT.js": "MQTT.js", "paho": "paho"}
    rows[0].bars = speeds("subscribe, messages to lines", found, counts, names)
    return rows + slower("`sub`", found, counts, "mqtt")


def mqtt_instructions(tools, runs, scale):
    """Instructions a message, by the difference of two runs of different length."""
    if tools.lacks("valgrind"):
        return []
    few, many = 20_000, 60_000
    ways = {
        "`pub -l`": lambda count, prefix: publishing(
            tools, [*prefix, tools.wspipe, "pub", "-l", *TOPIC, WS], count),
        "`pub -l -q 1`": lambda count, prefix: publishing(
            tools, [*prefix, tools.wspipe, "pub", "-l", "-q", "1", *TOPIC, WS], count),
        "`sub`, a frame each": lambda count, prefix: subscribing(
            tools, [*prefix, tools.wspipe, "sub", *TOPIC, WS, "-C", str(count)], count, "one"),
        "`sub`, many to a frame": lambda count, prefix: subscribing(
            tools, [*prefix, tools.wspipe, "sub", *TOPIC, WS, "-C", str(count)], count, "many"),
    }
    return [
        Row(f"instructions a message of {SIZE} bytes, {way}", f"{counted(tools, run, few, many):.0f}", "", "")
        for way, run in ways.items()
    ]


BENCHMARKS = {
    "publish": publish,
    "publish1": publish1,
    "subscribe": subscribe,
    "mqtt-instructions": mqtt_instructions,
}
