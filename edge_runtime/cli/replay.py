"""`edge-runtime replay`: a recorded venue, played into a broker as if it were there."""

import argparse
import signal

from edge_runtime.clock import Stopper, now_s
from edge_runtime.config import MqttConfig
from edge_runtime.control.publisher import Publisher
from edge_runtime.inputs.replay import load_replay

STEP_S = 0.05


def run(arguments: argparse.Namespace) -> int:
    """Publish every message at its time until the recording ends, or for ever."""
    recording = load_replay(arguments.recording, loop=not arguments.once, speed=arguments.speed)
    stop = Stopper()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop.set)
    with Publisher(MqttConfig(url=arguments.url)) as publisher:
        begun_s, played_s = now_s(), 0.0
        while not stop.wait(STEP_S):
            at_s = now_s() - begun_s
            for message in recording.due(played_s, at_s):
                publisher.publish(message.topic, message.payload)
            played_s = at_s
            if arguments.once and played_s * arguments.speed > recording.loop_s:
                break
    return 0
