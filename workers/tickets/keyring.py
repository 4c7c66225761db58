"""Ticket keys and keyrings, in HAProxy's order. Pure functions, standard library only.

A keyring has three keys, oldest first. The last one is the next key, the one before it encrypts, and all three decrypt.
So every node knows a key one rotation before the first ticket is encrypted with it, and for one rotation after the last
one. A key has 48 bytes (AES-128) or 80 (AES-256). Its first 16 bytes are its name, which each ticket carries in clear:
names are not secret, and nothing else of a key is ever displayed.
"""

import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tasks.errors import InvalidInput

KEY_COUNT = 3
NAME_BYTES = 16
KEY_SIZES = (48, 80)

RandomBytes = Callable[[int], bytes]


class InvalidKey(InvalidInput):
    """Not a valid ticket key or keyring."""

    code = "invalid-key"


@dataclass(frozen=True, slots=True, repr=False)
class Key:
    """A ticket key. Its `repr` is its name, so that no log or traceback shows more. Raises InvalidKey."""

    value: bytes

    def __post_init__(self) -> None:
        if len(self.value) not in KEY_SIZES:
            raise InvalidKey(f"A ticket key has 48 or 80 bytes, not {len(self.value)}.")

    def __repr__(self) -> str:
        return f"<key {self.name}>"

    @property
    def name(self) -> str:
        """The name that tickets carry: the first 16 bytes, in hex."""
        return self.value[:NAME_BYTES].hex()

    @classmethod
    def generate(cls, size: int, random: RandomBytes) -> "Key":
        """A new key of so many bytes. `random` must be cryptographically secure: os.urandom."""
        return cls(random(size))

    @classmethod
    def decode(cls, text: str) -> "Key":
        """A key from base64. Raises InvalidKey."""
        try:
            return cls(binascii.a2b_base64(text.encode(), strict_mode=True))
        except (ValueError, InvalidKey):
            raise InvalidKey("A ticket key is 48 or 80 bytes in base64, on one line.") from None

    def encode(self) -> str:
        """Base64 on one line."""
        return binascii.b2a_base64(self.value, newline=False).decode()


@dataclass(frozen=True, slots=True)
class Keyring:
    """Three different keys of one size, oldest first. Raises InvalidKey."""

    keys: tuple[Key, ...]

    def __post_init__(self) -> None:
        if len(self.keys) != KEY_COUNT or len({len(key.value) for key in self.keys}) != 1:
            raise InvalidKey("A keyring has three keys of one size.")
        if len(set(self.names)) != KEY_COUNT:
            raise InvalidKey("A keyring has three different keys; one of these was pushed twice.")

    @classmethod
    def generate(cls, size: int, random: RandomBytes) -> "Keyring":
        """Three new keys."""
        return cls(tuple(Key.generate(size, random) for _ in range(KEY_COUNT)))

    @classmethod
    def decode(cls, lines: Sequence[str]) -> "Keyring":
        """A keyring from the lines of HAProxy's file. Raises InvalidKey."""
        return cls(tuple(map(Key.decode, lines)))

    def encode(self) -> list[str]:
        """The lines of HAProxy's file."""
        return [key.encode() for key in self.keys]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the keys, oldest first."""
        return tuple(key.name for key in self.keys)

    @property
    def size(self) -> int:
        """Bytes of a key."""
        return len(self.keys[0].value)

    def push(self, *keys: Key) -> "Keyring":
        """The keyring after HAProxy took these keys: each is appended and drops the oldest one. Raises InvalidKey."""
        return Keyring((*self.keys, *keys)[-KEY_COUNT:])

    def newest(self, count: int) -> tuple[Key, ...]:
        """The newest `count` keys (0 to 3), oldest first."""
        return self.keys[KEY_COUNT - count :]


def missing_key_count(names: Sequence[str], target: Sequence[str]) -> int:
    """How many of the newest keys of `target` must be pushed, in order, onto a keyring to make it equal: 0 to 3.

    A keyring that has no keys of `target`, or is ahead of it, needs all three.
    """
    return next(count for count in range(KEY_COUNT + 1) if tuple(names[count:]) == tuple(target[: KEY_COUNT - count]))
