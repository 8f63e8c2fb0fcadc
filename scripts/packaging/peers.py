"""What chroot-test needs beside the echo server: a nameserver on 127.0.0.1 port 53, and TLS in front of the server.

    peers.py ECHO-PORT CERTIFICATE KEY [CERTIFICATE KEY]…

Prints a port where nobody ever answers, and one for each certificate, in one line, when all is ready.
"""

import socket
import ssl
import sys
import threading

# Name, type of the question (1 is A, 28 is AAAA): the answer. Names that are not here do not exist.
ZONE = {("echo.example", 1): socket.inet_aton("127.0.0.1"), ("six.example", 28): bytes(15) + b"\x01"}


def answer(question):
    """The response to a message with one question (RFC 1035 section 4.1)."""
    labels, at = [], 12
    while length := question[at]:
        labels.append(question[at + 1 : at + 1 + length].decode("ascii", "replace").lower())
        at += 1 + length
    kind = int.from_bytes(question[at + 1 : at + 3], "big")
    name = ".".join(labels)
    record = ZONE.get((name, kind))
    unknown = not any(name == known for known, _ in ZONE)
    # A response, authoritative; recursion is there; NXDOMAIN for what does not exist.
    head = question[:2] + b"\x85" + bytes([0x80 | 3 * unknown]) + bytes([0, 1, 0, int(record is not None), 0, 0, 0, 0])
    message = head + question[12 : at + 5]
    if record is None:
        return message
    return message + b"\xc0\x0c" + question[at + 1 : at + 5] + bytes([0, 0, 0, 60, 0, len(record)]) + record


def name_server(listener):
    while True:
        question, client = listener.recvfrom(4096)
        listener.sendto(answer(question), client)


def copy(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    finally:
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def relay(client, context, port):
    try:
        client = context.wrap_socket(client, server_side=True)
    except (OSError, ssl.SSLError):
        # That is what some of the tests are about.
        return client.close()
    server = socket.create_connection(("127.0.0.1", port))
    threading.Thread(target=copy, args=(client, server), daemon=True).start()
    copy(server, client)


def tls_server(listener, context, port):
    while True:
        client, _ = listener.accept()
        threading.Thread(target=relay, args=(client, context, port), daemon=True).start()


def main(echo, *files):
    names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    names.bind(("127.0.0.1", 53))
    threading.Thread(target=name_server, args=(names,), daemon=True).start()
    mute = socket.create_server(("127.0.0.1", 0))
    ports = [mute.getsockname()[1]]
    for certificate, key in zip(files[::2], files[1::2]):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        listener = socket.create_server(("127.0.0.1", 0))
        ports.append(listener.getsockname()[1])
        threading.Thread(target=tls_server, args=(listener, context, int(echo)), daemon=True).start()
    print(*ports, flush=True)
    threading.Event().wait()


main(*sys.argv[1:])
