"""The headers every answer of the people's listener carries, whatever it is: page, error, file or stream."""

from litestar.types import Message, Scope

POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'; "
    "require-trusted-types-for 'script'"
)
"""Nothing inline, nothing from elsewhere. Trusted Types besides: the page's script cannot assign markup from strings either."""

_ALWAYS = {
    b"content-security-policy": POLICY.encode(),
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    b"referrer-policy": b"same-origin",  # no-referrer would make browsers send forms with "Origin: null"
    b"strict-transport-security": b"max-age=31536000",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
}
_DEFAULTS = {b"cache-control": b"no-store"}


async def add_security_headers(message: Message, _: Scope) -> None:
    """Litestar's `before_send` hook: add the headers to the start of every response; pages are never stored by a cache."""
    if message["type"] != "http.response.start":
        return
    present = [(name, value) for name, value in message["headers"] if name.lower() not in _ALWAYS]
    names = {name.lower() for name, _ in present}
    present += [(name, value) for name, value in _DEFAULTS.items() if name not in names]
    message["headers"] = [*present, *_ALWAYS.items()]
