"""Reading the forms that people send: small, text only."""

from console.web.context import PeopleRequest


async def field(request: PeopleRequest, name: str, max_characters: int = 1024) -> str:
    """Return a field of the form as text, "" when it is missing or a file, cut to `max_characters`."""
    value = (await request.form()).get(name, "")
    return value[:max_characters] if isinstance(value, str) else ""
