"""Every invariant of docs/security.md has a number and names tests that exist."""

import ast
import re
from pathlib import Path

from workers.sandbox.attacks import ATTACKS, PROGRAM_ATTACKS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/security.md"
INVARIANT = re.compile(r"^(\d+)\. (.+?)(?=^\d+\. |\Z)", re.MULTILINE | re.DOTALL)
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def test_given_the_invariants_then_they_are_numbered_and_each_names_a_test_that_exists() -> None:
    section = PAGE.read_text().partition("\n## Invariants\n")[2].partition("\n## ")[0]
    invariants = [(int(number), TEST.findall(text)) for number, text in INVARIANT.findall(section)]
    assert [number for number, _tests in invariants] == list(range(1, len(invariants) + 1))
    assert len(invariants) > 20
    problems = [
        f"{number}: {path}::{name}"
        for number, tests in invariants
        for path, name in tests or [("no", "test")]
        if name not in _functions(ROOT / path)
    ]
    assert not problems


def test_given_the_controls_of_the_attacks_then_the_page_explains_each() -> None:
    table = PAGE.read_text().partition("\n### Controls\n")[2].partition("\n## ")[0]
    unknown = {attack.control for attack in (*ATTACKS, *PROGRAM_ATTACKS) if attack.control not in table}
    assert unknown == {"explanation"}  # not a control: the story of a death


def _functions(path: Path) -> set[str]:
    if not path.is_file():
        return set()
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, functions)}
