"""Runs the console: both listeners in one process, the chores beside them, an orderly end."""

import asyncio
import contextlib
import gc
import logging
import resource
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import uvicorn
from uvicorn.server import ServerState

from console import wiring
from console.agents_listener import AgentsListener
from console.authority import Authority
from console.listening import address_of, check_state_directory, listen
from console.notify_manager import tell_manager
from console.parts import AUTHORITY, Parts, agents_url, now, now_ms, open_parts, people_url
from console.patient_protocol import Patience, PatientProtocol
from console.peer_protocol import server_context
from console.settings import ConsoleSettings
from console.state_lock import held
from contracts.errors import HoldfastError
from contracts.record import Record

TICK_S = 0.5
CHORES_S = 60.0
PRUNE_EVERY = 60
"""Chores between two prunings: once an hour."""
PEOPLE = Patience(first_request_s=15.0, request_s=20.0, max_connections=4000)
"""Patience with browsers: they open connections ahead of need, and send small forms."""
_LOG = logging.getLogger("holdfast.console")


class Serving(Record):
    """What a console that has started says of itself."""

    people: str
    agents: str
    people_url: str
    agents_url: str


class PeopleServer(uvicorn.Server):
    """The people's listener; it ends connections that are too slow. Signals are the whole console's affair and not its."""

    async def on_tick(self, counter: int) -> bool:
        """Once a second, end the connections that take too long."""
        if counter % 10 == 0:
            now = asyncio.get_running_loop().time()
            for one in list(self.server_state.connections):
                if isinstance(one, PatientProtocol) and one.overdue(now):
                    one.drop()
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


async def serve(
    settings: ConsoleSettings,
    started: Callable[[Serving, Parts], object],
    stop: asyncio.Event | None = None,
) -> None:
    """Run until SIGTERM, SIGINT or `stop`; `started` is called (and awaited if it is a coroutine) once both listeners answer.

    Raises `HoldfastError` for everything a person can mend.
    """
    stop = stop or asyncio.Event()
    allow_many_connections()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(ValueError, RuntimeError):  # not the main thread: a test stops us by the event
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with contextlib.ExitStack() as stack:
        people = stack.enter_context(listen(settings.people.listen, "people"))
        agents = stack.enter_context(listen(settings.agents.listen, "agents"))
        check_state_directory(Path(settings.state))
        stack.enter_context(held(Path(settings.state)))
        parts = await asyncio.to_thread(open_parts, settings)
        try:
            await _run(wiring.make_server(parts, address_of(people), address_of(agents)), people, agents, started, stop)
        finally:
            await parts.store.close()


def allow_many_connections() -> None:
    """Use all the open files the system allows: a shell's usual 1024 would be fewer than a fleet has agents."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def settle_memory() -> None:
    """Let the collector pass over what lives as long as the process, and come by less often: each full round stops every agent's answer."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


async def _run(
    server: wiring.Server,
    people: socket.socket,
    agents: socket.socket,
    started: Callable[[Serving, Parts], object],
    stop: asyncio.Event,
) -> None:
    settings = server.parts.settings
    for certificate in (server.agents_certificate, server.people_certificate):
        certificate.ensure(server.authority(), now())
    await server.peers.refresh()
    server.pulse.load(await server.parts.store.agents(now_ms()))
    context = server_context(
        str(server.agents_certificate.chain), str(server.agents_certificate.key), server.authority().trusted()
    )
    listener = AgentsListener(server.gate, agents, context)
    pages = PeopleServer(_people_config(server))
    await listener.start()
    tasks = [
        asyncio.create_task(pages.serve(sockets=[people]), name="pages"),
        asyncio.create_task(_tick(server), name="tick"),
        asyncio.create_task(_chores(server, context, pages.config.ssl), name="chores"),
    ]
    while not pages.started and not tasks[0].done():
        await asyncio.sleep(0.01)
    told = started(
        Serving(
            people=address_of(people),
            agents=address_of(agents),
            people_url=people_url(settings, address_of(people)),
            agents_url=agents_url(settings, address_of(agents)),
        ),
        server.parts,
    )
    if asyncio.iscoroutine(told):
        await told
    settle_memory()
    tell_manager("READY=1")
    await _until(stop, tasks)
    tell_manager("STOPPING=1")
    server.hub.close()
    await listener.stop()
    pages.should_exit = True
    for task in tasks[1:]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _until(stop: asyncio.Event, tasks: list["asyncio.Task[None]"]) -> None:
    """Wait for a signal or for a task that should not have ended, whose error is raised."""
    waiting = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    if waiting not in done:
        waiting.cancel()
        for task in done:
            task.result()
        raise HoldfastError("a part of the console has ended by itself", advice="see its log")


