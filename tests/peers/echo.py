"""A WebSocket server that is not ours, on a loopback port that it prints. What it does goes by the path:

/echo     every message back, text as text, binary as binary
/greet    the same after a greeting
/wrong    the message back to front
/other    the right bytes, text as binary and binary as text
/mute     nothing back
/once     the first message back, the others not
/close    Close 1011 "out of order" in place of a reply
/basic    as /echo, for those who send HTTP Basic "anna:secret"; 401 for others
/header   the request's X-Test header as the only message
"""

import asyncio
import logging

from websockets.asyncio.server import serve


async def behave(connection):
    path = connection.request.path
    if path == "/header":
        await connection.send(connection.request.headers.get("X-Test", "none"))
    if path == "/greet":
        await connection.send("welcome")
    replies = 0
    async for message in connection:
        if path == "/mute" or (path == "/once" and replies):
            continue
        replies += 1
        if path == "/wrong":
            message = message[::-1]
        elif path == "/other":
            message = message.encode() if isinstance(message, str) else message.decode()
        elif path == "/close":
            await connection.close(1011, "out of order")
            return
        await connection.send(message)


def admit(connection, request):
    if request.path == "/basic" and request.headers.get("Authorization") != "Basic YW5uYTpzZWNyZXQ=":
        return connection.respond(401, "who are you?\n")
    return None


async def main():
    logging.basicConfig(level=logging.INFO)
    async with serve(behave, "127.0.0.1", 0, process_request=admit, max_size=1 << 24) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


asyncio.run(main())
