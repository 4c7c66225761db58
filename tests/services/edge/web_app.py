"""The web tier for tests of the edge, with a WebSocket that echoes messages."""

from fastapi import FastAPI, WebSocket

from web.app import create_app


def create() -> FastAPI:
    """Create the application (for `uvicorn --factory`)."""
    app = create_app()

    @app.websocket("/sensors/echo")
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        while True:
            await websocket.send_text(await websocket.receive_text())

    return app
