"""`bulkhead doctor --attack` under systemd, in the unit of a render worker."""

import json
from pathlib import Path

import pytest

from cli.embedded.process import NotInstalled
from tests.conftest import Broker, skip_or_fail
from tests.services.platform import Platform
from tests.services.units import DIRECTORY, running_units

pytestmark = [pytest.mark.service, pytest.mark.timeout(400)]

UNIT = "bulkhead-render@"
VERDICTS = "attack.json"

# The user, the filters and the limits of the unit, with the attacks in place of the worker.
ATTACK = f"""[Service]
Type=oneshot
NotifyAccess=none
WatchdogSec=0
Restart=no
SuccessExitStatus=1
TimeoutStartSec=300
ExecStart=
ExecStart=/bin/sh -c 'exec /opt/bulkhead/bin/python -m cli doctor --attack --json >{DIRECTORY}/{VERDICTS}'
ExecStop=
"""


def test_given_the_unit_of_a_render_worker_when_it_attacks_then_every_attack_is_stopped(
    session_broker: Broker, tmp_path: Path
) -> None:
    platform = Platform(tmp_path / "platform", session_broker.url)
    try:
        with running_units(tmp_path / "host", platform, drop_ins={UNIT: ATTACK}) as units:
            units.start(f"{UNIT}1")
            verdicts = json.loads((platform.directory / VERDICTS).read_text())
            assert not [f"{verdict['name']}: {verdict['end']}" for verdict in verdicts if verdict["held"] is False]
            assert len(verdicts) > 300
    except NotInstalled as error:
        skip_or_fail(error)
