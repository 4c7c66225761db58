"""A hostile native library, loaded in renders of each family at each stage: nothing gets through, nobody notices."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.planted_run import FAMILIES, FINALES
from tests.hostile.test_attacks import DEBIAN_12_ABI, NEWEST_ABI, NOBODY, OWN_NETWORK, ROOT

# One stage a family; all of them occur.
ONE_STAGE_EACH = [(family, list(FINALES)[number % len(FINALES)]) for number, family in enumerate(FAMILIES)]

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user and make namespaces"),
]


@pytest.mark.parametrize("family", FAMILIES)
def test_given_a_planted_library_when_loaded_at_each_stage_then_nothing_gets_through(family: str) -> None:
    check(run([(family, stage) for stage in FINALES], NEWEST_ABI))


@pytest.mark.parametrize(
    ("wrapper", "abi"),
    [((), DEBIAN_12_ABI), (NOBODY, NEWEST_ABI), (NOBODY, DEBIAN_12_ABI), (OWN_NETWORK, NEWEST_ABI)],
    ids=["root-debian-12", "nobody", "nobody-debian-12", "network-namespace"],
)
def test_given_a_planted_library_when_loaded_elsewhere_then_nothing_gets_through(
    wrapper: Sequence[str], abi: int
) -> None:
    check(run(ONE_STAGE_EACH, abi, wrapper))


def run(cases: Sequence[tuple[str, str]], abi: int, wrapper: Sequence[str] = ()) -> dict[str, Any]:
    """The results of `planted_run`."""
    request = {"library": str(Path(__file__).with_name("planted.c")), "abi": abi, "cases": cases}
    command = [*wrapper, sys.executable, "-m", "tests.hostile.planted_run", json.dumps(request)]
    environment = {"PATH": os.environ["PATH"], "HOME": "/tmp"}
    process = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280)
    assert process.returncode == 0, process.stderr
    result: dict[str, Any] = json.loads(process.stdout)
    return result


def check(result: dict[str, Any]) -> None:
    """Nothing got through, each story is true, and nobody noticed."""
    for case in result["cases"]:
        assert not case["escapes"], case
        assert case["attacks"] > 100
        assert case["end"] == FINALES[case["stage"]][1], case
        if case["end"] != "invalid-output":
            assert f"in stage {case['stage']}" in case["story"], case
        assert case["neighbour_is_same"], case
    assert result["is_unchanged"]
    assert result["connections"] == 0
