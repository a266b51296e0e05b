"""Choose the versions of catalogue and contracts for a period: the newest at first, then those it was billed by."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date

from billing.books.book_ports import RestsOn
from billing.errors import Failure, Precondition, PreconditionsError, TermsError
from billing.ports import CatalogueStore, SettledViews
from billing.rating.attribution import Attribution
from billing.rating.causes import CATALOGUE, CONTRACT, POLICY
from billing.rating.rated_lines import EVENTS
from billing.rating.remarks import contract_sentence, moved_sentence, moved_shares, other_terms
from billing.terms.catalogue import Catalogue
from billing.terms.contracts import Contracts
from ingestion.contract.counting import VideoFacts
from ingestion.contract.periods import Period
from ingestion.contract.version import PublishedVersion


@dataclass(frozen=True)
class Wanted:
    """The versions that a person requested by number."""

    catalogue_version: int | None = None
    contract_version: int | None = None


@dataclass(frozen=True)
class PeriodTerms:
    """The terms of a period, with those it was billed by and the newest ones."""

    attribution: Attribution
    catalogue_version: int
    contract_version: int
    newest_catalogue: tuple[int, Catalogue]
    newest_contracts: tuple[int, Contracts]
    rests_on: RestsOn | None


def terms_of(
    period: Period, rests_on: RestsOn | None, catalogues: CatalogueStore, wanted: Wanted | None = None
) -> PeriodTerms:
    """Return the terms: the requested versions, else those of the period's statements, else the newest.

    Raises:
        PreconditionsError: catalogue or contracts were never imported.
        TermsError: there is no such version, or it pays in another currency than the period was billed in.
    """
    newest_catalogue, newest_contracts = _newest(period, catalogues)
    wanted = wanted or Wanted()
    known = Wanted(rests_on.catalogue_version, rests_on.contract_version) if rests_on else Wanted()
    for kind, version in (("catalogue", wanted.catalogue_version), ("contract", wanted.contract_version)):
        if version is not None and not catalogues.is_in_force(kind, version):
            raise TermsError(
                f"no {kind} version {version} was ever in force; `billing catalogue import` shows the numbers"
            )
    catalogue_version = _first(wanted.catalogue_version, known.catalogue_version, newest_catalogue[0])
    contract_version = _first(wanted.contract_version, known.contract_version, newest_contracts[0])
    catalogue, contracts = newest_catalogue[1], newest_contracts[1]
    if catalogue_version != newest_catalogue[0]:
        catalogue = catalogues.catalogue(catalogue_version)
    if contract_version != newest_contracts[0]:
        contracts = catalogues.contracts(contract_version)
    if rests_on is not None and contracts.currency != rests_on.currency:
        raise TermsError(
            f"contract version {contract_version} pays in {contracts.currency}, and period {period} was billed in "
            f"{rests_on.currency}; name a version in {rests_on.currency} with --contract"
        )
    attribution = Attribution(period, catalogue, contracts)
    return PeriodTerms(attribution, catalogue_version, contract_version, newest_catalogue, newest_contracts, rests_on)


def _newest(period: Period, catalogues: CatalogueStore) -> tuple[tuple[int, Catalogue], tuple[int, Contracts]]:
    catalogue, contracts = catalogues.newest_catalogue(), catalogues.newest_contracts()
    if catalogue is None or contracts is None:
        parts = (("payees and videos", catalogue), ("contracts", contracts))
        missing = [what for what, newest in parts if newest is None]
        remedy = f"to bill period {period} by; run `./viewledger billing catalogue import`"
        raise PreconditionsError([Failure(Precondition.IMPORT, f"no {what} {remedy}") for what in missing])
    return catalogue, contracts


def _first(wanted: int | None, known: int | None, newest: int) -> int:
    return next(each for each in (wanted, known, newest) if each is not None)


def steps_of(
    terms: PeriodTerms, version: PublishedVersion, catalogues: CatalogueStore
) -> list[tuple[str, Attribution]]:
    """Return each cause that can change the period's amounts, with the terms to rate by from then on.

    The counts come first (by the terms that the period was billed by), then the catalogue, then the contracts.
    """
    rests_on, attribution = terms.rests_on, terms.attribution
    if rests_on is None:
        return [(EVENTS, attribution)]
    is_judged_again = any(
        (rules := version.day_rules.get(day)) and rules.policy_version != policy
        for day, policy in rests_on.policy_by_day.items()
        if attribution.period.contains(day)
    )
    steps = [(POLICY if is_judged_again else EVENTS, attribution)]
    if terms.contract_version != rests_on.contract_version:
        before = Attribution(attribution.period, attribution.catalogue, catalogues.contracts(rests_on.contract_version))
        steps = [(steps[0][0], before), (CONTRACT, attribution)]
    if terms.catalogue_version != rests_on.catalogue_version:
        first = Attribution(attribution.period, catalogues.catalogue(rests_on.catalogue_version), steps[0][1].contracts)
        steps = [(steps[0][0], first), (CATALOGUE, steps[0][1]), *steps[1:]]
    return steps


def newer_terms(terms: PeriodTerms, views: SettledViews) -> list[str]:
    """Return how the newest terms differ for a billed period, as far as its views are concerned."""
    if terms.rests_on is None:
        return []
    period, found = terms.attribution.period, []
    newest, catalogue = terms.newest_catalogue
    if newest != terms.catalogue_version:
        moved = moved_shares(period, terms.attribution.catalogue, catalogue)
        seen = views.videos_seen(period.days(), moved) if moved else ()
        if moved := {video_id: change for video_id, change in moved.items() if video_id in seen}:
            found.append(moved_sentence(moved, period, version=terms.catalogue_version, newer=newest))
    newest, contracts = terms.newest_contracts
    if newest != terms.contract_version and other_terms(period, terms.attribution.contracts, contracts):
        found.append(contract_sentence(period, version=terms.contract_version, newer=newest))
    return found


def recatalogued_videos(views: SettledViews, terms: PeriodTerms, catalogues: CatalogueStore) -> set[str]:
    """Return the videos with views in the period that were judged by other facts than those of the terms."""
    attribution, unknown = terms.attribution, VideoFacts()
    period = attribution.period
    days: defaultdict[int, set[date]] = defaultdict(set)
    for day in period.days():
        if (rules := views.version.day_rules.get(day)) and rules.catalogue_version != terms.catalogue_version:
            days[rules.catalogue_version].add(day)
    if not days:
        return set()
    found, now = set[str](), attribution.catalogue.counting_facts(period)
    for version, judged in days.items():
        then = catalogues.catalogue(version).counting_facts(period)
        changed = {each for each in {*now, *then} if now.get(each, unknown) != then.get(each, unknown)}
        if changed:
            found |= set(views.videos_seen(judged, changed))
    return found
