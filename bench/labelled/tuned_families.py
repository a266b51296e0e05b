"""Families by which rules and thresholds may be improved; those of `held_out_families` judge the result."""

from bench.labelled.world import DAY_SECONDS, INTENSITIES, Device, World


def premiere(world: World) -> None:
    """Let hundreds begin one new video within minutes; many stay to its end, some go on to the next by itself."""
    rng = world.stream("premiere")
    for _ in range(3):
        videos = world.small_payee(rng)
        begin = rng.random() * 1.8 * DAY_SECONDS
        for _ in range(400):
            person, session = world.person(rng), world.name(rng, "s")
            event = world.view(rng, person, videos[0], begin + rng.expovariate(1 / 90), session)
            world.add("premiere", [event])
            if event.view_duration >= videos[0].length and rng.random() < 0.4:
                after = (event.happened_at - world.begin).total_seconds() + event.view_duration + 5
                world.add("premiere", [world.view(rng, person, videos[1], after, session)])


def airport(world: World) -> None:
    """Put many travellers with all kinds of devices in one network, most of them for one short sitting."""
    rng = world.stream("airport")
    for _ in range(3):
        lounge = world.network()
        for _ in range(260):
            person, at = world.person(rng), rng.random() * 1.9 * DAY_SECONDS
            world.add("airport", world.sitting(rng, person, at, rng.randint(1, 3), network=lounge, country="DE"))


def one_town(world: World) -> None:
    """Make a club's channel: all fans live in one town, in few networks, and many have the telephone of one shop."""
    rng = world.stream("one_town")
    for _ in range(4):
        videos, town = world.small_payee(rng), [world.network() for _ in range(4)]
        phone = Device(f"shop phone {world.name(rng, '')}", "chrome/android", "mobile")
        for _ in range(120):
            device = phone if rng.random() < 0.8 else rng.choice(world.devices)
            person = world.person(rng, country="PL", networks=[rng.choice(town)], devices=[device])
            at, session = world.evening(rng, "PL"), world.name(rng, "s")
            for video in rng.sample(videos, min(len(videos), rng.randint(1, 3))):
                event = world.view(rng, person, video, at, session)
                world.add("one_town", [event])
                at += event.view_duration + rng.expovariate(1 / 30)


def kids_tablet(world: World) -> None:
    """Let small children tap: many short looks, favourites again and again, all day on one tablet."""
    rng = world.stream("kids_tablet")
    for _ in range(25):
        tablet = Device("kids tablet", "other/android", "tablet")
        person, videos = world.person(rng, devices=[tablet]), world.small_payee(rng)
        at, session = 7 * 3_600 + rng.random() * 30_000, world.name(rng, "s")
        for _ in range(rng.randint(20, 60)):
            video = rng.choice(videos[:5])
            seconds = video.length if rng.random() < 0.4 else rng.expovariate(1 / 25)
            event = world.view(rng, person, video, at, session, seconds=min(seconds, video.length))
            world.add("kids_tablet", [event])
            at += event.view_duration + rng.expovariate(1 / 6)


def television_left_on(world: World) -> None:
    """Leave televisions on: one channel's videos to their end, one after another, day and night."""
    rng = world.stream("television_left_on")
    for _ in range(25):
        person = world.person(rng, devices=[next(each for each in world.devices if each.kind == "tv")])
        videos, at, session = world.small_payee(rng), rng.random() * 40_000, world.name(rng, "s")
        begin = at
        while at < begin + 70_000:
            for video in videos:
                world.add("television_left_on", [world.view(rng, person, video, at, session, seconds=video.length)])
                at += video.length + 6


def shared_account(world: World) -> None:
    """Let five people of one family use one account at home, at school, at work and abroad, often at the same time."""
    rng = world.stream("shared_account")
    for _ in range(45):
        account = world.name(rng, "u")
        for member in range(5):
            person = world.person(rng, country="US", user_id=account)
            if member == 4:
                person = world.person(rng, country="FR", user_id=account)
            for _ in range(2):
                world.add("shared_account", world.sitting(rng, person, world.evening(rng, "US"), rng.randint(1, 5)))


def impatient_television(world: World) -> None:
    """Let people zap on a slow set that takes six seconds to load: equal pauses after views of any length."""
    rng = world.stream("impatient_television")
    for _ in range(25):
        person = world.person(rng, devices=[Device("old set", "other/webos", "tv")])
        at, session = world.evening(rng, person.country), world.name(rng, "s")
        for _ in range(rng.randint(10, 45)):
            event = world.view(rng, person, world.video(rng), at, session)
            world.add("impatient_television", [event])
            at += event.view_duration + 6 + 0.4 * rng.random()


