"""Families that show only over weeks: attacks that are little on each day, and honest people who are like them.

No threshold was chosen by them. A world of 28 days and more is asked for.
"""

import random

from bench.labelled.world import DAY_SECONDS, INTENSITIES, Device, Person, Video, World

# -- honest ------------------------------------------------------------------------------------------------------------


def daily_show(world: World) -> None:
    """See each evening the new episode of one show, at about the same time; some leave it early or in the middle."""
    rng = world.stream("daily_show")
    episodes = world.small_payee(rng)
    for _ in range(25):
        person = world.person(rng)
        at = 19 * 3_600 + rng.random() * 3_600
        for day in range(world.days):
            if rng.random() < 0.9:
                begun = day * DAY_SECONDS + at + rng.gauss(0, 300)
                _one(world, rng, "daily_show", person, episodes[day % len(episodes)], begun)


def loop_listener(world: World) -> None:
    """Hear one song again and again on many days, mostly whole."""
    rng = world.stream("loop_listener")
    for _ in range(6):
        person, video = world.person(rng), rng.choice([each for each in world.videos if 100 < each.length < 420])
        for day in range(world.days):
            at = day * DAY_SECONDS + 8 * 3_600 + rng.random() * 7_200
            for _ in range(rng.choice((0, 5, 12, 20))):
                whole = video.length if rng.random() < 0.93 else rng.random() * video.length
                at += _one(world, rng, "loop_listener", person, video, at, seconds=whole) + 1


def fan_club(world: World) -> None:
    """Watch one payee for weeks, from one town and mostly on the telephone that its shop sells."""
    rng = world.stream("fan_club")
    videos, phone = world.small_payee(rng), Device("the club's telephone", "exoplayer/android", "mobile")
    town = [world.network() for _ in range(6)]
    for _ in range(60):
        person = world.person(rng, country="PL", networks=[rng.choice(town)], devices=[phone])
        for _ in range(rng.randint(2, 25)):
            _one(world, rng, "fan_club", person, rng.choice(videos), world.evening(rng, "PL"))


def school(world: World) -> None:
    """Let two classes see one video of a course on each school day, together; some see it again at home."""
    rng = world.stream("school")
    for _ in range(2):
        course, school, laptop = world.small_payee(rng, 6), world.network(), Device("pad", "safari/ios", "tablet")
        pupils = [world.person(rng, country="DE", devices=[laptop]) for _ in range(26)]
        for day in range(world.days):
            if day % 7 >= 5:
                continue
            video, begun = course[day % len(course)], day * DAY_SECONDS + 9 * 3_600
            stop = video.length if rng.random() < 0.6 else rng.uniform(0.5, 1) * video.length
            for pupil in pupils:
                at = begun + rng.uniform(0, 120)
                _one(world, rng, "school", pupil, video, at, seconds=stop + rng.uniform(-5, 5), network=school)
                if rng.random() < 0.1:
                    _one(world, rng, "school", pupil, video, begun + 8 * 3_600 + rng.uniform(0, 9_000))


def relay_users(world: World) -> None:
    """Watch through few networks of a relay, as anybody does."""
    rng = world.stream("relay_users")
    exits = [world.network() for _ in range(4)]
    for _ in range(250):
        person, network = world.person(rng), rng.choice(exits)
        for _ in range(rng.randint(1, 3)):
            events = world.sitting(rng, person, world.evening(rng, person.country), 2, network=network)
            world.add("relay_users", [each._replace(network_kind="relay/1") for each in events])


def waiting_room(world: World) -> None:
    """Show a payee's list while the practice is open: every video whole, the last one cut at closing time."""
    rng = world.stream("waiting_room")
    for _ in range(4):
        videos, person = world.small_payee(rng), world.person(rng)
        for day in range(world.days):
            at: float = 0
            at, closed, number = day * DAY_SECONDS + 8 * 3_600, day * DAY_SECONDS + 12 * 3_600, 0
            while day % 7 < 5 and at < closed:
                video = videos[number % len(videos)]
                at += _one(world, rng, "waiting_room", person, video, at, seconds=min(video.length, closed - at)) + 4
                number += 1


