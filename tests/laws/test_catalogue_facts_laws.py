"""Executors of a real Spark read a catalogue's facts from a real PostgreSQL."""

import random
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from typing import Any

import psycopg2
import pytest
from pyspark.sql import DataFrame, SparkSession

from batch_layer.judging.spark_catalogue import SparkCatalogueFacts
from batch_layer.lake.spark_errors import translated
from billing.postgres_session import connector
from billing.terms.catalogue import Catalogue, Payee, Video
from billing.terms.ownership import SINCE_EVER, WITHOUT_END, OwnerShare
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from ingestion.contract.counting import OwnViewer, VideoFacts
from ingestion.contract.unavailable import Part, UnavailableError
from tests.billing_postgres import own_database

VIDEOS = 500
PAYEES = (
    Payee("ann", "Ann", "viewer of ann"),
    Payee("ben", "Ben", "Viewer of Ben"),  # a language's order would put it after the first
    Payee("eve", "Eve", "übermorgen"),
    Payee("none", "None"),
)
SECRET = "of-nobody's-business"


def random_catalogue(rng: random.Random) -> Catalogue:
    """Many videos, half of them with a known length, each sold at most once and owned by one or two people."""
    videos = [Video(f"v{n:04}", rng.choice([None, rng.randint(1, 9_000)])) for n in range(VIDEOS)]
    owners = []
    for each in videos:
        sold_on = rng.choice([None, date(2026, 1, 1), date(2026, 11, 20)])
        for start, end in ((SINCE_EVER, sold_on), (sold_on, WITHOUT_END)) if sold_on else ((SINCE_EVER, WITHOUT_END),):
            first, second = rng.sample([payee.payee_id for payee in PAYEES], 2)
            shares = {first: 400_000, second: 600_000} if rng.random() < 0.3 else {first: 1_000_000}
            owners += [OwnerShare(each.video_id, start, end, who, share) for who, share in sorted(shares.items())]
    return Catalogue(PAYEES, tuple(videos), tuple(owners))


def expected(catalogue: Catalogue) -> dict[str, VideoFacts]:
    viewers = {payee.payee_id: payee.user_id for payee in catalogue.payees}
    found = {}
    for each in catalogue.videos:
        shares = [share for share in catalogue.owners if share.video_id == each.video_id]
        own = [OwnViewer(name, share.from_on, share.to_on) for share in shares if (name := viewers[share.payee_id])]
        if own or each.length_seconds is not None:
            found[each.video_id] = VideoFacts(each.length_seconds, tuple(sorted(own)))
    return found


def facts_of(rows: DataFrame) -> dict[str, VideoFacts]:
    found = rows.collect()
    assert len(found) == len({row.video_id for row in found}), "each video has one row"
    return {
        row.video_id: VideoFacts(
            row.length_seconds, tuple(OwnViewer(own.user_id, own.from_on, own.to_on) for own in row.own_viewers)
        )
        for row in found
    }


@pytest.fixture(scope="module")
def url(postgres_url: str) -> Iterator[str]:
    with own_database(postgres_url, with_versions=False) as own:
        yield own


def test_the_facts_of_each_version_are_those_of_its_catalogue(spark: SparkSession, url: str) -> None:
    rng, catalogues = random.Random(43), PostgresCatalogueStore(connector(url))
    imported = [random_catalogue(rng) for _ in range(2)]
    for each in imported:
        catalogues.import_catalogue(each, "test")
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT catalogue_version FROM billing.catalogue_versions ORDER BY 1")
        versions = [number for (number,) in cursor.fetchall()]
    for number, catalogue in zip(versions, imported, strict=True):
        rows = SparkCatalogueFacts(spark, url).facts(number)
        assert facts_of(rows) == expected(catalogue)
        owners = sorted(map(tuple, SparkCatalogueFacts(spark, url).owners(number).collect()))
        assert owners == sorted(
            (each.video_id, each.payee_id, each.share_ppm, each.from_on, each.to_on) for each in catalogue.owners
        )
        assert rows.rdd.getNumPartitions() == spark.sparkContext.defaultParallelism, "tasks share the rows"
    assert facts_of(SparkCatalogueFacts(spark, url).facts(0)) == {}
    assert SparkCatalogueFacts(spark, url).owners(0).count() == 0
    in_force = catalogues.newest_catalogue()
    assert SparkCatalogueFacts(spark, url).latest_version() == (in_force[0] if in_force else 0)


def test_a_video_without_owner_viewers_has_none_of_them_rather_than_an_unknown_number(
    spark: SparkSession, url: str
) -> None:
    rows = SparkCatalogueFacts(spark, url).facts(1).where("own_viewers IS NULL")
    assert rows.count() == 0


def test_a_postgres_that_is_away_is_named_and_its_password_is_not(spark: SparkSession) -> None:
    def read() -> object:
        rows = SparkCatalogueFacts(spark, f"postgresql://viewledger:{SECRET}@127.0.0.1:9/viewledger").facts(1)
        plan: Any = rows._jdf
        assert SECRET not in plan.queryExecution().toString(), "plans are logged and shown"
        return rows.count()

    with pytest.raises(UnavailableError) as caught:
        translated(read)()
    assert caught.value.part == Part.POSTGRES
    assert SECRET not in str(caught.value)
