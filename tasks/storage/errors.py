"""What can go wrong in a store, in words that say what to do next."""

from __future__ import annotations

import errno


class StoreError(Exception):
    """The store could not do what was asked; retry when the storage behind it is well again."""


class NotFound(StoreError):
    """There is nothing under that key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"There is nothing in the store under '{key}'.")
        self.key = key


class InvalidKey(StoreError):
    """The key could lead out of the store, or cannot be written alike on every kind of store."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"{key[:80]!r} is not a store key: use parts of letters, digits, '.', '_' and '-' joined by '/', "
            "none of them empty or starting with a dot."
        )


class StoreFull(StoreError):
    """No space is left: nothing was stored."""

    def __init__(self) -> None:
        super().__init__("The store has no space left: remove finished jobs or enlarge its disk.")


NO_SPACE_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
NOT_FOUND_ERRNOS = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP})  # ELOOP: O_NOFOLLOW met a link


def translate_os_error(error: OSError, key: str) -> StoreError:
    """Name the StoreError for what the operating system said about `key`."""
    if error.errno in NO_SPACE_ERRNOS:
        return StoreFull()
    if error.errno in NOT_FOUND_ERRNOS:
        return NotFound(key)
    return StoreError(f"The store failed at '{key}': {error.strerror or error}.")