HONEST = (premiere, airport, one_town, kids_tablet, television_left_on, shared_account, impatient_television)


def clockwork(world: World) -> None:
    """Let robots pause evenly between views of random length; stealthy ones vary the pause by a third."""
    rng = world.stream("clockwork")
    for strength, varied in zip(INTENSITIES, (0.1, 0.9, 20.0), strict=True):
        videos, made = world.small_payee(rng), 0
        while made < 320:
            person, session, at = world.person(rng), world.name(rng, "s"), rng.random() * 1.5 * DAY_SECONDS
            for _ in range(27):
                video = rng.choice(videos)
                event = world.view(rng, person, video, at, session, seconds=rng.uniform(31, 0.85 * video.length))
                world.add("clockwork", [event], attack=strength, campaign=strength)
                at += event.view_duration + 60 + varied * rng.random()
                made += 1


def recorded_script(world: World) -> None:
    """Play a recorded sitting again with other accounts at other times; stealthy: seconds moved by up to two."""
    rng = world.stream("recorded_script")
    for strength, moved in zip(INTENSITIES, (0, 1, 2), strict=True):
        videos, made = world.small_payee(rng), 0
        tape = [(video, rng.uniform(35, 0.8 * video.length)) for video in rng.choices(videos, k=12)]
        while made < 320:
            person, session, at = world.person(rng), world.name(rng, "s"), rng.random() * 1.8 * DAY_SECONDS
            for video, seconds in tape:
                event = world.view(rng, person, video, at, session, seconds=seconds + rng.randint(-moved, moved))
                world.add("recorded_script", [event], attack=strength, campaign=strength)
                at += event.view_duration + 5 + 9 * rng.random()
                made += 1


def rented_browsers(world: World) -> None:
    """Let equal browsers in rented networks see parts of one payee's videos; stealthy: in 40, some end early."""
    rng = world.stream("rented_browsers")
    for strength, count in zip(INTENSITIES, (3, 12, 40), strict=True):
        videos, networks, made = world.small_payee(rng), [world.network() for _ in range(count)], 0
        browser = Device(f"browser {count}", "chrome/linux", "desktop")
        while made < 320:
            person = world.person(rng, country="US", networks=[rng.choice(networks)], devices=[browser])
            at, session = rng.random() * 1.9 * DAY_SECONDS, world.name(rng, "s")
            for _ in range(4):
                video = rng.choice(videos)
                is_short = strength == "stealth" and rng.random() < 0.17
                seconds = rng.expovariate(1 / 8) if is_short else rng.uniform(31, 0.8 * min(400, video.length))
                event = world.view(rng, person, video, at, session, seconds=seconds)
                world.add("rented_browsers", [event], attack=strength, campaign=strength)
                at += event.view_duration + 3 + 20 * rng.random()
                made += 1


def second_accounts(world: World) -> None:
    """Let an owner watch their own videos on one device with account after account, each as often as is paid."""
    rng = world.stream("second_accounts")
    for strength, accounts in zip(INTENSITIES, (20, 9, 4), strict=True):
        for number in range(320 // (accounts * 8)):
            home, videos = world.network(), world.small_payee(rng)
            device, at = rng.choice(world.devices), rng.random() * 0.8 * DAY_SECONDS
            for _ in range(accounts):
                person, session = world.person(rng, networks=[home], devices=[device]), world.name(rng, "s")
                for video in rng.choices(videos[:4], k=8):
                    seconds = min(video.length, 45 + world.watched(rng, video.length))
                    event = world.view(rng, person, video, at, session, seconds=seconds)
                    world.add("second_accounts", [event], attack=strength, campaign=f"{strength} {number}")
                    at += event.view_duration + 4 + 20 * rng.random()


def paid_and_gone(world: World) -> None:
    """Leave as soon as a view is paid, from homes; stealthy: within ten seconds, and a third stay."""
    rng = world.stream("paid_and_gone")
    for strength, (longest, stay) in zip(INTENSITIES, ((1, 0.0), (4, 0.1), (10, 0.34)), strict=True):
        videos = world.small_payee(rng)
        for _ in range(320):
            person, video = world.person(rng), rng.choice(videos)
            seconds = world.watched(rng, video.length) if rng.random() < stay else 30 + rng.randint(0, longest)
            at = world.evening(rng, person.country)
            event = world.view(rng, person, video, at, world.name(rng, "s"), seconds=seconds)
            world.add("paid_and_gone", [event], attack=strength, campaign=strength)


ATTACKS = (clockwork, recorded_script, rented_browsers, second_accounts, paid_and_gone)
