"""A provider that costs next to nothing: says back what it was sent. Prints its port; ends with its stdin."""

from __future__ import annotations

import asyncio
import sys


class Echo(asyncio.Protocol):
    """Answers every request with its own body, or with `{}` where it had none."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.waiting = transport, b""

    def data_received(self, data: bytes) -> None:
        self.waiting += data
        while True:
            head, found, rest = self.waiting.partition(b"\r\n\r\n")
            if not found:
                return
            _, _, length = head.lower().partition(b"content-length: ")
            size = int(length.partition(b"\r\n")[0] or 0)
            if len(rest) < size:
                return
            self.waiting, body = rest[size:], rest[:size] or b"{}"
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