def friends_with_channels(world: World) -> None:
    """Watch what a friend has published, and let the friend watch one's own: each video once or twice."""
    rng = world.stream("friends_with_channels")
    for _ in range(4):
        (mine, me), (theirs, they) = _owner(world, rng), _owner(world, rng)
        for person, videos in ((me, theirs), (they, mine)):
            for video in videos:
                for _ in range(rng.choice((1, 1, 2))):
                    _one(world, rng, "friends_with_channels", person, video, world.evening(rng, person.country))


def family_of_fans(world: World) -> None:
    """Watch at home: four people, one favourite payee, other things too."""
    rng = world.stream("family_of_fans")
    for _ in range(25):
        home, liked = world.network(), rng.choice(world.small_payee(rng)).payee_id
        for _ in range(4):
            person = world.person(rng, networks=[home], liked=liked)
            for _ in range(rng.randint(3, 12)):
                world.add("family_of_fans", world.sitting(rng, person, world.evening(rng, person.country), 2))


HONEST = (daily_show, loop_listener, fan_club, school, relay_users, waiting_room, friends_with_channels, family_of_fans)

# -- attacks -----------------------------------------------------------------------------------------------------------


def slow_farm(world: World) -> None:
    """Let many accounts in rented networks watch one payee a few times a week, each view long enough to be paid."""
    rng = world.stream("slow_farm")
    for strength, networks, others in zip(INTENSITIES, (8, 25, 60), (0.0, 0.1, 0.3), strict=True):
        videos, exits = world.small_payee(rng), [world.network() for _ in range(networks)]
        for _ in range(110):
            person = world.person(rng, networks=[rng.choice(exits)])
            for _ in range(3):
                video = world.video(rng) if rng.random() < others else rng.choice(videos)
                seconds = 31 + rng.random() * 0.7 * min(600, video.length)
                _one(world, rng, "slow_farm", person, video, world.evening(rng, "US"), strength, seconds=seconds)


def daily_quota(world: World) -> None:
    """Let each account make its number of views a day, at any time, from a home of its own."""
    rng = world.stream("daily_quota")
    for strength, spread in zip(INTENSITIES, (0, 1, 3), strict=True):
        videos = world.small_payee(rng)
        for _ in range(12):
            person = world.person(rng)
            for day in range(world.days):
                for _ in range(5 + rng.randint(-spread, spread)):
                    video, at = rng.choice(videos), day * DAY_SECONDS + rng.random() * DAY_SECONDS
                    seconds = 31 + rng.random() * 0.5 * video.length
                    _one(world, rng, "daily_quota", person, video, at, strength, seconds=seconds)


def ring(world: World) -> None:
    """Let payees watch one another's few best paid videos again and again, and other things too."""
    rng = world.stream("ring")
    for strength, count, a_day in zip(INTENSITIES, (6, 4, 3), (8, 4, 2), strict=True):
        members = [_owner(world, rng) for _ in range(count)]
        for _, person in members:
            for videos, other in members:
                for day in range(world.days if other is not person else 0):
                    for _ in range(a_day):
                        video, at = rng.choice(videos[:3]), day * DAY_SECONDS + rng.random() * DAY_SECONDS
                        seconds = max(world.watched(rng, video.length), 31)
                        _one(world, rng, "ring", person, video, at, strength, seconds=seconds)
            for _ in range(10):
                world.add("ordinary", world.sitting(rng, person, world.evening(rng, person.country), 2))


ATTACKS = (slow_farm, daily_quota, ring)


def _owner(world: World, rng: random.Random) -> tuple[list[Video], Person]:
    """Return the videos of a payee whom few people know, and that payee as a viewer."""
    videos, person = world.small_payee(rng), world.person(rng)
    world.owners.append((videos[0].payee_id, person.user_id))
    return videos, person


def _one(
    world: World,
    rng: random.Random,
    family: str,
    person: Person,
    video: Video,
    at: float,
    attack: str = "",
    **fixed: object,
) -> float:
    """Add one view of a family; return how long it was."""
    event = world.view(rng, person, video, at, world.name(rng, "s"), **fixed)
    world.add(family, [event], attack=attack, campaign=attack)
    return event.view_duration
