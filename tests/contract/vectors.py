"""Golden vectors for publishers in other languages: `python -m tests.contract.vectors [--check]`.

renders.json     requests, and the messages that stock Celery writes for them, without what is a publisher's own
webhooks.json    webhooks, signed by the library of Standard Webhooks

They lie in `bridge/php/tests/vectors`; the same seed makes the same files.
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

# What every publisher writes in its own way, or the transport for itself.
OWN_HEADERS = ("lang", "origin", "argsrepr", "kwargsrepr")
OWN_PROPERTIES = ("reply_to", "delivery_info", "delivery_tag", "body_encoding")

NAMES = (
    "", "plan.dxf", "Pumpenhaus Süd.dxf", "水道管 図面.dwg", "план насосной.pdf", "رسم.svg", "a/b\\c.dxf",
    'say "hi".dxf', "line\u2028and\u2029paragraph.dxf", "tab\tand\x7f.dxf", "e\u0301 decomposed.dxf",
    "🏭 plant 👷🏽.tiff", "</script>&'.svg", "x" * 255, "ü" * 255,
)  # fmt: skip

# Layers of the drawing that a worker renders for every request.
LAYERS = ("WALLS", "Rohre Süd", "水", "0")

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # for these vectors only


def options(chance: random.Random) -> dict[str, Any]:
    """Some options, often none, of renders that take a worker a moment."""
    some: dict[str, Any] = {
        "width": chance.randint(16, 64),
        "background": chance.choice(["light", "dark", "transparent"]),
        "layout": "",
        "page": 1,
        "tiles": False,
        "layer_tiles": chance.random() < 0.3,
        "tile_layer": chance.randint(-1, 3),
        "line_work": chance.random() < 0.5,
        "dpi": 0,
        "scale": chance.randint(100, 1000),
        "layers": ",".join(chance.sample(LAYERS, chance.randint(1, 4))),
        "line_weight": chance.randint(10, 1000),
        "region": chance.choice(["", "0,0,5000,5000", "2500,2500,10000,7500"]),
        "format": chance.choice(["webp", "webp-lossless", "webp-lossy", "png"]),
    }
    return {name: some[name] for name in chance.sample(sorted(some), chance.choice([0, 0, 1, 2, 5, len(some)]))}


def requests() -> list[dict[str, Any]]:
    """The requests, as the fields of RenderMessage."""
    chance = random.Random(SEED)
    made = []
    for number in range(REQUESTS):
        job = str(UUID(int=chance.getrandbits(128), version=4))
        tenant = chance.choice(["acme", "stadtwerke-ulm", "t_1"])
        source = chance.choice([f"sources/{tenant}/{job}", f"sources/{tenant}/2026/plan-{number}.dxf"])
        trace = f"00-{chance.getrandbits(128):032x}-{chance.getrandbits(64):016x}-01"
        made.append(
            {
                "version": 1,
                "job": job,
                "tenant": tenant,
                "source": source,
                "filename": NAMES[number % len(NAMES)],
                "options": options(chance),
                "traceparent": chance.choice([None, trace]),
                "webhook": chance.choice([None, None, None, f"https://portal.example.com/hooks?job={number}"]),
            }
        )
    return made


def message(app: Celery, request: dict[str, Any]) -> dict[str, Any]:
    """What stock Celery sends for a request, and the canonical text of its options with every default."""
    app.send_task(TASK, kwargs=request, task_id=request["job"], ignore_result=True)
    with app.connection_for_read() as connection, connection.SimpleQueue("celery") as queue:
        sent = queue.get()
        sent.ack()
    properties = {name: value for name, value in sent.properties.items() if name not in OWN_PROPERTIES}
    properties |= {"content_type": sent.content_type, "content_encoding": sent.content_encoding}
    return {
        "request": request,
        "canonical": canonical_options(RenderMessage.model_validate(request).options),
        "properties": properties,
        "headers": {name: value for name, value in sent.headers.items() if name not in OWN_HEADERS},
        "body": json.loads(sent.body),
    }


def renders() -> list[dict[str, Any]]:
    """The vectors of renders."""
    with Celery("stock", broker="memory://", set_as_current=False) as app:
        return [message(app, request) for request in requests()]


def webhooks() -> list[dict[str, Any]]:
    """The vectors of webhooks."""
    chance = random.Random(SEED)
    made = []
    for number in range(WEBHOOKS):
        webhook, moment = str(UUID(int=chance.getrandbits(128), version=4)), 1_700_000_000 + number
        event = {"type": "render.succeeded", "data": {"filename": NAMES[number % len(NAMES)]}}
        body = json.dumps(event, ensure_ascii=number % 2 == 0)
        signature = Webhook(SECRET).sign(webhook, datetime.fromtimestamp(moment, UTC), body)
        headers = {"webhook-id": webhook, "webhook-timestamp": str(moment), "webhook-signature": signature}
        made.append({"secret": SECRET, "headers": headers, "body": body})
    return made


def files() -> dict[Path, str]:
    """Text of every file of vectors, by its path."""
    made = {"renders.json": renders(), "webhooks.json": webhooks()}
    return {FOLDER / name: f"[\n{_lines(vectors)}\n]\n" for name, vectors in made.items()}


def _lines(vectors: list[dict[str, Any]]) -> str:
    return ",\n".join(json.dumps(vector, ensure_ascii=False) for vector in vectors)


def main(arguments: list[str]) -> int:
    """Write the files; with --check only tell which ones differ. The exit code: 1 if any does."""
    made = files()
    stale = [path for path, text in made.items() if not path.exists() or path.read_text() != text]
    for path in stale:
        print(path.name)
        if "--check" not in arguments:
            path.parent.mkdir(exist_ok=True)
            path.write_text(made[path])
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
