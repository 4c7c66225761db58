"""What is left of the rights of root, in a real process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.embedded.rights import choose_user

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")

NOBODY = 65534

SHOW = """
import json, os, sys
from pathlib import Path
from cli.embedded.rights import give_up_rights
sentence = give_up_rights(Path(sys.argv[1]))
fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(json.dumps({
    "sentence": sentence,
    "uid": os.getresuid(),
    "groups": os.getgroups(),
    "capabilities": [int(fields[name], 16) for name in ("CapPrm", "CapEff", "CapInh", "CapAmb")],
    "no_new_privileges": fields["NoNewPrivs"].strip(),
}))
"""


def show(var: Path, **environment: str) -> dict[str, object]:
    """What a process has left after it gave up its rights."""
    clean = {name: value for name, value in os.environ.items() if name != "SUDO_UID"}
    done = subprocess.run(
        [sys.executable, "-c", SHOW, str(var)], env=clean | environment, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    shown: dict[str, object] = json.loads(done.stdout)
    return shown


def test_given_root_without_another_user_then_no_capability_is_left(tmp_path: Path) -> None:
    shown = show(tmp_path)

    assert shown["capabilities"] == [0, 0, 0, 0]
    assert shown["no_new_privileges"] == "1"
    assert "Start it as another user" in str(shown["sentence"])


@pytest.mark.parametrize("is_owner", [True, False], ids=["owner of the directory", "caller of sudo"])
def test_given_another_user_then_the_platform_continues_as_that_user(tmp_path: Path, is_owner: bool) -> None:
    var = tmp_path / "var"
    if is_owner:
        var.mkdir()
        os.chown(var, NOBODY, NOBODY)

    shown = show(var, **({} if is_owner else {"SUDO_UID": str(NOBODY)}))

    assert shown["uid"] == [NOBODY] * 3
    assert 0 not in shown["groups"]  # type: ignore[operator]
    assert shown["capabilities"] == [0, 0, 0, 0]
    assert shown["sentence"] == "Continues as the user nobody, without the rights of root."
    assert var.stat().st_uid == NOBODY


def test_given_an_unknown_or_invalid_caller_then_there_is_no_other_user(tmp_path: Path) -> None:
    assert choose_user(tmp_path, {"SUDO_UID": "4000000000"}) is None
    assert choose_user(tmp_path, {"SUDO_UID": "nobody"}) is None
    assert choose_user(tmp_path, {}) is None
