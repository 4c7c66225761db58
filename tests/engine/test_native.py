"""ImageMagick under our own policy, and an engine that loads no native code before it is used."""

import subprocess
import sys
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from wand.exceptions import PolicyError
from wand.image import Image

from tasks.errors import ServiceUnavailable
from workers.render import EngineError
from workers.render.native import LIMITS, POLICY, magick_limits, prepare

_UNITS = {"MiB": 1024**2, "MP": 1_000_000, "": 1}

_NATIVE = "('wand', 'pyvips', 'numpy', 'ezdxf', 'cairocffi', 'pypdfium2')"


def _resources() -> dict[str, int]:
    limits = {}
    for entry in ET.parse(POLICY / "policy.xml").iter("policy"):  # noqa: S314 - our own file
        if entry.get("domain") == "resource":
            text = entry.attrib["value"]
            digits = text.rstrip("MiBP")
            limits[entry.attrib["name"]] = int(digits) * _UNITS[text[len(digits) :]]
    return limits


def test_given_the_policy_file_when_compared_then_the_checked_limits_are_the_same() -> None:
    resources = _resources()

    assert resources.pop("file") > 0  # ImageMagick reports the remaining number
    assert resources == LIMITS


def test_given_a_prepared_engine_then_imagemagick_reports_our_limits() -> None:
    prepare()

    assert magick_limits() == LIMITS


@pytest.mark.parametrize("kind", ["gif", "mvg", "pdf", "ps", "txt"])
def test_given_a_coder_outside_the_list_when_written_then_the_policy_refuses_it(kind: str) -> None:
    with (
        Image.from_array(np.zeros((2, 2, 3), np.uint8), channel_map="RGB", storage="char") as image,
        pytest.raises(PolicyError),
    ):
        image.make_blob(kind)


def test_given_any_file_when_imagemagick_is_asked_to_read_it_then_the_policy_refuses_it() -> None:
    blob = b"\x89PNG\r\n\x1a\n" + b"\x00" * 40
    with pytest.raises(PolicyError):
        Image(blob=blob)


def test_given_imagemagick_loaded_with_other_limits_when_prepared_then_the_error_says_what_to_do() -> None:
    code = (
        "import os; os.environ['MAGICK_MEMORY_LIMIT'] = '32MiB'\n"
        "from workers.render import EngineError\n"
        "from workers.render.native import prepare\n"
        "try:\n    prepare()\nexcept EngineError as error:\n    print(error)\n"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30).stdout

    assert "{'memory': 33554432}" in output
    assert output.strip().endswith("Unset the variable and start a new process.")
    assert issubclass(EngineError, ServiceUnavailable)


def test_given_the_engine_when_imported_then_no_native_library_is_loaded() -> None:
    code = (
        "import sys, workers.render, workers.render.native, tasks.plan\n"
        f"print([name for name in {_NATIVE} if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30).stdout

    assert output.strip() == "[]"
