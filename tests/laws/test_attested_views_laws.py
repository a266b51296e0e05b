"""Under a policy that asks for attestations, what is billable follows the keys of the log's places, for good."""

import random
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from batch_layer.errors import RefusedError
from batch_layer.judging.batch_keys import BatchKeys
from batch_layer.run.rebuild import rebuild_once
from batch_layer.run.run import run_once
from ingestion.contract.policy import CountingPolicy, policy_on
from tests.batch_fakes import ATTESTATION_KEYS, TOPIC
from tests.laws.test_batch_laws import assert_equals_settle, stored_outcomes
from tests.random_logs import PARTITIONS, START, decide_some, grow, no_gate, random_facts, worlds
from tests.shipped_policies import POLICIES
from tests.spark_fixtures import TRAITS_KEY, MemoryRun

SEED = 20261129
ASKING = CountingPolicy(2, START.date() - timedelta(days=1), 20, 3, timedelta(hours=24), asks_attestation=True)
FIRST = {"first": ATTESTATION_KEYS["first"]}
SECOND = {"second": ATTESTATION_KEYS["second"]}


def keys(live: Mapping[str, bytes], revoked: Mapping[str, bytes] | None = None, **revoked_from: datetime) -> BatchKeys:
    return BatchKeys(TRAITS_KEY, live, revoked or {}, revoked_from)


def place_at(run: MemoryRun, instant: datetime) -> tuple[int, ...]:
    """The first offset of each partition that was appended at an instant or later, of all that is published."""
    return tuple(
        next((each.offset for each in here[:end] if each.appended_at >= instant), end)
        for here, end in zip(run.log.messages, run.current.offsets.ends, strict=True)
    )


def billabilities(run: MemoryRun, spark: SparkSession) -> Counter[tuple[object, object]]:
    return Counter((attested, billability) for *_, billability, attested in stored_outcomes(run, spark).values())


@pytest.mark.usefixtures("empty_tables")
def test_keys_that_are_added_and_revoked_hold_for_what_comes_after_and_a_key_that_is_gone_is_refused(
    spark: SparkSession, tmp_path: Path
) -> None:
    rng = random.Random(SEED)
    policies = (POLICIES[0], ASKING)
    run = MemoryRun.with_partitions(spark, PARTITIONS, tmp_path, no_gate, policies=policies, keys=keys(FIRST))
    among = worlds(rng, 16)
    run.catalogue.versions = [random_facts(rng, among)]
    for known in (keys(FIRST), keys(ATTESTATION_KEYS), keys(SECOND, FIRST)):
        run.warehouse._keys = known
        grow(run, rng, among, 60)
        decide_some(run, rng)
        assert run_once(run.ports(), TOPIC).state == "published"
        assert_equals_settle(
            run, spark, run.catalogue.versions[0], SEED, policy_for=partial(policy_on, policies=policies)
        )
    versions = run.versions.published
    pinned = versions[-1].attesting_keys
    assert pinned
    assert [(each.key_id, each.vouches, each.since) for each in pinned.keys] == [
        ("first", True, ()),
        ("second", True, versions[0].offsets.ends),
        ("first", False, versions[1].offsets.ends),
    ]
    found = billabilities(run, spark)
    assert found[False, "unattested"] > 5
    assert found[True, "billable"] > 5
    assert found[False, "billable"] > 0, "on days of the policy that does not ask"
    assert not found[True, "unattested"]
    assert rebuild_once(run.ports()).state == "equal"
    grow(run, rng, among, 5)
    for gone in (keys(SECOND), keys({**SECOND, "first": b"another secret" * 3}), keys({})):
        run.warehouse._keys = gone
        for work in (lambda: run_once(run.ports(), TOPIC), lambda: rebuild_once(run.ports())):
            with pytest.raises(RefusedError, match=r"^the attestation key first (is missing|has another secret)"):
                work()
    assert run.versions.published == versions


@pytest.mark.usefixtures("empty_tables")
def test_what_a_key_attested_since_an_instant_is_judged_again_once_it_is_revoked_from_it(
    spark: SparkSession, tmp_path: Path
) -> None:
    """Stored events lose it by delta, alone or beside new ones, and every version is what a rebuild counts."""
    rng = random.Random(SEED + 1)
    policies = (POLICIES[0], ASKING)
    run = MemoryRun.with_partitions(
        spark, PARTITIONS, tmp_path, no_gate, policies=policies, keys=keys(ATTESTATION_KEYS)
    )
    among = worlds(rng, 16)
    run.catalogue.versions = [random_facts(rng, among)]
    check = partial(assert_equals_settle, run, spark, run.catalogue.versions[0], SEED + 1)
    policy_for = partial(policy_on, policies=policies)

    def published(known: BatchKeys, new: int) -> Counter[tuple[object, object]]:
        run.warehouse._keys = known
        grow(run, rng, among, new)
        assert run_once(run.ports(), TOPIC).state == "published"
        check(policy_for=policy_for)
        return billabilities(run, spark)

    first = published(keys(ATTESTATION_KEYS), 160)
    times = sorted(each.appended_at for each in run.log.all())
    late, early = times[len(times) * 3 // 4], times[len(times) // 4]
    since_late, since_early = place_at(run, late), place_at(run, early)
    by_late = published(keys(SECOND, FIRST, first=late), 0)
    assert 0 < by_late[True, "billable"] < first[True, "billable"]
    assert by_late[False, "unattested"] > first[False, "unattested"]
    assert run_once(run.ports(), TOPIC).state == "nothing_new", "it was judged again"
    by_early = published(keys(SECOND, FIRST, first=early), 40)
    assert by_early[False, "unattested"] > by_late[False, "unattested"]
    pinned = run.current.attesting_keys
    assert pinned
    assert [each.since for each in pinned.keys if not each.vouches] == [since_late, since_early]
    assert rebuild_once(run.ports()).state == "equal"
    run.warehouse._keys = keys(SECOND, FIRST, first=late)
    with pytest.raises(RefusedError, match=r"^the attestation key first is not trusted from .* and revoked_from is"):
        run_once(run.ports(), TOPIC)


@pytest.mark.usefixtures("empty_tables")
def test_a_policy_that_asks_for_attestations_is_refused_where_no_key_is_set(
    spark: SparkSession, tmp_path: Path
) -> None:
    rng = random.Random(SEED)
    run = MemoryRun.with_partitions(spark, PARTITIONS, tmp_path, no_gate, policies=(POLICIES[0], ASKING), keys=keys({}))
    grow(run, rng, worlds(rng, 4), 20)
    with pytest.raises(RefusedError, match=r"counting policy 2 asks for .*VIEWLEDGER_ATTESTATION_KEYS_FILE is not set"):
        run_once(run.ports(), TOPIC)
    assert not run.versions.published
