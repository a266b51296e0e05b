"""The page of a payee's own account, and the form that asks for another one."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from tests.portal_fakes import FakePorts
from tests.unit.test_portal_pages import send, sign_in, signed_in

IBAN = "NL91 ABNA 0417 1643 00"


@pytest.fixture
def ports() -> FakePorts:
    ports = FakePorts()
    ports.add_history()
    return ports


@pytest.fixture
def client(ports: FakePorts) -> Iterator[TestClient]:
    with signed_in(ports, "ann") as client:
        yield client


def ask(client: TestClient, **fields: str) -> tuple[int, str, str]:
    return send(client, "/portal/account", "/portal/account", **fields)


def test_what_is_on_file_is_shown_masked_with_what_became_of_each_change(client: TestClient) -> None:
    page = client.get("/portal/account").text
    assert "DE…3000" in page
    assert "not accepted: the name is another" in page
    assert "US" in page
    assert "waits for a second person. Until then" not in page


def test_a_change_that_was_asked_for_waits_and_no_second_one_can_be_sent(client: TestClient, ports: FakePorts) -> None:
    status, location, _ = ask(client, holder_name="Ann Apple", iban=IBAN)
    assert (status, location) == (303, "/portal/account?done=asked")
    page = client.get(location).text
    assert "comes into force when a second person approves it" in page
    assert "Until then you are paid to DE…3000" in page
    assert 'name="iban"' not in page
    assert (ports.accounts["ann"][0].holder_name, ports.accounts["ann"][0].account) == ("Ann Apple", "NL…4300")


def test_a_change_that_is_refused_is_told_in_a_sentence_that_does_not_repeat_it(client: TestClient) -> None:
    status, _, page = ask(client, holder_name="Ann Apple", iban="NL91 ABNA 04")
    assert status == 422
    assert "Not an IBAN" in page
    assert "ABNA" not in page


def test_the_address_for_notices_is_asked_for_with_the_account_and_shown(client: TestClient, ports: FakePorts) -> None:
    assert 'type="email"' in client.get("/portal/account").text
    ask(client, holder_name="Ann Apple", iban=IBAN, email="ann@new.example")
    assert ports.accounts["ann"][0].address == "ann@new.example"
    ports.accounts["ann"][1] = replace(ports.accounts["ann"][1], state="in_force", address="a…@old.example")
    page = client.get("/portal/account").text
    assert page.count("a…@old.example") == 2, "on file, and in the history"
    ports.accounts["ann"].pop(0)
    ask(client, holder_name="Ann Apple", iban=IBAN, email="")
    assert ports.accounts["ann"][0].address is None


def test_an_account_is_the_callers_own(client: TestClient, ports: FakePorts) -> None:
    sign_in(client, "bob")
    assert "DE…3000" not in client.get("/portal/account").text
    ask(client, holder_name="Bob", iban=IBAN, payee_id="ann")
    assert [each.holder_name for each in ports.accounts["bob"]] == ["Bob"]
    assert len(ports.accounts["ann"]) == 2
