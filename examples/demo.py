"""`make demo`: draws a pump station, renders it over HTTP on a platform of its own, and stores the result."""

import json
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from cli.embedded.ports import LOOPBACK, assign_ports
from cli.embedded.programs import web_url
from examples.pump_station.drawing import draw, save
from tasks.settings import settings
from tasks.utils.files import PRIVATE_DIRECTORY

DRAWING = "pump-station.dxf"

# Time limits in seconds: for the start of the platform on a slow machine, and for one request.
UP_TIMEOUT = 120
REQUEST_TIMEOUT = 30

JOB_FAILED = 1
SERVICE_MISSING = 3


def main() -> None:
    """Exit code 0 when the drawing is rendered, 1 if the job failed, 2 or 3 like `bulkhead up`."""
    var = settings().var
    var.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    folder = var / "demo"
    folder.mkdir(exist_ok=True)
    drawing = folder / DRAWING
    save(draw(), drawing)
    typer.echo(f"Drawn: {drawing} ({drawing.stat().st_size:,} bytes). Starting the platform:")
    port = assign_ports(folder / "ports.json", ["web"])["web"]
    with running_platform(port) as url:
        started = time.monotonic()
        accepted = post(f"{url}/renders", drawing)
        render = follow_job(url, accepted)
        if render["state"] != "succeeded":
            typer.secho(f"The job {render['state']}: {render['error']['detail']}", err=True, fg=typer.colors.RED)
            raise typer.Exit(JOB_FAILED)
        layers = download_outputs(url, render, folder)
        took = time.monotonic() - started
    typer.secho(f"\nRendered through HTTP in {took:.1f} s.\n", bold=True, fg=typer.colors.GREEN)
    typer.echo(f"  preview   {folder}/preview.webp")
    typer.echo(f"  layers    {folder}/layers ({layers} files)")
    typer.echo(f"  manifest  {folder}/manifest.json")
    typer.echo(f"  status    {url}{render['links']['self']}")
    later = web_url(settings().host, settings().port)
    typer.echo("\nThe platform is stopped. Start it again with `make up` to see the drawing layer by layer:\n")
    typer.echo(f"  viewer    {later}/#/drawing/{render['id']}")


@contextmanager
def running_platform(port: int) -> Iterator[str]:
    """Run `bulkhead up` for the length of the block. Yields its URL."""
    command = [sys.executable, "-P", "-m", "cli", "up", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            url = web_url(LOOPBACK, port)
            wait_until_healthy(url, process)
            yield url
        finally:
            process.send_signal(signal.SIGTERM)


def wait_until_healthy(url: str, process: subprocess.Popen[bytes]) -> None:
    """Block until the web tier answers. Raises typer.Exit with the platform's exit code if that exits instead."""
    deadline = time.monotonic() + UP_TIMEOUT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise typer.Exit(process.returncode or SERVICE_MISSING)
        try:
            with get(f"{url}/healthz"):
                return
        except OSError:
            time.sleep(0.1)
    typer.secho(f"The platform did not start within {UP_TIMEOUT} s. See {settings().var}/log.", err=True)
    raise typer.Exit(SERVICE_MISSING)


def get(url: str) -> Any:
    """Send a GET request. Raises urllib.error.URLError."""
    return urllib.request.urlopen(url, timeout=REQUEST_TIMEOUT)  # noqa: S310 - a URL of our own


def post(url: str, drawing: Path) -> dict[str, Any]:
    """Upload a drawing as the form field `blueprint`, like a browser. Returns the accepted job."""
    boundary = uuid.uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="blueprint"; filename="{drawing.name}"\r\n\r\n'
    body = head.encode() + drawing.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - a URL of our own
    with urllib.request.urlopen(request, timeout=REQUEST_TIMEOUT) as response:  # noqa: S310
        accepted: dict[str, Any] = json.load(response)
        typer.echo(f"\nPOST {url} -> {response.status} {accepted['state']}, job {accepted['id']}")
    return accepted


def follow_job(url: str, accepted: dict[str, Any]) -> dict[str, Any]:
    """Show the progress of a job until it is finished. Returns the finished job."""
    render: dict[str, Any] = accepted
    bar = Progress(
        BarColumn(), TextColumn("{task.percentage:>3.0f} %  {task.description}"), console=Console(stderr=True)
    )
    with bar, get(url + accepted["links"]["events"]) as events:
        line = bar.add_task(accepted["state"], total=100)
        for name, data in parse_events(events):
            if name == "render":
                render = data
            progress = data["progress"] if name == "render" else data
            stage = " ".join(filter(None, [progress["stage"] or render["state"], progress["layer"]]))
            bar.update(line, completed=progress["percent"], description=stage)
    return render


def parse_events(lines: Iterator[bytes]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and data of each server-sent event."""
    name = ""
    for line in lines:
        field, _, value = line.decode().strip().partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


def download_outputs(url: str, render: dict[str, Any], folder: Path) -> int:
    """Download manifest, preview and layers into `folder`. Returns the number of layer files."""
    address = url + render["links"]["self"]
    with get(f"{address}/manifest.json") as response:
        manifest_text = response.read()
    files = [layer["file"] for layer in json.loads(manifest_text)["layers"] if layer["file"]]
    shutil.rmtree(folder / "layers", ignore_errors=True)
    (folder / "layers").mkdir()
    (folder / "manifest.json").write_bytes(manifest_text)
    for name in ["preview.webp", *files]:
        with get(f"{address}/{name}") as response:
            (folder / name).write_bytes(response.read())
    return len(files)


if __name__ == "__main__":
    typer.run(main)
