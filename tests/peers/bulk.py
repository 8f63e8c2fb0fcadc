"""An echo server that is not ours, for very many messages, on a loopback port that it prints.

It is the protocol of Python `websockets` without its coroutines: what one read brings in goes back in one write.
"""

import asyncio

from websockets.frames import Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol


class Bulk(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.protocol = ServerProtocol(max_size=None)

    def data_received(self, data):
        self.protocol.receive_data(data)
        self.react()

    def react(self):
        protocol = self.protocol
        for event in protocol.events_received():
            if isinstance(event, Request):
                protocol.send_response(protocol.accept(event))
            elif event.opcode is Opcode.TEXT:
                protocol.send_text(event.data, event.fin)
            elif event.opcode is Opcode.BINARY:
                protocol.send_binary(event.data, event.fin)
            elif event.opcode is Opcode.CONT:
                protocol.send_continuation(event.data, event.fin)
        self.transport.write(b"".join(protocol.data_to_send()))
        if protocol.close_expected():
            self.transport.close()

    def eof_received(self):
        self.protocol.receive_eof()
        self.react()

    # The peer that does not read is not read from.
    def pause_writing(self):
        self.transport.pause_reading()

    def resume_writing(self):
        self.transport.resume_reading()


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Bulk, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
