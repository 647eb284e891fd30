"""The agents' port: mutual TLS with the console's own authority, every connection decided in `console.peer_protocol`."""

import asyncio
import socket
import ssl

from console.peer_protocol import Gate

SWEEP_S = 1.0
SHUTDOWN_S = 3.0


class AgentsListener:
    """Accepts connections until stopped."""

    def __init__(self, gate: Gate, listening: socket.socket, context: ssl.SSLContext) -> None:
        self._gate = gate
        self._listening = listening
        self._context = context
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to accept."""
        patience = self._gate.patience
        self._server = await asyncio.get_running_loop().create_server(
            self._gate.make_protocol,
            sock=self._listening,
            ssl=self._context,
            ssl_handshake_timeout=patience.handshake_s,
            ssl_shutdown_timeout=SHUTDOWN_S,
            backlog=4096,
        )
        self._sweeper = asyncio.create_task(self._sweep())

    async def stop(self) -> None:
        """Stop accepting, let requests under way be answered, and end every connection."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._server is not None:
            self._server.close()
        for protocol in list(self._gate.protocols):
            protocol.shutdown()
        deadline = asyncio.get_running_loop().time() + SHUTDOWN_S
        while self._gate.state.tasks and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.02)
        for protocol in list(self._gate.protocols):
            protocol.drop()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self._gate.sweep(asyncio.get_running_loop().time())
