"""Autobahn's fuzzing server on a loopback port of the system's choice. Python 2.7.

server.py OUTDIR

stdout has the port and the number of cases, one line. A client runs case N by connecting to
/runCase?case=N&agent=NAME; /updateReports?agent=NAME writes OUTDIR/index.json. It ends when stdin does.

Sections 12 and 13 are left out: they are about compression, which wspipe does not offer.
"""

import sys
import threading

# Everything that the suite prints goes to stderr.
stdout, sys.stdout = sys.stdout, sys.stderr

from autobahntestsuite.fuzzing import FuzzingServerFactory  # noqa: E402
from twisted.internet import reactor  # noqa: E402  (the suite chooses which)

SPEC = {
    # The port is a placeholder until there is one.
    "url": "ws://127.0.0.1:9001",
    "outdir": sys.argv[1],
    "cases": ["*"],
    "exclude-cases": ["12.*", "13.*"],
    "exclude-agent-cases": {},
}


def end_with_stdin():
    sys.stdin.read()
    reactor.callFromThread(reactor.stop)


def main():
    factory = FuzzingServerFactory(SPEC)
    # HTML takes longer than the cases.
    reports = factory.createReports
    factory.createReports = lambda: reports(produceHtml=False)
    # The suite's own server listens on every address.
    listener = reactor.listenTCP(0, factory, interface="127.0.0.1")
    factory.port = factory.externalPort = listener.getHost().port
    stdout.write("%d %d\n" % (factory.port, len(factory.specCases)))
    stdout.flush()
    reader = threading.Thread(target=end_with_stdin)
    reader.daemon = True
    reader.start()
    reactor.run()


main()
