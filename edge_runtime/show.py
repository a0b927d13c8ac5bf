"""The show: the only part that draws. One thread, one short loop, at real-time priority where that is allowed.

The loop never waits for a model, camera, broker, disk or log. What it needs lies in shared memory; what it cannot
draw now, it draws from what it had.
"""

import gc
from contextlib import ExitStack
from typing import Literal

import cv2
import numpy as np

from edge_runtime import logs
from edge_runtime.clock import FrameClock, Lead, SystemClock, Timekeeper, Timeline, cpu_s, now_s
from edge_runtime.config.scenes import AnyLayerConfig
from edge_runtime.director import Director
from edge_runtime.display.display import Display, open_display, screen_answers
from edge_runtime.display.statistics import PresentedFrame
from edge_runtime.display.vsync import VsyncFrames
from edge_runtime.governor import Change, Governor, Machine
from edge_runtime.layers import CutoutLayer, PictureLayer, PictureSource, open_layer
from edge_runtime.ledger import Ledger
from edge_runtime.part import Part
from edge_runtime.realtime import raise_priority, raise_x_server
from edge_runtime.scene import Layer, Stage
from edge_runtime.trust.label import Label

BEAT_WITHIN_S = 1.0
REPORT_EVERY_S = 1.0
DEFAULT_RATE_HZ = 60.0
SLACK_S = 0.004
"""Time to the next deadline that must be left for building a layer or a report."""
WITHOUT_SLACK_S = 0.5
"""A show that never has time to spare takes it all the same, this often."""


def run(part: Part) -> None:
    """Main of the part `show`."""
    cv2.setNumThreads(1)  # a pool would wake threads of normal priority inside a real-time frame
    clock = SystemClock()
    with ExitStack() as stack:
        display = stack.enter_context(open_display(part.config.display, clock))
        show = Show(part, display, clock, realtime=raise_priority())
        if display.driver == "x11" and not part.config.display.windowed:
            raise_x_server()  # a flip waits for it; on a desktop that is not ours alone it stays as it is
        gc.collect()
        gc.freeze()
        gc.disable()
        show.run()


def open_frames(rate_hz: float | Literal["display"], display: Display, clock: SystemClock) -> FrameClock | VsyncFrames:
    """The one pacer: the screen where it truly blocks at the wanted rate, else absolute deadlines."""
    wanted_hz = (display.refresh_hz or DEFAULT_RATE_HZ) if rate_hz == "display" else rate_hz
    if display.pacer == "vsync" and display.refresh_hz and abs(display.refresh_hz - wanted_hz) <= 1.0:
        return VsyncFrames(clock, rate_hz=display.refresh_hz)
    return FrameClock(clock, rate_hz=wanted_hz)


