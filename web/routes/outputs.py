"""The outputs of a render: which there are, at which addresses, and how OpenAPI describes them.

Viewers ask for them by the hundred, in processes that take drawings meanwhile. So they are plain routes, each address
is validated in one step, and OpenAPI is told by hand: FastAPI's way to a function with so many parameters takes longer
than all the rest of an answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from pydantic import ValidationError
from starlette.routing import Route

from tasks.storage import MANIFEST
from web.access.authentication import bearer
from web.access.output_access import SIGNED_LINK_PARAMETERS, OutputAddress, find_readable_job
from web.dependencies import get_services
from web.problems import invalid_request, problem_responses
from web.routes.downloads import send_output

WEBP = "image/webp"
PNG = "image/png"
DZI = "application/xml"
JSON = "application/json"


@dataclass(frozen=True)
class Output:
    """A kind of output: its address below the render's own, what it is sent as, and what it is."""

    path: str
    media_type: str
    description: str

    def file(self, address: OutputAddress) -> str:
        """Its file among the job's artifacts: named as in the address, where a layer's number has three digits."""
        return self.path.format(
            number=f"{address.number:03d}", level=address.level, column=address.column, row=address.row
        )


OUTPUTS = (
    Output(MANIFEST, JSON, "What was made: layers, sizes, checksums, warnings."),
    Output("preview.webp", WEBP, "All visible layers in one picture."),
    Output("preview.png", PNG, "The preview of a render that was asked for as PNG."),
    Output("layers/{number}.webp", WEBP, "One layer, transparent where nothing is drawn; the manifest says which."),
    Output("layers/{number}.png", PNG, "One layer of a render that was asked for as PNG."),
    Output("tiles.dzi", DZI, "Descriptor of the Deep Zoom tiles, if they were asked for (`tiles`)."),
    Output("tiles_files/{level}/{column}_{row}.webp", WEBP, "One tile; level 0 is the smallest."),
    Output(
        "layers/{number}.dzi",
        DZI,
        "Descriptor of one layer's tiles, if they were asked for (`layer_tiles`, or `tile_layer` for it alone).",
    ),
    Output("layers/{number}_files/{level}/{column}_{row}.webp", WEBP, "One tile of one layer."),
)


def routes() -> list[Route]:
    """All outputs, for GET and HEAD."""
    return [make_route(output) for output in OUTPUTS]


def make_route(output: Output) -> Route:
    """What answers for an output."""

    async def answer(request: Request) -> Response:
        request.scope["route"] = own  # as FastAPI's own routes do, for the metrics
        address = parse_address(request)
        house = await get_services(request)
        job = await find_readable_job(request, house, address)
        return await send_output(request, house, job, output.file(address), output.media_type)

    own = Route(route_path(output), answer, methods=["GET", "HEAD"])
    return own


def route_path(output: Output) -> str:
    """The address with names of what varies in it."""
    return f"/renders/{{render}}/{output.path}"


def parse_address(request: Request) -> OutputAddress:
    """The address that this request asks for. Raises a 422 problem that names its faults."""
    link = {name: value for name, value in request.query_params.items() if name in SIGNED_LINK_PARAMETERS}
    try:
        return OutputAddress.model_validate_strings(link | request.path_params)
    except ValidationError as error:
        raise invalid_request(error.errors(), where="address") from error


def openapi_paths() -> dict[str, Any]:
    """The paths of all outputs for OpenAPI."""
    return {
        route_path(output): {method: openapi_operation(output, method) for method in ("get", "head")}
        for output in OUTPUTS
    }


def openapi_operation(output: Output, method: str) -> dict[str, Any]:
    """One output by one method for OpenAPI; `method` is in lower case."""
    content = (
        {"type": "object"} if output.media_type == JSON else {"type": "string", "contentMediaType": output.media_type}
    )
    etag = {"ETag": {"description": "Validator for If-None-Match.", "schema": {"type": "string"}}}
    responses: dict[int | str, dict[str, Any]] = {
        200: {"description": "The output.", "content": {output.media_type: {"schema": content}}, "headers": etag},
        304: {"description": "It is as the client knows it.", "headers": etag},
        **problem_responses(401, 404, 422, 503),
    }
    return {
        "tags": ["outputs"],
        "summary": output.path,
        "description": output.description,
        "operationId": f"{method}_{re.sub(r'[^a-z]+', '_', output.path)}",
        "security": [{bearer.scheme_name: []}],
        "parameters": openapi_parameters(output),
        "responses": {str(status): response for status, response in responses.items()},
    }


def openapi_parameters(output: Output) -> list[dict[str, Any]]:
    """What varies in the output's address, and what a signed link adds."""
    found = []
    for name, schema in OutputAddress.model_json_schema()["properties"].items():
        inside = f"{{{name}}}" in route_path(output)
        if inside or name in SIGNED_LINK_PARAMETERS:
            about = schema.pop("description")
            schema.pop("default", None)
            where = "path" if inside else "query"
            found.append({"name": name, "in": where, "required": inside, "description": about, "schema": schema})
    return found
