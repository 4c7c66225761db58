"""Test vectors for publishers in other languages: `python -m tests.contract.vectors [--check]`.

renders.json     requests and the messages that stock Celery writes for them, without publisher-specific fields
webhooks.json    webhooks signed by the Standard Webhooks library

The files are in `bridge/php/tests/vectors`. Their content depends on the seed only.
"""

import json
import random
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from celery import Celery
from standardwebhooks import Webhook

from tasks.renders import TASK, RenderMessage, canonical_options

FOLDER = Path(__file__).resolve().parents[2] / "bridge/php/tests/vectors"

REQUESTS = 200
WEBHOOKS = 20
SEED = 8

# Fields that depend on the publisher or the transport.
PUBLISHER_HEADERS = ("lang", "origin", "argsrepr", "kwargsrepr")
PUBLISHER_PROPERTIES = ("reply_to", "delivery_info", "delivery_tag", "body_encoding")

NAMES = (
    "", "plan.dxf", "Pumpenhaus Süd.dxf", "水道管 図面.dwg", "план насосной.pdf", "رسم.svg", "a/b\\c.dxf",
    'say "hi".dxf', "line\u2028and\u2029paragraph.dxf", "tab\tand\x7f.dxf", "e\u0301 decomposed.dxf",
    "🏭 plant 👷🏽.tiff", "</script>&'.svg", "x" * 255, "ü" * 255,
)  # fmt: skip

# Layers of the drawing that is rendered for every request.
LAYERS = ("WALLS", "Rohre Süd", "水", "0")

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # used only here


def options(rng: random.Random) -> dict[str, Any]:
    """Random options, often none, of renders that take little time."""
    values: dict[str, Any] = {
        "width": rng.randint(16, 64),
        "background": rng.choice(["light", "dark", "transparent"]),
        "layout": "",
        "page": 1,
        "tiles": False,
        "layer_tiles": rng.random() < 0.3,
        "tile_layer": rng.randint(-1, 3),
        "line_work": rng.random() < 0.5,
        "dpi": 0,
        "scale": rng.randint(100, 1000),
        "layers": ",".join(rng.sample(LAYERS, rng.randint(1, 4))),
        "line_weight": rng.randint(10, 1000),
        "region": rng.choice(["", "0,0,5000,5000", "2500,2500,10000,7500"]),
        "format": rng.choice(["webp", "webp-lossless", "webp-lossy", "png"]),
    }
    return {name: values[name] for name in rng.sample(sorted(values), rng.choice([0, 0, 1, 2, 5, len(values)]))}


def requests() -> list[dict[str, Any]]:
    """The requests with the fields of RenderMessage."""
    rng = random.Random(SEED)
    vectors = []
    for number in range(REQUESTS):
        job = str(UUID(int=rng.getrandbits(128), version=4))
        tenant = rng.choice(["acme", "stadtwerke-ulm", "t_1"])
        source = rng.choice([f"sources/{tenant}/{job}", f"sources/{tenant}/2026/plan-{number}.dxf"])
        trace = f"00-{rng.getrandbits(128):032x}-{rng.getrandbits(64):016x}-01"
        vectors.append(
            {
                "version": 1,
                "job": job,
                "tenant": tenant,
                "source": source,
                "filename": NAMES[number % len(NAMES)],
                "options": options(rng),
                "traceparent": rng.choice([None, trace]),
                "webhook": rng.choice([None, None, None, f"https://portal.example.com/hooks?job={number}"]),
            }
        )
    return vectors


def message(app: Celery, request: dict[str, Any]) -> dict[str, Any]:
    """The message that stock Celery sends for a request, and the canonical options including defaults."""
    app.send_task(TASK, kwargs=request, task_id=request["job"], ignore_result=True)
    with app.connection_for_read() as connection, connection.SimpleQueue("celery") as queue:
        sent = queue.get()
        sent.ack()
    properties = {name: value for name, value in sent.properties.items() if name not in PUBLISHER_PROPERTIES}
    properties |= {"content_type": sent.content_type, "content_encoding": sent.content_encoding}
    return {
        "request": request,
        "canonical": canonical_options(RenderMessage.model_validate(request).options),
        "properties": properties,
        "headers": {name: value for name, value in sent.headers.items() if name not in PUBLISHER_HEADERS},
        "body": json.loads(sent.body),
    }


def renders() -> list[dict[str, Any]]:
    """The vectors in renders.json."""
    with Celery("stock", broker="memory://", set_as_current=False) as app:
        return [message(app, request) for request in requests()]


def webhooks() -> list[dict[str, Any]]:
    """The vectors in webhooks.json."""
    rng = random.Random(SEED)
    vectors = []
    for number in range(WEBHOOKS):
        webhook, timestamp = str(UUID(int=rng.getrandbits(128), version=4)), 1_700_000_000 + number
        event = {"type": "render.succeeded", "data": {"filename": NAMES[number % len(NAMES)]}}
        body = json.dumps(event, ensure_ascii=number % 2 == 0)
        signature = Webhook(SECRET).sign(webhook, datetime.fromtimestamp(timestamp, UTC), body)
        headers = {"webhook-id": webhook, "webhook-timestamp": str(timestamp), "webhook-signature": signature}
        vectors.append({"secret": SECRET, "headers": headers, "body": body})
    return vectors


def files() -> dict[Path, str]:
    """The content of each file by its path."""
    contents = {"renders.json": renders(), "webhooks.json": webhooks()}
    return {FOLDER / name: f"[\n{_lines(vectors)}\n]\n" for name, vectors in contents.items()}


def _lines(vectors: list[dict[str, Any]]) -> str:
    return ",\n".join(json.dumps(vector, ensure_ascii=False) for vector in vectors)


def main(arguments: list[str]) -> int:
    """Write the files, or with --check list those that differ. Returns the exit code: 1 if any differ."""
    contents = files()
    stale = [path for path, text in contents.items() if not path.exists() or path.read_text() != text]
    for path in stale:
        print(path.name)
        if "--check" not in arguments:
            path.parent.mkdir(exist_ok=True)
            path.write_text(contents[path])
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
