"""The config of a repository: version, id, and the polynomial with which restic would cut files. Encrypted, never compressed."""

import secrets

import msgspec

from actions.backup.crypto import Key, Unauthenticated
from actions.backup.errors import AlreadyRepository, Damaged, NoRepository, Unsupported
from actions.backup.polynomial import DEGREE, is_irreducible, random_irreducible
from actions.backup.stores.store import CONFIG, AlreadyThere, NotThere, Store

VERSIONS = (1, 2)


class Config(msgspec.Struct, frozen=True):
    """What every client of a repository must know. `id` has 64 hexadecimal digits; the polynomial is written in hexadecimal."""

    version: int
    id: str
    chunker_polynomial: str

    @property
    def polynomial(self) -> int:
        """The polynomial as a number."""
        return int(self.chunker_polynomial, 16)


def new_config(version: int = 2) -> Config:
    """A config for a new repository; Unsupported for a version that does not exist."""
    _check_version(version)
    return Config(version, secrets.token_hex(32), f"{random_irreducible():x}")


def save_config(store: Store, key: Key, config: Config) -> None:
    """Publish the config; AlreadyRepository when there is one."""
    try:
        store.save(CONFIG, [key.seal(msgspec.json.encode(config))])
    except AlreadyThere as error:
        raise AlreadyRepository(f"{store.location}: there is a repository already") from error


def load_config(store: Store, key: Key) -> Config:
    """The config, checked: NoRepository, Damaged, or Unsupported for a version of the future."""
    try:
        sealed = store.load(CONFIG)
    except NotThere as error:
        raise NoRepository(
            f"{store.location}: there is no repository",
            advice="check the path, or make one with `holdfast backup init`",
        ) from error
    try:
        document = key.open(sealed)
        version = msgspec.json.decode(document, type=_Version).version
        _check_version(version)
        config = msgspec.json.decode(document, type=Config)
        if config.polynomial.bit_length() != DEGREE + 1 or not is_irreducible(config.polynomial):
            raise ValueError(
                f"the chunker polynomial {config.chunker_polynomial} is not irreducible of degree {DEGREE}"
            )
    except (Unauthenticated, msgspec.DecodeError, ValueError) as error:
        raise Damaged("config", str(error), advice="fetch the config from a copy of this repository") from error
    return config


class _Version(msgspec.Struct):
    version: int


def _check_version(version: int) -> None:
    if version not in VERSIONS:
        raise Unsupported(
            f"repository version {version} is not one of {VERSIONS}", advice="use a newer Holdfast or restic"
        )
