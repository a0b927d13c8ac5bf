import pytest

from edge_runtime.commands import COMMANDS
from edge_runtime.control.topics import Topics, ack_filter, command_topic, filter_fault, matches, publishable

TOPICS = Topics("foyer-left", ("foyer", "west"))


@pytest.mark.parametrize(
    ("topic_filter", "topic", "expected"),
    [
        ("venue/weather", "venue/weather", True),
        ("venue/weather", "venue/weather/x", False),
        ("venue/+", "venue/weather", True),
        ("venue/+", "venue", False),
        ("venue/+", "venue/", True),
        ("+/+", "/venue", True),
        ("venue/#", "venue", True),
        ("venue/#", "venue/a/b", True),
        ("venue/#", "venues/a", False),
        ("#", "a/b", True),
        ("#", "$SYS/uptime", False),
        ("+/uptime", "$SYS/uptime", False),
        ("$SYS/#", "$SYS/uptime", True),
        ("a/+/c", "a/b/c", True),
        ("a/+/c", "a/b/d", False),
    ],
)
def test_filters_match_as_mqtt_says(topic_filter: str, topic: str, *, expected: bool) -> None:
    assert matches(topic_filter, topic) is expected


def test_our_matching_agrees_with_the_broker_library() -> None:
    from paho.mqtt.client import topic_matches_sub

    levels = ["a", "b", "", "+", "#", "$x"]
    names = [f"{x}/{y}/{z}" for x in levels for y in levels for z in levels] + [
        f"{x}/{y}" for x in levels for y in levels
    ]
    for topic_filter in [name for name in names if filter_fault(name) is None]:
        for topic in [name for name in names if not set(name) & {"+", "#"}]:
            assert matches(topic_filter, topic) == topic_matches_sub(topic_filter, topic), (topic_filter, topic)


@pytest.mark.parametrize("topic_filter", ["", "a/#/b", "a+", "a/b#", "x" * 300, "a\0"])
def test_filters_that_no_broker_takes_are_found_before_it_is_asked(topic_filter: str) -> None:
    assert filter_fault(topic_filter)


def test_commands_come_for_the_device_for_all_and_for_its_groups() -> None:
    assert TOPICS.command_filters == (
        "edge/foyer-left/cmd/+",
        "edge/all/cmd/+",
        "edge/group/foyer/cmd/+",
        "edge/group/west/cmd/+",
    )
    assert TOPICS.command_name("edge/group/west/cmd/scene") == "scene"
    for other in ("edge/foyer-right/cmd/scene", "edge/foyer-left/ack", "edge/all/cmd/scene/x", "scene"):
        assert TOPICS.command_name(other) is None
    assert all(matches(TOPICS.command_filters[2], command_topic("group/foyer", name)) for name in COMMANDS)


def test_answers_are_found_for_every_kind_of_target() -> None:
    assert matches(ack_filter("foyer-left"), TOPICS.ack)
    assert matches(ack_filter("all"), TOPICS.ack)
    assert matches(ack_filter("group/foyer"), TOPICS.ack)
    assert not matches(ack_filter("foyer-right"), TOPICS.ack)


def test_a_signal_filter_that_would_catch_our_own_commands_is_found() -> None:
    assert TOPICS.overlap("#", COMMANDS) == "edge/foyer-left/desired"
    assert TOPICS.overlap("edge/+/cmd/scene", COMMANDS) == "edge/foyer-left/cmd/scene"
    assert TOPICS.overlap("edge/all/#", COMMANDS)
    assert TOPICS.overlap("edge/foyer-right/#", COMMANDS) is None
    assert TOPICS.overlap("venue/#", COMMANDS) is None


@pytest.mark.parametrize(
    ("topic", "expected"), [("reply/me", True), ("reply/+", False), ("$SYS/x", False), ("", False)]
)
def test_only_plain_topics_are_answered_on(topic: str, *, expected: bool) -> None:
    assert publishable(topic) is expected
