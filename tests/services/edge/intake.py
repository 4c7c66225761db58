"""The web tier as tests of the edge run it: with a WebSocket that says what it hears."""

from fastapi import FastAPI, WebSocket

from web.app import create_app


def create() -> FastAPI:
    """For uvicorn, with --factory."""
    app = create_app()

    @app.websocket("/sensors/echo")
    async def echo(line: WebSocket) -> None:
        await line.accept()
        while True:
            await line.send_text(await line.receive_text())

    return app
