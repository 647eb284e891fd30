"""A real Chromium in front of a real server: uvicorn with TLS, the console's application, its real store."""

import asyncio
import datetime
import importlib.util
import ipaddress
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def _support() -> Any:
    """The simulated agents and people of the console's own tests."""
    name = "holdfast_web_support"
    if name not in sys.modules:
        path = Path(__file__).resolve().parents[1] / "console" / "web" / "conftest.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


class Served:
    """A site, and the address under which a browser reaches it."""

    def __init__(self, folder: Path) -> None:
        self.site = _support().Site(folder)
        certificate, key = make_certificate(folder)
        config = uvicorn.Config(
            self.site.app,
            ssl_certfile=str(certificate),
            ssl_keyfile=str(key),
            log_level="warning",
            lifespan="off",
            loop="asyncio",
        )
        self._server = uvicorn.Server(config)
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        self._serving = asyncio.run_coroutine_threadsafe(self._server.serve([listener]), self.site._loop)

    def link(self, user: str = "ada") -> str:
        return f"{self.url}/login/link?token={self.site.run(self.site.accounts.make_link(user, 'cli:test'))}"

    def close(self) -> None:
        self.site._loop.call_soon_threadsafe(self.site.hub.close)
        self._server.should_exit = True
        try:
            self._serving.result(5)
        except TimeoutError:  # a browser that is closing late still holds its stream
            self._server.force_exit = True
            self._serving.result(30)
        self.site.close()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "console under test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    paths = folder / "people.crt", folder / "people.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser for one file: Playwright keeps an event loop running in this thread, which other tests must not find."""
    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(ignore_https_errors=True, viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(60_000)
    yield opened
    context.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path)
    yield made
    made.close()


@pytest.fixture
def support() -> Any:
    return _support()
