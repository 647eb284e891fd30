"""`holdfast console agents`: who reports here."""

from pathlib import Path

import click

from console.cli.options import (
    config_options,
    json_option,
    moment,
    read_settings,
    show_json,
    show_table,
    whoami,
    with_parts,
)
from console.parts import Parts, now_ms
from console.store.records import Agent, AgentDetail
from contracts.errors import UsageError


@click.group()
def agents() -> None:
    """List, show or revoke agents."""


@agents.command("list")
@config_options
@json_option
def list_agents(path: Path | None, state_dir: Path | None, as_json: bool) -> None:
    """List the fleet."""

    async def work(parts: Parts) -> tuple[Agent, ...]:
        return await parts.store.agents(now_ms())

    found = with_parts(read_settings(path, state_dir), work)
    if as_json:
        show_json(found)
        return
    rows = [(one.id, one.name, one.state.value, moment(one.heartbeat_ms), str(one.problems)) for one in found]
    show_table(("agent", "name", "state", "last heard", "problems"), rows, "no agents")


@agents.command()
@config_options
@json_option
@click.argument("agent")
def show(path: Path | None, state_dir: Path | None, as_json: bool, agent: str) -> None:
    """Show one agent, named by its id, the beginning of it, or its name."""

    async def work(parts: Parts) -> AgentDetail:
        detail = await parts.store.agent(await find(parts, agent), now_ms())
        if detail is None:
            raise UsageError(f"there is no agent {agent}", advice="see holdfast console agents list")
        return detail

    detail = with_parts(read_settings(path, state_dir), work)
    if as_json:
        show_json(detail)
        return
    one = detail.agent
    facts = {
        "agent": one.id,
        "name": one.name,
        "state": one.state.value,
        "version": one.version,
        "system": f"{one.os_name}, {one.kernel}",
        "enrolled": moment(one.enrolled_ms),
        "last heard": moment(one.heartbeat_ms),
        "certificate ends": moment(one.certificate_ends_ms),
        "open problems": str(one.problems),
        "events lost": str(one.lost),
    }
    for name, text in facts.items():
        click.echo(f"{name:<17} {text}")
    for sight in detail.coverage.unseen():
        click.echo(f"{'cannot see':<17} {sight.subject}: {'; '.join(spot.what for spot in sight.blind) or sight.state}")


@agents.command()
@config_options
@click.argument("agent")
def revoke(path: Path | None, state_dir: Path | None, agent: str) -> None:
    """Let an agent in no more; its connections end within a second."""

    async def work(parts: Parts) -> None:
        found = await find(parts, agent)
        if not await parts.store.revoke_agent(found, now_ms()):
            raise UsageError(f"{agent} is revoked already")
        await parts.store.audit(now_ms(), whoami(), "agent.revoked", f"agent:{found}")

    with_parts(read_settings(path, state_dir), work)


async def find(parts: Parts, words: str) -> str:
    """Return the id of the agent that `words` name; raises `UsageError` when none or several do."""
    fleet = await parts.store.agents(now_ms())
    for matches in (
        [one.id for one in fleet if one.id == words],
        [one.id for one in fleet if words in (one.name, one.hostname)],
        [one.id for one in fleet if len(words) >= 4 and one.id.startswith(words)],
    ):
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise UsageError(f"{words} names {len(matches)} agents", advice="give the id")
    raise UsageError(f"there is no agent {words}", advice="see holdfast console agents list")
