"""Public names consist of words that the glossary explains, so that one concept has one word everywhere."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

ROOT = Path(__file__).resolve().parents[2]
GLOSSARY = ROOT / "docs/glossary.md"
PLAIN_WORDS = "\n## Plain words\n"
TERM = re.compile(r"^\| \*\*(.+?)\*\* \|", re.MULTILINE)
WORD = re.compile(r"[a-z]+")


def test_given_the_public_names_then_the_glossary_has_every_word_of_them() -> None:
    unknown = find_unknown_words(collect_public_names(), read_words(GLOSSARY.read_text()))
    advice = "Use a word of docs/glossary.md, or add the word there:"
    assert not unknown, "\n".join([advice, *unknown])


def test_given_a_name_with_an_unknown_word_then_the_name_and_the_word_are_reported() -> None:
    words = read_words(GLOSSARY.read_text())
    names = ["setting BULKHEAD_FROBNICATE_SECONDS", "setting BULKHEAD_MEMORY_LIMIT"]
    assert find_unknown_words(names, words) == ["setting BULKHEAD_FROBNICATE_SECONDS: frobnicate"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("JSON field memory_limit_bytes", ["memory", "limit", "bytes"]),
        ("flag --tile-workers", ["tile", "workers"]),
        ("queue webhooks.retry", ["webhooks", "retry"]),
    ],
)
def test_given_a_name_then_it_is_split_into_words(name: str, words: list[str]) -> None:
    assert split_name(name) == words


def test_given_the_glossary_then_terms_and_plain_words_are_sorted_and_none_stands_twice() -> None:
    terms, plain = (section for section in GLOSSARY.read_text().split(PLAIN_WORDS))
    for words in (TERM.findall(terms), WORD.findall(plain.partition("\n\n")[2])):
        assert words == sorted(set(words), key=str.casefold)


def find_unknown_words(names: list[str], known: set[str]) -> list[str]:
    """Each name with a word that is not known, and this word."""
    found = ((name, word) for name in names for word in split_name(name))
    return sorted({f"{name}: {word}" for name, word in found if not _is_known(word, known)})


def split_name(name: str) -> list[str]:
    """Words of a name such as `setting BULKHEAD_MEMORY_LIMIT`, in lower case. The kind of the name is left out."""
    return WORD.findall(name.rpartition(" ")[2].lower())


def read_words(page: str) -> set[str]:
    """Every word of a term, and every plain word."""
    terms, _heading, plain = page.partition(PLAIN_WORDS)
    return set(WORD.findall(" ".join(TERM.findall(terms)).lower())) | set(WORD.findall(plain.partition("\n\n")[2]))


def collect_public_names() -> list[str]:
    """Every name that a user writes or reads, after its kind."""
    collectors = (_settings, _metrics, _json_names, _message_fields, _queues_and_tasks, _commands)
    return sorted({name for collect in collectors for name in collect()})


def _settings() -> Iterator[str]:
    from tasks.settings import Settings

    yield from (f"setting BULKHEAD_{name.upper()}" for name in Settings.model_fields)


def _metrics() -> Iterator[str]:
    from tasks.observability.metrics import all_metrics

    for metric in all_metrics():
        yield f"metric {metric.name}"
        yield from (f"label of {metric.name} {label}" for label in metric.labels)


def _json_names() -> Iterator[str]:
    from web.app import create_app

    specification = create_app().openapi()
    for path, methods in specification["paths"].items():
        yield from (f"path {part}" for part in path.split("/") if WORD.search(part))
        for method, call in methods.items():
            for parameter in call.get("parameters", []):
                yield f"parameter of {method.upper()} {path} {parameter['name']}"
    yield from (f"JSON field {name}" for name in _properties(specification))


def _message_fields() -> Iterator[str]:
    for path in sorted((ROOT / "docs/reference/schemas").glob("*.json")):
        for name in _properties(json.loads(path.read_text())):
            yield f"field of {path.name} {name}"


def _properties(schema: Any) -> Iterator[str]:
    """Names of the properties of a JSON Schema, at any depth."""
    if isinstance(schema, dict):
        properties = schema.get("properties")
        if isinstance(properties, dict):
            yield from properties
        for value in schema.values():
            yield from _properties(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _properties(value)


def _queues_and_tasks() -> Iterator[str]:
    from tasks.application import app
    from tasks.messaging.topology import DEAD_QUEUES, QUEUES, heartbeats_stream, retry_queue

    queues = (*QUEUES, *DEAD_QUEUES, heartbeats_stream(), retry_queue("webhooks", 1))
    yield from (f"queue {queue.name}" for queue in queues)
    app.loader.import_default_modules()
    # Other tests of the same process register tasks of their own.
    yield from (f"task {name}" for name, task in app.tasks.items() if task.__module__.startswith("workers."))


def _commands() -> Iterator[str]:
    from cli.app import COMMANDS, app, load_command

    yield from _flags("bulkhead", typer.main.get_command(app))
    for name in COMMANDS:
        yield from _command_names(f"bulkhead {name}", name, load_command(name))


def _command_names(path: str, name: str, command: Any) -> Iterator[str]:
    yield f"command {name}"
    yield from _flags(path, command)
    for child, found in getattr(command, "commands", {}).items():
        yield from _command_names(f"{path} {child}", child, found)


def _flags(path: str, command: Any) -> Iterator[str]:
    """Long flags of a command, without those that Typer adds to every command."""
    for parameter in command.params:
        options = (option for option in parameter.opts if option.startswith("--") and "-completion" not in option)
        yield from (f"flag of {path} {option}" for option in options)


def _is_known(word: str, known: set[str]) -> bool:
    """Whether the word, or its singular or plural, is known."""
    forms = {word, f"{word}s", f"{word}es", word.removesuffix("s"), word.removesuffix("es")}
    forms |= {f"{word[:-1]}ies" if word.endswith("y") else word, f"{word[:-3]}y" if word.endswith("ies") else word}
    return not forms.isdisjoint(known)
