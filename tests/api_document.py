"""Check answers of the API against its OpenAPI document."""

from typing import Any

import jsonschema


def resolved(document: Any, schema: Any) -> Any:
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "components": document["components"], **schema}


def part_of(document: Any, reference: str) -> Any:
    part = document
    for name in reference.removeprefix("#/").split("/"):
        part = part[name]
    return part


def described_route(document: Any, method: str, route: str) -> Any:
    return document["paths"][route.replace(":path}", "}")][method.lower()]


def hold(document: Any, operation: Any, answer: Any) -> None:
    """Check an answer against the declaration of its status: media type, body and headers."""
    response = operation["responses"][str(answer.status_code)]
    media = answer.headers.get("content-type", "").partition(";")[0]
    if "content" in response:
        schema = response["content"][media].get("schema", {})
        if media.endswith("json") and media != "application/x-ndjson":
            jsonschema.validate(answer.json(), resolved(document, schema))
    if media == "application/problem+json":
        code = answer.json()["code"]
        assert f"`{code}`" in response["description"], answer.text
