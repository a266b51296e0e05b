"""Families that were written before any rule was, and by whose figures no rule and no threshold was chosen."""

import random

from batch_layer.traffic.day_events import DayEvent
from bench.labelled.world import DAY_SECONDS, INTENSITIES, Device, World


def school_class(world: World) -> None:
    """Let 20 to 32 pupils on tablets of one model start one video within two minutes; the bell ends it for all."""
    rng = world.stream("school_class")
    for number in range(22):
        school, tablet = world.network(), Device(f"school tablet {number % 3}", "safari/ios", "tablet")
        country = rng.choice(("DE", "US", "JP"))
        pupils = [
            world.person(rng, country=country, networks=[school], devices=[tablet]) for _ in range(rng.randint(20, 32))
        ]
        for lesson in range(rng.randint(1, 3)):
            video, begin = world.video(rng), lesson * 3_000 + rng.randrange(2) * DAY_SECONDS + 7 * 3_600
            bell = rng.choice((video.length, max(20, video.length // 2), min(video.length, 2_400)))
            for pupil in pupils:
                late = rng.random() * 120
                world.add("school_class", [world.view(rng, pupil, video, begin + late, world.name(rng, "s"),
                                                      seconds=max(5, bell - late / 3))])  # fmt: skip


def viral_link(world: World) -> None:
    """Pass a link on: hundreds who never came before follow it, from one page or from messengers that name none."""
    rng = world.stream("viral_link")
    for number in range(4):
        video, begin = rng.choice(world.small_payee(rng)), rng.random() * 1.6 * DAY_SECONDS
        page = ("forum.example", None, "social.example", None)[number]
        for _ in range(350):
            person = world.person(rng)
            at = begin + rng.expovariate(1 / 5_000)
            world.add("viral_link", [world.view(rng, person, video, at, world.name(rng, "s"), referrer_host=page)])


def privacy_relay(world: World) -> None:
    """Many people in few networks of a relay, which are in lists of data centres; some move between exits."""
    rng = world.stream("privacy_relay")
    exits = [world.network() for _ in range(5)]
    for _ in range(900):
        person = world.person(rng)
        network = rng.choice(exits)
        world.add("privacy_relay", world.sitting(rng, person, world.evening(rng, person.country), rng.randint(1, 4),
                                                 network=network, network_kind="relay/1"))  # fmt: skip


def language_minority(world: World) -> None:
    """Make channels in a language of few: nearly all viewers are from one small country, and see nothing else."""
    rng = world.stream("language_minority")
    for _ in range(3):
        videos = world.small_payee(rng)
        for _ in range(130):
            person = world.person(rng, country="IS")
            session, at = world.name(rng, "s"), world.evening(rng, "IS")
            for video in rng.sample(videos, min(len(videos), rng.randint(1, 4))):
                event = world.view(rng, person, video, at, session)
                world.add("language_minority", [event])
                at += event.view_duration + 4


def song_loop(world: World) -> None:
    """One song by one person, all day."""
    rng = world.stream("song_loop")
    for _ in range(22):
        person, video = world.person(rng), rng.choice([each for each in world.videos if 100 < each.length < 420])
        at, session = rng.random() * DAY_SECONDS, world.name(rng, "s")
        for _ in range(rng.randint(20, 150)):
            seconds = video.length if rng.random() < 0.96 else rng.random() * video.length
            world.add("song_loop", [world.view(rng, person, video, at, session, seconds=seconds)])
            at += seconds + 1 + rng.random()


def course_at_work(world: World) -> None:
    """Let a company's people work through all videos of one course, on equal computers in one network."""
    rng = world.stream("course_at_work")
    for _ in range(7):
        office, laptop = world.network(), Device("company laptop", "edge/windows", "desktop")
        course = world.small_payee(rng, 6)
        for _ in range(rng.randint(8, 25)):
            person = world.person(rng, country="DE", networks=[office], devices=[laptop])
            at, session = 8 * 3_600 + rng.random() * 9_000, world.name(rng, "s")
            for video in course:
                seconds = video.length if rng.random() < 0.8 else video.length * rng.random()
                world.add("course_at_work", [world.view(rng, person, video, at, session, seconds=seconds)])
                at += seconds + rng.expovariate(1 / 90)


HONEST = (school_class, viral_link, privacy_relay, language_minority, song_loop, course_at_work)


def _stays(world: World, rng: random.Random, length: int) -> int:
    """Return how long people watch who stay until it is paid."""
    return max(world.watched(rng, length), min(length, 31 + int(rng.expovariate(0.02))))


def parallel_plays(world: World) -> None:
    """One account plays videos of one payee at once, from rented networks."""
    rng = world.stream("parallel_plays")
    for strength, at_once in zip(INTENSITIES, (16, 7, 3), strict=True):
        videos, made = world.small_payee(rng), 0
        while made < 320:
            person = world.person(rng, networks=[world.network() for _ in range(3)])
            at = rng.random() * 1.6 * DAY_SECONDS
            for _ in range(40 // at_once):
                for _ in range(at_once):
                    video = rng.choice(videos)
                    place = {"network": rng.choice(person.networks), "seconds": _stays(world, rng, video.length)}
                    event = world.view(rng, person, video, at + 20 * rng.random(), world.name(rng, "s"), **place)
                    world.add("parallel_plays", [event], attack=strength, campaign=strength)
                    made += 1
                at += 500 + 400 * rng.random()


def country_hopper(world: World) -> None:
    """Each view of an account leaves through another proxy, so its viewer is in many countries within hours."""
    rng = world.stream("country_hopper")
    for strength, views in zip(INTENSITIES, (24, 9, 4), strict=True):
        videos, made = world.small_payee(rng), 0
        while made < 320:
            person, at = world.person(rng), rng.random() * 1.7 * DAY_SECONDS
            for _ in range(views):
                other, video = world.person(rng), rng.choice(videos)
                event = world.view(rng, person, video, at, world.name(rng, "s"), country=other.country,
                                   network=other.networks[0], seconds=_stays(world, rng, video.length))  # fmt: skip
                world.add("country_hopper", [event], attack=strength, campaign=strength)
                at += event.view_duration + 10 + rng.expovariate(1 / 400)
                made += 1


def lockstep(world: World) -> None:
    """Let a herd of accounts follow one list: the same videos of several payees at the same times, from homes."""
    rng = world.stream("lockstep")
    for strength, jitter in zip(INTENSITIES, (10, 45, 240), strict=True):
        lists = [rng.choice(world.small_payee(rng)) for _ in range(6)]
        times = [rng.random() * 1.9 * DAY_SECONDS for _ in lists]
        for _ in range(60):
            person = world.person(rng)
            for video, at in zip(lists, times, strict=True):
                event = world.view(rng, person, video, at + jitter * rng.random(), world.name(rng, "s"),
                                   seconds=_stays(world, rng, video.length))  # fmt: skip
                world.add("lockstep", [event], attack=strength, campaign=strength)


def shared_sessions(world: World) -> None:
    """One captured session is used under many viewers' ids; stealthy: under three, and by natural views."""
    rng = world.stream("shared_sessions")
    for strength, viewers in zip(INTENSITIES, (80, 12, 3), strict=True):
        videos, made = world.small_payee(rng), 0
        while made < 320:
            session = world.name(rng, "s")
            for _ in range(viewers):
                person, at = world.person(rng), rng.random() * 1.9 * DAY_SECONDS
                for _ in range(2):
                    video = rng.choice(videos)
                    event = world.view(rng, person, video, at, session, seconds=_stays(world, rng, video.length))
                    world.add("shared_sessions", [event], attack=strength, campaign=strength)
                    at += event.view_duration + rng.expovariate(1 / 30)
                    made += 1


def proxies_seen_once(world: World) -> None:
    """Each view has an account and a home's network that are never seen again; nothing else is wrong with it."""
    rng = world.stream("proxies_seen_once")
    for strength, alone in zip(INTENSITIES, (1.0, 0.8, 0.4), strict=True):
        videos = world.small_payee(rng)
        for _ in range(320):
            person, video = world.person(rng), rng.choice(videos)
            network = world.network() if rng.random() < alone else person.networks[0]
            event = world.view(
                rng, person, video, world.evening(rng, person.country), world.name(rng, "s"), network=network
            )
            world.add("proxies_seen_once", [event], attack=strength, campaign=strength)


def view_exchange(world: World) -> None:
    """People are paid to look at one another's videos for as long as it takes, from one page; many payees gain."""
    rng = world.stream("view_exchange")
    for strength, longest in zip(INTENSITIES, (33, 60, 150), strict=True):
        gaining = [world.small_payee(rng) for _ in range(12)]
        for _ in range(26):
            person, at, session = world.person(rng), world.evening(rng, "US"), world.name(rng, "s")
            for _ in range(12):
                video = rng.choice(rng.choice(gaining))
                seconds = rng.randint(30, min(longest, video.length))
                event: DayEvent = world.view(
                    rng, person, video, at, session, seconds=seconds, referrer_host=f"x{longest}.example"
                )
                world.add("view_exchange", [event], attack=strength, campaign=strength)
                at += seconds + 2 + rng.expovariate(1 / 8)


ATTACKS = (parallel_plays, country_hopper, lockstep, shared_sessions, proxies_seen_once, view_exchange)
