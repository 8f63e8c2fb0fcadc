"""Throws away one message of BYTES zeros that `wspipe cat --in whole` sends, and says what it took.

sink.py BYTES WSPIPE
"""

import base64
import hashlib
import socket
import subprocess
import sys
import time

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
LIMIT_KIB = 20 * 1024


def upgrade(stream):
    key = None
    while (line := stream.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        if name.lower() == b"sec-websocket-key":
            key = value.strip()
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
    return b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"


def frame(stream, buffer):
    """The first byte and the length; the payload is overwritten."""
    first, length = stream.read(2)
    length &= 0x7F
    if length > 125:
        length = int.from_bytes(stream.read(2 if length == 126 else 8), "big")
    stream.read(4)
    left = length
    while left:
        read = stream.readinto(memoryview(buffer)[:left])
        if not read:
            raise EOFError("it ended within a frame")
        left -= read
    return first, length


def main(expected, wspipe):
    listener = socket.create_server(("127.0.0.1", 0))
    url = "ws://127.0.0.1:%d/" % listener.getsockname()[1]
    begun = time.monotonic()
    zeros = subprocess.Popen(["head", "-c", str(expected), "/dev/zero"], stdout=subprocess.PIPE)
    cat = subprocess.Popen([wspipe, "cat", url, "-b", "--in", "whole", "-w", "0"], stdin=zeros.stdout)
    zeros.stdout.close()
    connection, _ = listener.accept()
    stream = connection.makefile("rb", buffering=1 << 20)
    connection.sendall(upgrade(stream))
    buffer, received, frames, last = bytearray(1 << 20), 0, 0, 0
    while True:
        first, length = frame(stream, buffer)
        if first == 0x88:
            break
        if first & 0x08 == 0:
            received, frames, last = received + length, frames + 1, first
    # While it waits for our Close; what the kernel tells of a dead child begins with our own memory.
    with open("/proc/%d/status" % cat.pid) as file:
        peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))
    connection.sendall(b"\x88\x02\x03\xe8")
    connection.shutdown(socket.SHUT_WR)
    status = cat.wait()
    zeros.wait()
    took = time.monotonic() - begun
    print("%d bytes in %d frames, %.1f s, %.0f MB/s; at most %d KiB resident; status %d"
          % (received, frames, took, received / took / 1e6, peak, status))
    return 0 if (received, status, last) == (expected, 0, 0x80) and peak <= LIMIT_KIB else 1


sys.exit(main(int(sys.argv[1]), sys.argv[2]))
