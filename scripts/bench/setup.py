"""Builds wspipe and installs what it is compared with, each only where it is missing: all of it in target/bench,
but for Debian's packages. What cannot be had is noted in `Tools.missing`, and the table says so."""

import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What the benchmarks were written for; a new version is a line here.
WEBSOCAT = "1.14.0"
WEBSOCAT4 = "4.0.0-alpha3"
WSCAT = "6.1.0"
MQTTJS = "5.16.0"
PAHO = "2.1.0"
# Command -> Debian's package.
DEBIAN = {
    "mosquitto_pub": "mosquitto-clients",
    "node": "nodejs",
    "npm": "npm",
    "openssl": "openssl",
    "socat": "socat",
    "time": "time",
    "valgrind": "valgrind",
}
# Building a peer takes minutes, no more.
LIMIT = 1800


class Tools:
    """Where everything is."""

    def __init__(self):
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).absolute()
        self.dir = target / "bench"
        self.wspipe = str(target / "release" / "wspipe")
        self.peers = str(self.dir / "build" / "release" / "bench-peers")
        self.websocat = str(self.dir / "websocat" / "bin" / "websocat")
        self.websocat4 = str(self.dir / "websocat4" / "bin" / "websocat")
        self.wscat = str(self.dir / "npm-wscat" / "node_modules" / ".bin" / "wscat")
        self.mqttjs = str(self.dir / "npm-mqtt" / "node_modules" / ".bin" / "mqtt")
        self.python = str(self.dir / "venv" / "bin" / "python")
        self.paho = str(ROOT / "scripts" / "bench" / "peers" / "paho_client.py")
        # Certificate and key of the benchmarks under TLS.
        self.pem = str(self.dir / "tls.pem")
        # Contender -> why it is not here.
        self.missing = {}

    def present(self, contenders):
        """Those of `contenders` (name -> anything) that are here; a name's first words say which it is."""
        return {name: value for name, value in contenders.items() if not self.lacks(name)}

    def lacks(self, name):
        return any(name == lacking or name.startswith(f"{lacking},") for lacking in self.missing)


def say(text):
    print(f"scripts/bench/run: {text}", file=sys.stderr)


def ran(command, **more):
    """Whether `command` succeeded. Its output to stderr: stdout is for the table."""
    try:
        done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=2, timeout=LIMIT, **more)
    except (OSError, subprocess.TimeoutExpired) as error:
        say(str(error))
        return False
    return done.returncode == 0


def cargo(arguments, target=None):
    environment = dict(os.environ)
    if target:
        environment["CARGO_TARGET_DIR"] = str(target)
    return ran(["cargo", *arguments], env=environment)


def debian(packages):
    root = [] if os.getuid() == 0 else ["sudo", "-n"]
    line = [*root, "apt-get", "install", "-y", "--no-install-recommends", *packages]
    say(f"installing {' '.join(packages)}")
    # The lists may be missing or stale on a fresh machine.
    if not (ran([*root, "apt-get", "update"]) and ran(line)):
        say(f"missing packages; type: {' '.join(line)}")


def websocat(tools, name, version, path, root):
    if os.access(path, os.X_OK):
        return
    say(f"building websocat {version}: minutes")
    # Not --locked: the traitobject 0.1.0 of 1.14's lock file is no longer accepted by rustc (0.1.1 is).
    arguments = ["install", "--quiet", "--root", str(tools.dir / root), "websocat", "--version", f"={version}"]
    if not cargo(arguments, tools.dir / f"build-{root}"):
        tools.missing[name] = f"cargo cannot install websocat {version}"


def npm(tools, name, package, version, path, root):
    if os.access(path, os.X_OK):
        return
    if not shutil.which("npm") or not shutil.which("node"):
        tools.missing[name] = "there is no Node.js with npm"
        return
    say(f"installing {package} {version}")
    # Each in its own folder, whose size is then what it takes.
    prefix = tools.dir / root
    prefix.mkdir(parents=True, exist_ok=True)
    if not ran(["npm", "install", "--prefix", str(prefix), "--no-audit", "--no-fund", "--silent", f"{package}@{version}"]):
        tools.missing[name] = f"npm cannot install {package} {version}"