class Show:
    """Wires scene, display and governor, and runs the loop."""

    def __init__(self, part: Part, display: Display, clock: SystemClock, *, realtime: bool) -> None:
        self._part, self._display, self._clock = part, display, clock
        config = part.config
        self._frames = open_frames(config.rate_hz, display, clock)
        self._time = Timekeeper()
        self._pictures: list[PictureLayer | CutoutLayer] = []
        self._readers = {
            source: PictureSource(part.reader(source), 1.0 / rate_hz) for source, (_, rate_hz) in config.sources.items()
        }
        scene = part.state.get("scene")
        stage = Stage(config, self._open_layer, start=scene if scene and config.scene(scene) else config.first_scene)
        self._director = Director(part, display, stage)
        self._label = Label(config.label)
        self._governor = Governor(config.governor, rungs=len(config.rungs), period_s=self._frames.period_s)
        self._ledger = Ledger(part, display, period_s=self._frames.period_s, realtime=realtime)
        self._lead = Lead()
        self._realtime = realtime
        self._hidden: frozenset[str] = frozenset()
        self._report_due_s = self._slack_s = 0.0
        self._building = True
        stands_in = display.kind == "headless" and config.display.kind == "auto"
        self._awaits_screen = stands_in and not screen_answers()
        """An X server that starts after the show, or starts again, must not leave a screen black for months."""

    def _open_layer(self, config: AnyLayerConfig, rng: np.random.Generator) -> Layer:
        layer = open_layer(config, sources=self._readers, rng=rng)
        if isinstance(layer, PictureLayer | CutoutLayer):
            self._pictures.append(layer)
        return layer

    def run(self) -> None:
        """One frame per pass: wait, hear, look, draw, show, judge, report."""
        part, display = self._part, self._display
        part.board.put("governor.rung", 0.0, now_s())
        while not part.stop.requested:
            tick = self._frames.wait()
            woken_s, begun_cpu_s = now_s(), cpu_s()
            self._director.obey(part.drain(), woken_s)
            self._draw(self._time.advance(tick))
            rendered_s = now_s()
            if isinstance(self._frames, FrameClock):  # else the screen evens them out
                self._lead.wait(tick.now_s, rendered_s - woken_s)
            begun_s = now_s()
            display.present()
            presented_s = now_s()
            part.beat(within_s=BEAT_WITHIN_S, did=1)
            self._observe(
                PresentedFrame(
                    tick=tick,
                    woken_s=woken_s,
                    rendered_s=rendered_s,
                    begun_s=begun_s,
                    presented_s=presented_s,
                    cpu_s=cpu_s() - begun_cpu_s,
                    captured_s=self._ledger.newly_shown(self._pictures),
                    commanded_s=self._director.take_obeyed(),
                )
            )
            self._use_slack()
        self._report()

    def _draw(self, timeline: Timeline) -> None:
        signals = self._part.board.snapshot(timeline.now_s)
        canvas = self._display.canvas
        self._director.render(canvas, timeline, signals, self._hidden)
        if not self._director.dark:
            self._label.render(canvas)

    def _observe(self, frame: PresentedFrame) -> None:
        """Judge the frame that was just shown."""
        self._ledger.enter(frame, rung=self._governor.rung, scene=self._director.scene_index)
        if self._ledger.warm:
            number = self._director.signals.number
            machine = Machine(
                *(number(f"device.{what}") for what in ("temperature_c", "memory_free_mb", "vram_free_mb"))
            )
            change = self._governor.observe(frame.rendered_s - frame.woken_s, frame.tick.missed, machine)
            if change is not None:
                self._step(change)
        if frame.tick.index == 0:
            self._first_picture()

    def _step(self, change: Change) -> None:
        """Take a rung of the ladder: our share here, the workers read theirs off the board."""
        rungs = self._part.config.rungs
        self._display.set_canvas_scale(rungs[change.rung].canvas_scale)
        self._hidden = frozenset(rungs[change.rung].hide)
        self._part.put("governor.rung", float(change.rung))
        logs.event(
            "rung_changed",
            "warning" if change.rung > change.was else "info",
            rung=rungs[change.rung].name,
            was=rungs[change.was].name,
            reason=change.reason,
            p95_ms=round(change.p95_s * 1e3, 2),
        )

    def _use_slack(self) -> None:
        """Between two frames: report, collect garbage, build what is not built. Hardly ever when time is short."""
        if "quit" in self._display.pump():
            self._part.send("supervisor", "quit")
        now = now_s()
        if self._frames.deadline_s - now < SLACK_S and now - self._slack_s < WITHOUT_SLACK_S:
            return
        self._slack_s = now
        if now >= self._report_due_s:
            self._report_due_s = now + REPORT_EVERY_S
            self._report()
            gc.collect()  # microseconds: what was there at start is frozen
            if self._awaits_screen and screen_answers():
                self._part.stop.set()  # the next show opens it
        elif self._building:
            self._building = self._director.stage.build_more()

    def _first_picture(self) -> None:
        self._report()
        self._part.ready()
        display = self._display
        if not self._realtime:
            logs.event(
                "realtime_refused", "warning", remedy="see `edge-runtime doctor`; frames may come late under load"
            )
        logs.event(
            "first_picture",
            display=display.kind,
            driver=display.driver,
            pacer=display.pacer,
            screen_px=display.screen_px,
        )

    def _report(self) -> None:
        self._ledger.report(self._director, rung=self._governor.rung, changes=self._governor.changes)
