"""Channels: small messages that never block their sender."""

import os
from collections.abc import Iterator

import pytest

from edge_runtime.channel import DRAIN_LIMIT, MAX_MESSAGE_BYTES, Channel
from edge_runtime.errors import ChannelError


@pytest.fixture
def pair() -> Iterator[tuple[Channel, Channel]]:
    ours, socket = Channel.pair()
    theirs = Channel(socket)
    yield ours, theirs
    ours.close()
    theirs.close()


def test_messages_arrive_whole_and_in_order(pair: tuple[Channel, Channel]) -> None:
    ours, theirs = pair
    for number in range(3):
        ours.send({"to": "show", "type": "apply", "number": number})
    assert [message["number"] for message in theirs.drain()] == [0, 1, 2]


def test_a_flood_is_drained_a_bounded_number_at_a_time(pair: tuple[Channel, Channel]) -> None:
    ours, theirs = pair
    for number in range(DRAIN_LIMIT + 5):
        ours.send({"number": number})
    assert len(theirs.drain()) == DRAIN_LIMIT
    assert len(theirs.drain()) == 5


def test_sending_to_one_who_does_not_read_drops_and_never_blocks(pair: tuple[Channel, Channel]) -> None:
    ours, _theirs = pair
    sent = sum(ours.send({"text": "x" * 10_000}) for _ in range(1000))
    assert 0 < sent < 1000
    assert ours.dropped == 1000 - sent


def test_a_message_too_large_is_an_error_of_its_sender(pair: tuple[Channel, Channel]) -> None:
    ours, _theirs = pair
    with pytest.raises(ChannelError, match="at most"):
        ours.send({"type": "big", "text": "x" * MAX_MESSAGE_BYTES})


def test_descriptors_travel_with_a_message(pair: tuple[Channel, Channel]) -> None:
    ours, theirs = pair
    read_end, write_end = os.pipe()
    ours.send({"type": "plan"}, [write_end])
    received = theirs.receive()
    assert received is not None
    os.write(received[1][0], b"through")
    assert os.read(read_end, 100) == b"through"
    for descriptor in (read_end, write_end, *received[1]):
        os.close(descriptor)


def test_a_closed_end_is_seen_by_both_sides(pair: tuple[Channel, Channel]) -> None:
    ours, theirs = pair
    ours.close()
    assert theirs.receive() is None
    assert theirs.closed
    assert not theirs.send({"type": "late"})
