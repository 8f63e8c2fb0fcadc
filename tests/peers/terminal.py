"""Runs a command on a terminal of its own: what comes on stdin is typed there, what the screen shows goes to stdout.

terminal.py COMMAND…

The exit status is the command's, 128 and more for a signal, 97 where it left O_NONBLOCK on the terminal or had it
there while it ran, 98 where it left the terminal without echo.
"""

import fcntl
import os
import pty
import select
import sys
import termios


def main(command):
    screen, line = pty.openpty()
    pid = os.fork()
    if pid == 0:
        os.close(screen)
        os.login_tty(line) if hasattr(os, "login_tty") else login(line)
        os.execv(command[0], command)
    nonblocking = False
    sources = [screen, 0]
    status = None
    while status is None or select.select([screen], [], [], 0)[0]:
        ready = select.select(sources, [], [], 0.02)[0]
        nonblocking |= bool(fcntl.fcntl(line, fcntl.F_GETFL) & os.O_NONBLOCK)
        if screen in ready:
            os.write(1, os.read(screen, 65536))
        if 0 in ready:
            typed = os.read(0, 65536)
            if typed:
                os.write(screen, typed)
            else:
                sources.remove(0)
        if status is None:
            ended, how = os.waitpid(pid, os.WNOHANG)
            if ended:
                status = os.waitstatus_to_exitcode(how)
    if not termios.tcgetattr(line)[3] & termios.ECHO:
        sys.exit(98)
    sys.exit(97 if nonblocking else status if status >= 0 else 128 - status)


def login(line):
    os.setsid()
    fcntl.ioctl(line, termios.TIOCSCTTY, 0)
    for fd in range(3):
        os.dup2(line, fd)
    if line > 2:
        os.close(line)


main(sys.argv[1:])
