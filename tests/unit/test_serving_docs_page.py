"""The page that shows the OpenAPI document: there where it is turned on, and with nothing from any other host."""

import base64
import hashlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from serving_layer.counts.prometheus_api import ApiMetrics
from serving_layer.routes.http_api import Api, counts_app
from serving_layer.routes.http_docs_page import FOLDER, MEDIA_TYPES, policy_of
from tests.serving_access import guard_of
from tests.serving_fakes import FakePublished, FakeSpeed, history_of, reader_of


def api(*, shows_docs: bool) -> TestClient:
    metrics = ApiMetrics(now=lambda: 0.0)
    reader = reader_of(FakePublished(), FakeSpeed(), observer=metrics)
    made = Api(reader, metrics, guard_of(), history_of(reader), refresh_seconds=3600, shows_docs=shows_docs)
    return TestClient(counts_app(made), raise_server_exceptions=False)


@pytest.fixture
def client() -> Iterator[TestClient]:
    with api(shows_docs=True) as made:
        yield made


def addresses_in(page: str) -> list[str]:
    return re.findall(r"""(?:src|href)="([^"]*)"|url: '([^']*)'""", page)


@pytest.mark.parametrize("path", ["/docs", "/docs/swagger-ui.css", "/redoc"])
def test_the_page_is_not_there_unless_it_is_turned_on(path: str) -> None:
    with api(shows_docs=False) as client:
        assert client.get(path).status_code == 404


def test_the_page_takes_everything_from_its_own_host(client: TestClient) -> None:
    page = client.get("/docs")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    found = ["".join(each) for each in addresses_in(page.text)]
    assert set(found) == {"docs/swagger-ui.css", "docs/swagger-ui-bundle.js", "data:,", "openapi.json"}
    for name in found:
        assert name == "data:," or client.get(f"/{name}").status_code == 200, name
    assert '"validatorUrl": null' in page.text


def test_the_page_may_run_its_own_scripts_and_no_other(client: TestClient) -> None:
    page = client.get("/docs")
    policy = dict(each.split(" ", 1) for each in page.headers["content-security-policy"].split("; "))
    scripts = re.findall(r"<script>(.*?)</script>", page.text, re.S)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert policy["script-src"] == f"'self' 'sha256-{digest}'"
    assert policy["default-src"] == "'none'"
    assert not [value for value in policy.values() if "http" in value]
    with pytest.raises(ValueError, match="no script that starts it"):
        policy_of("<p>another page</p>")


def test_its_files_say_what_they_are_and_nothing_else_is_there(client: TestClient) -> None:
    for name, media_type in MEDIA_TYPES.items():
        answer: Any = client.get(f"/docs/{name}")
        assert answer.headers["content-type"].partition(";")[0] == media_type
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.content == (FOLDER / name).read_bytes()
    for name in ("README.md", "..%2Fhttp_api.py", "%00"):
        assert client.get(f"/docs/{name}").status_code == 404, name


def test_the_vendored_files_are_the_ones_on_record() -> None:
    listed = (FOLDER / "README.md").read_text()
    for name in MEDIA_TYPES:
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() in listed


def test_the_page_is_not_in_the_document(client: TestClient) -> None:
    assert not [path for path in client.get("/openapi.json").json()["paths"] if "docs" in path]
