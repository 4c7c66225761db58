"""The errors of the store."""

from __future__ import annotations

import errno

from tasks.errors import ServiceUnavailable


class StoreError(ServiceUnavailable):
    """The store failed. Try again when its storage works."""

    code = "store-unavailable"


class ObjectNotFound(StoreError):
    """There is no object with that key."""

    code = "no-such-file"
    exit_code = 2
    http_status = 404
    transient = False

    def __init__(self, key: str) -> None:
        super().__init__(f"The store has no object '{key}'.")
        self.key = key


class InvalidKey(StoreError):
    """The key could lead out of the store, or does not work with every kind of store."""

    code = "invalid-key"
    exit_code = 2
    http_status = 422
    transient = False

    def __init__(self, key: str) -> None:
        super().__init__(
            f"{key[:80]!r} is not a store key: use parts of letters, digits, '.', '_' and '-' joined by '/', "
            "none of them empty or starting with a dot."
        )


class StoreFull(StoreError):
    """The store has no space left: remove finished jobs or enlarge its disk."""

    code = "store-full"
    http_status = 507
    transient = False


NO_SPACE_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
NOT_FOUND_ERRNOS = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP})  # ELOOP: O_NOFOLLOW met a link


def translate_os_error(error: OSError, key: str) -> StoreError:
    """The StoreError for an error of the operating system at `key`."""
    if error.errno in NO_SPACE_ERRNOS:
        return StoreFull()
    if error.errno in NOT_FOUND_ERRNOS:
        return ObjectNotFound(key)
    return StoreError(f"The store failed at '{key}': {error.strerror or error}.")
