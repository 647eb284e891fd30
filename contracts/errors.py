"""Errors that know what to do about them and whether trying again can help."""

from enum import StrEnum


class HoldfastError(Exception):
    """A condition a person can act on: what happened, what would do, and whether it is permanent.

    `advice` is one imperative sentence or empty. `permanent` is true when the same call cannot succeed without a change.
    """

    permanent: bool = True
    exit_code: int = 1

    def __init__(self, message: str, *, advice: str = "", permanent: bool | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice
        if permanent is not None:
            self.permanent = permanent

    def __str__(self) -> str:
        return f"{self.message}; {self.advice}" if self.advice else self.message


class Why(StrEnum):
    """Why something could not be looked at or done; the closed list that coverage and the console count by."""

    TOOL_MISSING = "tool_missing"
    PERMISSION = "permission"
    NOT_PRESENT = "not_present"
    """This host has none of that subject: a finding, not a failure to look."""
    INCOMPATIBLE = "incompatible"
    """The tool answered, but not in a form that says everything (for example iptables-save's `is incompatible`)."""
    TIMEOUT = "timeout"
    TOO_LARGE = "too_large"
    WORKER_DOWN = "worker_down"
    DISABLED = "disabled"
    MALFORMED = "malformed"
    OTHER = "other"


class Unavailable(HoldfastError):
    """Something cannot be looked at: raised by `host/`, turned into an outcome in one central place."""

    permanent = False

    def __init__(self, why: Why, message: str, *, advice: str = "") -> None:
        super().__init__(message, advice=advice)
        self.why = why


class Malformed(HoldfastError):
    """A frame, report or stored row does not decode; untrusted input, never a reason to stop."""


class TooLarge(Malformed):
    """A frame or body is over its limit."""


class NewerData(HoldfastError):
    """Stored data was written by a newer version; it is left untouched."""

    exit_code = 78  # EX_CONFIG


class UsageError(HoldfastError):
    """The words of a command are off."""

    exit_code = 2


class Unreachable(HoldfastError):
    """The other side does not answer now."""

    permanent = False
    exit_code = 69  # EX_UNAVAILABLE


class Refused(HoldfastError):
    """The other side answered no."""

    exit_code = 77  # EX_NOPERM
