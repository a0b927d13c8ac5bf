"""What takes long and must hold up nobody: encoding pictures, files on a worn SD card. One thread for all of it."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

Done = Callable[[str | None], None]
"""Called with the reason when it failed, with None when it is done."""


class Background:
    """Works on a thread of its own, one thing after the other; what came of it is told by `tend`, on its owner's."""

    def __init__(self, wake: Callable[[], object]) -> None:
        self._wake = wake
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="background")
        self._finished: deque[tuple[Done, str | None]] = deque()

    def submit(self, work: Callable[[], object], done: Done) -> None:
        """Have `work` done; it may raise OSError or ValueError."""
        self._thread.submit(self._run, work, done)

    def _run(self, work: Callable[[], object], done: Done) -> None:
        reason: str | None = None
        try:
            work()
        except (OSError, ValueError) as error:
            reason = str(error)
        self._finished.append((done, reason))
        self._wake()

    def tend(self) -> None:
        """Tell what was finished."""
        while self._finished:
            done, reason = self._finished.popleft()
            done(reason)

    def close(self) -> None:
        """Finish what is in hand; forget the rest."""
        self._thread.shutdown(cancel_futures=True)
