"""Agents on the command line."""

import asyncio
import json
from typing import Any

from console import tokens
from console.parts import now_ms, open_parts


def test_agents_that_are_not_there_are_said_so(holdfast: Any) -> None:
    assert holdfast("agents", "list") == "no agents\n"
    assert "there is no agent web-9" in holdfast("agents", "revoke", "web-9", code=2)
    assert json.loads(holdfast("agents", "list", "--json")) == []


def test_an_enrolled_agent_is_listed_shown_and_revoked(
    holdfast: Any, console_settings: Any, certificate: Any, facts: Any
) -> None:
    agent = "c" * 32

    async def enrol() -> None:
        parts = open_parts(console_settings)
        made = await tokens.create(parts.store, parts.authority.pin, now_ms, who="test", lifetime_s=60)
        assert await parts.store.enrol(made.id, certificate(agent), facts(), "0.1.0", now_ms())
        await parts.store.close()

    asyncio.run(enrol())
    assert json.loads(holdfast("agents", "list", "--json"))[0]["state"] == "never"
    assert "Debian 12" in holdfast("agents", "show", "web-1")
    holdfast("agents", "revoke", "cccc")
    assert json.loads(holdfast("agents", "show", "web-1", "--json"))["agent"]["state"] == "revoked"
    assert "revoked already" in holdfast("agents", "revoke", "web-1", code=2)
