"""The outputs of a render: their kinds, their routes and their OpenAPI description.

Viewers request outputs by the hundred from processes that also receive uploads. They are therefore plain Starlette
routes with one validation step and a hand-written OpenAPI description: FastAPI's dependency injection for so many
parameters takes longer than the rest of the response.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from pydantic import ValidationError

from tasks.storage import MANIFEST
from web.access.authentication import bearer
from web.access.output_access import SIGNED_LINK_PARAMETERS, OutputAddress, find_readable_job
from web.dependencies import get_services
from web.problems import invalid_request, problem_responses
from web.routes.downloads import send_output
from web.routes.plain_route import PlainRoute

WEBP = "image/webp"
PNG = "image/png"
DZI = "application/xml"
JSON = "application/json"


@dataclass(frozen=True)
class Output:
    """A kind of output: its path below the render, its media type and its description."""

    path: str
    media_type: str
    description: str

    def file(self, address: OutputAddress) -> str:
        """Its file name in the job's artifacts: as in the path, with the layer's number in three digits."""
        return self.path.format(
            number=f"{address.number:03d}", level=address.level, column=address.column, row=address.row
        )


OUTPUTS = (
    Output(MANIFEST, JSON, "Description of the outputs: layers, sizes, checksums, warnings."),
    Output("preview.webp", WEBP, "All visible layers in one image."),
    Output("preview.png", PNG, "The preview of a render with `format` PNG."),
    Output("layers/{number}.webp", WEBP, "One layer with transparent background. The manifest lists the layers."),
    Output("layers/{number}.png", PNG, "One layer of a render with `format` PNG."),
    Output("tiles.dzi", DZI, "Descriptor of the Deep Zoom tiles of a render with `tiles`."),
    Output("tiles_files/{level}/{column}_{row}.webp", WEBP, "One tile. Level 0 is the smallest."),
    Output(
        "layers/{number}.dzi",
        DZI,
        "Descriptor of one layer's tiles, of a render with `layer_tiles`, or with `tile_layer` for this layer.",
    ),
    Output("layers/{number}_files/{level}/{column}_{row}.webp", WEBP, "One tile of one layer."),
)


def routes() -> list[PlainRoute]:
    """The routes of all outputs, for GET and HEAD."""
    return [make_route(output) for output in OUTPUTS]


def make_route(output: Output) -> PlainRoute:
    """The route of an output."""

    async def answer(request: Request) -> Response:
        address = parse_address(request)
        services = await get_services(request)
        job = await find_readable_job(request, services, address)
        return await send_output(request, services, job, output.file(address), output.media_type)

    return PlainRoute(route_path(output), answer, methods=["GET"])  # Starlette adds HEAD


def route_path(output: Output) -> str:
    """The route's path template."""
    return f"/renders/{{render}}/{output.path}"


def parse_address(request: Request) -> OutputAddress:
    """The output that this request addresses. Raises a 422 problem that lists the invalid parts."""
    query = {name: value for name, value in request.query_params.items() if name in SIGNED_LINK_PARAMETERS}
    try:
        return OutputAddress.model_validate_strings(query | request.path_params)
    except ValidationError as error:
        raise invalid_request(error.errors(), where="address") from error


def openapi_paths() -> dict[str, Any]:
    """The OpenAPI paths of all outputs."""
    return {
        route_path(output): {method: openapi_operation(output, method) for method in ("get", "head")}
        for output in OUTPUTS
    }


def openapi_operation(output: Output, method: str) -> dict[str, Any]:
    """The OpenAPI operation of one output and method; `method` is in lower case."""
    content = (
        {"type": "object"} if output.media_type == JSON else {"type": "string", "contentMediaType": output.media_type}
    )
    etag = {"ETag": {"description": "Validator for If-None-Match.", "schema": {"type": "string"}}}
    responses: dict[int | str, dict[str, Any]] = {
        200: {"description": "The output.", "content": {output.media_type: {"schema": content}}, "headers": etag},
        304: {"description": "The client has the current version.", "headers": etag},
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
    """The OpenAPI parameters of the output's path and of signed links."""
    parameters = []
    for name, schema in OutputAddress.model_json_schema()["properties"].items():
        in_path = f"{{{name}}}" in route_path(output)
        if in_path or name in SIGNED_LINK_PARAMETERS:
            description = schema.pop("description")
            schema.pop("default", None)
            location = "path" if in_path else "query"
            parameters.append(
                {"name": name, "in": location, "required": in_path, "description": description, "schema": schema}
            )
    return parameters
