"""What hostile code in a sandboxed process tries.

`bulkhead doctor --attack` and the tests run the same list. An attack that gets through changes nothing outside the
directories of its own scene: it only opens what belongs to others, and stops by itself.
"""

from workers.sandbox.attacks.attack import Attack
from workers.sandbox.attacks.exhaustion import DESCRIPTORS, EXHAUSTION, FORK_BOMB
from workers.sandbox.attacks.files import FILE_CALLS, FILES, INHERITED
from workers.sandbox.attacks.forgery import FORGERY
from workers.sandbox.attacks.kernel import CALLS, NETWORK
from workers.sandbox.attacks.processes import (
    CAPABILITIES,
    EXECUTION,
    FORGED_DEATHS,
    PROC,
    PROGRAMS,
    SECRETS,
    SIGNALS,
    TRACING,
)

_ALL = (
    *(FILES + FILE_CALLS + INHERITED),
    *(PROC + SECRETS + CAPABILITIES + SIGNALS + TRACING),
    *(NETWORK + CALLS + DESCRIPTORS),
)

# Attacks of a render.
ATTACKS: tuple[Attack, ...] = (*_ALL, *EXECUTION, *FORGED_DEATHS, *EXHAUSTION, *FORGERY)

# Attacks of a helper program, which may start others.
PROGRAM_ATTACKS: tuple[Attack, ...] = (*_ALL, *PROGRAMS, *FORK_BOMB)
