"""Writes the reference pages from the models, so that they cannot differ: `python docs/generate.py [--check]`.

In docs/reference/: settings.md from `tasks.settings`, metrics.md from `tasks.observability.metrics`, http.md from the
OpenAPI of `web`, schemas/*.json from the message models.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

HERE = Path(__file__).resolve().parent
GENERATED_NOTICE = "<!-- Made by docs/generate.py; change the models, then run `make docs`. -->"
LOCK = " \N{LOCK}"
SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"
MIB = 1024 * 1024

Schema = dict[str, Any]


def build_pages() -> dict[str, str]:
    """Text of every generated file, by its path below docs/."""
    made = {
        "reference/settings.md": settings_page(),
        "reference/metrics.md": metrics_page(),
        "reference/http.md": http_page(),
    }
    for name, model in message_models().items():
        schema = {"$schema": SCHEMA_DIALECT, **model.model_json_schema()}
        made[f"reference/schemas/{name}.json"] = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    from tasks.heartbeats import json_schema

    schema = {"$schema": SCHEMA_DIALECT, **json_schema()}
    made["reference/schemas/heartbeats.json"] = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    return made


def message_models() -> dict[str, type[BaseModel]]:
    """Every message and document that another language may write or read."""
    from tasks.messaging.progress import ProgressMessage
    from tasks.renders import RenderMessage
    from tasks.tickets import RotateMessage
    from tasks.webhooks import WebhookMessage
    from workers.render import Manifest

    models: dict[str, type[BaseModel]] = {"render": RenderMessage, "progress": ProgressMessage, "manifest": Manifest}
    return {**models, "rotate": RotateMessage, "webhook": WebhookMessage}


def settings_page() -> str:
    """A section for each group of settings, with a row for each variable."""
    from tasks.settings import ENVIRONMENT_FILE, GROUPS, Settings

    lines = [
        GENERATED_NOTICE,
        "# Settings",
        "",
        f"Settings are environment variables. A variable that is not set is read from the file `{ENVIRONMENT_FILE}` in",
        "`BULKHEAD_VAR`, which `bulkhead up` writes; otherwise its default applies. A laptop needs none of them. Sizes are",
        "bytes and times are seconds.",
    ]
    properties = Settings.model_json_schema()["properties"]
    for group in GROUPS:
        lines += ["", f"## {group.__doc__}", "", "| variable | type | default | description |", "|---|---|---|---|"]
        for name, field in group.model_fields.items():
            default = _default(field.get_default(call_default_factory=True))
            kind = _type_text(_without_null(properties[name]))
            lines.append(_row(f"`BULKHEAD_{name.upper()}`", kind, default, field.description or ""))
    return "\n".join(lines) + "\n"


def metrics_page() -> str:
    """One row a metric."""
    from tasks.observability.metrics import all_metrics

    lines = [
        GENERATED_NOTICE,
        "# Metrics",
        "",
        "What Prometheus finds at `/metrics` of the web tier, for all its processes together; where a name begins with",
        "`bulkhead_heartbeats`, at that of the coalescer (`BULKHEAD_HEARTBEATS_METRICS_PORT`).",
        "",
        "| metric | kind | labels | what it tells |",
        "|---|---|---|---|",
    ]
    for each in all_metrics():
        labels = ", ".join(f"`{label}`" for label in each.labels)
        lines += [_row(f"`{each.name}`", each.kind, labels, each.help)]
    return "\n".join(lines) + "\n"


def http_page() -> str:
    """Every call with what it takes and answers, then every model."""
    from web.app import create_app

    spec = create_app().openapi()
    lines = [
        GENERATED_NOTICE,
        "# HTTP reference",
        "",
        "The same as OpenAPI is served at `/openapi.json`. Calls marked with a lock take `Authorization: Bearer TOKEN`",
        "(`BULKHEAD_TOKENS`); without tokens only loopback is served. Outputs answer HEAD as they answer GET. Every",
        "error is a [problem](#problemdetails), `application/problem+json` (RFC 9457).",
        "",
    ]
    for path, methods in spec["paths"].items():
        for method in sorted(methods):
            if method != "head":
                lines += _operation(method, path, methods[method])
    lines += ["## Models", ""]
    for name, schema in sorted(spec["components"]["schemas"].items()):
        lines += _model(name, schema)
    return "\n".join(lines).rstrip() + "\n"


def _operation(method: str, path: str, call: Schema) -> Iterator[str]:
    yield f"## {method.upper()} {path}"
    yield ""
    yield f"{call.get('description', call['summary'])}{LOCK if call.get('security') else ''}"
    yield ""
    if call.get("parameters"):
        yield "| parameter | in | takes | |"
        yield "|---|---|---|---|"
        for each in call["parameters"]:
            yield _row(
                f"`{each['name']}`",
                each["in"],
                _type_text(_without_null(each["schema"])),
                _description(each, each["schema"]),
            )
        yield ""
    for media_type, body in call.get("requestBody", {}).get("content", {}).items():
        yield f"Body `{media_type}`: {_type_text(body['schema'])}"
        yield ""
        if "properties" in body["schema"]:
            yield from _properties(body["schema"])
    yield "| answer | meaning | body |"
    yield "|---|---|---|"
    problems = []
    for status, answer in sorted(call["responses"].items()):
        content = answer.get("content", {})
        headers = ", ".join(f"`{name}`" for name in answer.get("headers", {}))
        if "application/problem+json" in content:
            problems.append(f"{status} {answer['description']}" + (f" ({headers})" if headers else ""))
            continue
        meaning = answer["description"].replace("Successful Response", "As asked.")
        bodies = [_body(media_type, each["schema"]) for media_type, each in content.items()]
        yield _row(status, f"{meaning} With {headers}." if headers else meaning, ", ".join(bodies))
    yield ""
    if problems:
        yield f"Problems: {', '.join(problems)}."
        yield ""


def _body(media_type: str, schema: Schema) -> str:
    return _type_text(schema) if "$ref" in schema else f"`{media_type}`"


def _model(name: str, schema: Schema) -> Iterator[str]:
    yield f"### {name}"
    yield ""
    yield schema.get("description", "")
    yield ""
    if "properties" in schema:
        yield from _properties(schema)
    elif "enum" in schema:
        yield _type_text(schema)
        yield ""


def _properties(schema: Schema) -> Iterator[str]:
    required = schema.get("required", [])
    yield "| field | takes | |"
    yield "|---|---|---|"
    for name, field in schema["properties"].items():
        yield _row(
            f"`{name}`" + (" (required)" if name in required else ""), _type_text(field), _description(field, field)
        )
    yield ""


def _description(described: Schema, schema: Schema) -> str:
    """Description and default."""
    default = schema.get("default")
    words = described.get("description", "")
    return words if default in (None, "") else f"{words} Default: `{json.dumps(default)}`.".strip()


def _without_null(schema: Schema) -> Schema:
    """What may be given where nothing may be given too."""
    choices = [each for each in schema.get("anyOf", []) if each.get("type") != "null"]
    return choices[0] if len(choices) == 1 else schema


def _type_text(schema: Schema) -> str:
    """What a JSON Schema takes, in words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type_text(each) for each in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        values = schema.get("enum") or [schema["const"]]
        return ", ".join(f"`{value}`" for value in values)
    if "contentMediaType" in schema:
        return "file"
    kind = str(schema.get("type", "anything"))
    if kind == "array":
        return f"list of {_type_text(schema['items'])}"
    if kind == "string" and "format" in schema and schema["format"] != "password":
        return f"string ({schema['format']})"
    return kind + _bounds(schema)


