"""Every attack that takes no minutes is repelled by the real processes."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from attacks import bundle_attacks, login_attacks
from attacks.attempts import GOT_THROUGH, REPELLED, carry_out
from attacks.command import ATTACKS, SENTENCES, SLOW
from attacks.site import SETTINGS, Site
from faults.choosing import chosen
from faults.scene import Scene
from faults.servers import Servers
from faults.warm_driver import WarmDriver
from jobs.errors import CommandError
from jobs.local_stack.stack import LocalStack, temporary_folder


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that Redis's account may enter."""
    with temporary_folder() as made:
        yield made


@pytest.fixture(scope="module")
def site(stack: LocalStack, folder: Path) -> Iterator[Site]:
    servers = Servers(stack, lambda: WarmDriver(folder / "warm-driver.log"))
    with Scene(servers, folder / "site", 1, settings=SETTINGS) as scene, Site(scene) as made:
        yield made


@pytest.mark.parametrize("name", [name for name in ATTACKS if name not in SLOW])
def test_an_attack_is_repelled(site: Site, name: str) -> None:
    outcome = carry_out(name, ATTACKS[name], site)
    assert outcome.verdict == REPELLED, outcome
    assert outcome.tries


def test_there_are_enough_attacks_and_each_says_what_it_tries() -> None:
    assert len(ATTACKS) >= 60
    assert all(text.endswith(".") and len(text) > 40 for text in SENTENCES.values()), SENTENCES


def test_attacks_are_chosen_by_the_beginning_of_their_names() -> None:
    assert chosen(["token-un"], ATTACKS, "attack") == ["token-unsigned"]
    assert chosen([], ATTACKS, "attack") == list(ATTACKS)
    with pytest.raises(CommandError, match="no attack is called nothing"):
        chosen(["token-un", "nothing"], ATTACKS, "attack")


@pytest.mark.parametrize("name", bundle_attacks.FAMILY)
def test_an_attack_on_a_verifier_that_always_agrees_gets_through(
    site: Site, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle_attacks, "VERIFIER", shutil.which("true"))
    outcome = carry_out(name, ATTACKS[name], site)
    assert outcome.verdict == GOT_THROUGH, outcome


@pytest.mark.parametrize("name", [path.stem for path in login_attacks.TRIES.glob("*.sql")])
def test_each_try_of_a_login_works_where_no_rule_stops_it(site: Site, name: str) -> None:
    """As a superuser whom no trigger stops; otherwise it would be refused for a slip of ours."""
    site.fill_books()
    unstopped = f"{site.superuser_url}?options=-csession_replication_role%3Dreplica"
    tries = login_attacks.tries(name)
    assert tries
    assert [what for what, text in tries.items() if login_attacks.gain(unstopped, what, text) is None] == []