async def _tick(server: wiring.Server) -> None:
    """Twice a second: who has become late, who was revoked by another process."""
    while True:
        await asyncio.sleep(TICK_S)
        server.pulse.tick()
        try:
            await server.peers.refresh()
        except HoldfastError as error:
            _LOG.error("cannot read who may connect: %s", error)


async def _chores(server: wiring.Server, context: ssl.SSLContext, pages: ssl.SSLContext | None) -> None:
    """Every minute: a renewed authority, listener certificates near their end; every hour: retention."""
    count = 0
    while True:
        await asyncio.sleep(CHORES_S)
        count += 1
        try:
            renew_certificates(server, context, pages)
            if count % PRUNE_EVERY == 0:
                await _prune(server)
        except HoldfastError as error:
            _LOG.error("%s", error)


def renew_certificates(server: wiring.Server, context: ssl.SSLContext, pages: ssl.SSLContext | None) -> None:
    """Take up a new generation of the authority, and new listener certificates, without a restart."""
    if server.authority().stale():
        server.authority.replace(Authority.load(server.parts.state / AUTHORITY))
        context.load_verify_locations(cadata=server.authority().trusted().decode())
    if server.agents_certificate.ensure(server.authority(), now()):
        context.load_cert_chain(server.agents_certificate.chain, server.agents_certificate.key)
    made = server.people_certificate.ensure(server.authority(), now())
    people = server.parts.settings.people
    if pages is None:
        return
    if people.certificate:
        take_up_certificate(pages, people.certificate, people.key)
    elif made:
        pages.load_cert_chain(server.people_certificate.chain, server.people_certificate.key)


def take_up_certificate(pages: ssl.SSLContext, chain: str, key: str) -> None:
    """Use the files as they are now, which others renew; a pair that does not fit never replaces one that does."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(chain, key)
    except OSError as error:
        raise HoldfastError(
            f"the certificate {chain} with the key {key} cannot be used, so the one before stays in use: {error}",
            advice="check people.certificate and people.key",
        ) from error
    pages.load_cert_chain(chain, key)


async def _prune(server: wiring.Server) -> None:
    retention, at = server.parts.settings.retention, now_ms()
    await server.parts.store.prune(at - int(retention.events * 1000), at - int(retention.presence * 1000), at)


def _people_protocol(
    patience: Patience,
    config: uvicorn.Config,
    server_state: ServerState,
    app_state: dict[str, object],  # noqa: ARG001 - uvicorn's, of a lifespan that the pages do not use
    _loop: asyncio.AbstractEventLoop | None = None,
) -> PatientProtocol:
    return PatientProtocol(patience, config, server_state, _loop)


def _people_config(server: wiring.Server) -> uvicorn.Config:
    people = server.parts.settings.people
    config = uvicorn.Config(
        app=server.web,  # type: ignore[arg-type]
        interface="asgi3",
        http=partial(_people_protocol, PEOPLE),  # type: ignore[arg-type]
        lifespan="auto",
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=3,
        limit_concurrency=PEOPLE.max_connections,
        ssl_certfile=people.certificate or str(server.people_certificate.chain),
        ssl_keyfile=people.key or str(server.people_certificate.key),
    )
    try:
        config.load()
    except OSError as error:
        raise HoldfastError(
            f"the certificate {config.ssl_certfile} with the key {config.ssl_keyfile} cannot be used: {error}",
            advice="check people.certificate and people.key",
        ) from error
    return config
