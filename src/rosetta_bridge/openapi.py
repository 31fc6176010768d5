"""One OpenAPI 3.1 document for a service that takes these models' requests.

Paths are `/v1/generate/<kind>/<lab>/<model>`, as in the public API that the requests come from. What the
service answers is its own affair and left open.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .model import Model


def openapi(models: Iterable[Model], version: str) -> dict[str, Any]:
    """The document; `version` is the catalogue's digest or the service's own."""
    paths, schemas = {}, {}
    for model in models:
        name = model.id.replace("/", "__")
        schema = model.schema()
        schema.pop("$schema")
        schemas[name] = schema
        paths[f"/v1/generate/{model.kind}/{model.id}"] = {
            "post": {
                "operationId": f"generate_{name}",
                "summary": f"Generate with {model.id}",
                "tags": [model.lab],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}},
                },
                "responses": {
                    "default": {"description": "Whatever the service answers"},
                },
            }
        }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Generation requests", "version": version},
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "paths": paths,
        "components": {"schemas": schemas},
    }