def paho(tools):
    def there():
        return subprocess.run([tools.python, "-c", "import paho.mqtt.client"], capture_output=True).returncode == 0

    if os.access(tools.python, os.X_OK) and there():
        return
    say(f"installing paho-mqtt {PAHO}")
    # Debian's, where the first of PATH is another that cannot make an environment.
    for python in ("python3", "/usr/bin/python3"):
        if ran([python, "-m", "venv", "--clear", str(tools.dir / "venv")]):
            break
    pip = [tools.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"paho-mqtt=={PAHO}"]
    if not (ran(pip) and there()):
        tools.missing["paho"] = f"pip cannot install paho-mqtt {PAHO} into a virtual environment"


def certificate(tools):
    if os.path.exists(tools.pem):
        return
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj", "/CN=localhost",
               "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", f"{tools.pem}.key", "-out", tools.pem]
    if not ran(command, stderr=subprocess.DEVNULL):
        sys.exit("scripts/bench/run: openssl cannot make a certificate")
    with open(tools.pem, "a", encoding="ascii") as pem:
        pem.write(pathlib.Path(f"{tools.pem}.key").read_text(encoding="ascii"))


def install(what):
    """Installs what the benchmarks in `what` need."""
    tools = Tools()
    tools.dir.mkdir(parents=True, exist_ok=True)
    missing = [package for command, package in DEBIAN.items() if not shutil.which(command)]
    if missing:
        debian(missing)
    for command, name in (("mosquitto_pub", "mosquitto"), ("socat", "socat"), ("valgrind", "valgrind")):
        if not shutil.which(command):
            tools.missing[name] = f"{DEBIAN[command]} is not installed"
    if {"lines", "oneshot", "tls", "load", "size"} & set(what):
        websocat(tools, "websocat", WEBSOCAT, tools.websocat, "websocat")
        websocat(tools, "websocat 4", WEBSOCAT4, tools.websocat4, "websocat4")
    if {"oneshot", "size"} & set(what):
        npm(tools, "wscat", "wscat", WSCAT, tools.wscat, "npm-wscat")
    if {"oneshot-publish", "publish", "subscribe", "size"} & set(what):
        npm(tools, "MQTT.js", "mqtt", MQTTJS, tools.mqttjs, "npm-mqtt")
        paho(tools)
    if "tls" in what:
        certificate(tools)
    manifest = str(ROOT / "scripts" / "bench" / "peers" / "Cargo.toml")
    if not cargo(["build", "--release", "--quiet", "--locked", "--manifest-path", manifest], tools.dir / "build"):
        sys.exit("scripts/bench/run: the peers do not build")
    if not cargo(["build", "--release", "--quiet"]):
        sys.exit("scripts/bench/run: wspipe does not build")
    return tools


def version_of(*command):
    """The first line that `command` says."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return ((done.stdout or done.stderr).splitlines() or ["unknown"])[0].strip()


def versions(tools):
    """What was compared, in words."""
    socat = [line for line in subprocess.run(["socat", "-V"], capture_output=True, text=True).stdout.splitlines()
             if "version" in line] if "socat" not in tools.missing else []
    found = {
        "websocat": f"websocat {WEBSOCAT}",
        "websocat 4": f"websocat {WEBSOCAT4}",
        "wscat": f"wscat {WSCAT}",
        "MQTT.js": f"MQTT.js {MQTTJS} (Node.js {version_of('node', '--version')})",
        "paho": f"paho-mqtt {PAHO} ({version_of(tools.python, '--version')})",
        "mosquitto": version_of("mosquitto_pub", "--version").split(" running")[0],
        "socat": socat[0].split(" on ")[0].strip() if socat else "socat",
    }
    return [*tools.present(found).values(), version_of("openssl", "version").split(" (")[0]]
