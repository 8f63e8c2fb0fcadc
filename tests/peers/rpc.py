"""A JSON-RPC 2.0 server over WebSocket, on a loopback port that it prints: `sum`, with notifications around the answer."""

import asyncio
import json

from websockets.asyncio.server import serve


def text(**members):
    return json.dumps({"jsonrpc": "2.0", **members})


async def answer(ws):
    async for message in ws:
        request = json.loads(message)
        await ws.send(text(method="progress", params={"done": 0.5}))
        if request["method"] == "sum":
            await ws.send(text(id=request["id"], result=sum(request["params"])))
        await ws.send(text(method="progress", params={"done": 1}))


async def main():
    async with serve(answer, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().create_future()


asyncio.run(main())