def _bounds(schema: Schema) -> str:
    low = schema.get("minimum")
    high = schema.get("maximum")
    if low is not None and high is not None:
        return f", {low:g} to {high:g}"
    if isinstance(low, int):
        return f", {_size(low)} or more"
    if "exclusiveMinimum" in schema:
        top = f", at most {high:g}" if high is not None else ""
        return f", more than {schema['exclusiveMinimum']:g}{top}"
    return f", up to {schema['maxLength']} characters" if "maxLength" in schema else ""


def _default(value: object) -> str:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, tuple):
        value = " ".join(map(str, value))
    if value is None or value in ("", {}):
        return "unset"
    return _size(value) if isinstance(value, int | float) else f"`{value}`"


def _size(number: float) -> str:
    mebibytes = f" ({number // MIB:g} MiB)" if number >= MIB and number % MIB == 0 else ""
    return f"`{number}`{mebibytes}"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def main(arguments: list[str]) -> int:
    """Write the pages; with --check only tell which ones differ. The exit code: 1 if any does."""
    made = build_pages()
    stale = [name for name, text in made.items() if not _is_current(HERE / name, text)]
    if "--check" in arguments:
        for name in stale:
            print(f"docs/{name} differs from the models. Run `make docs` and commit what it writes.", file=sys.stderr)
        return 1 if stale else 0
    for name in stale:
        (HERE / name).parent.mkdir(parents=True, exist_ok=True)
        (HERE / name).write_text(made[name])
        print(f"docs/{name}")
    return 0


def _is_current(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    sys.exit(main(sys.argv[1:]))
