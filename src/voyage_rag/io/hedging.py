"""Send a query a second time if there is no response soon, and use the first response.

Some responses take ten times as long as most, for example because a replica starts or a packet is
lost. Sending these queries again costs a few percent more requests and avoids most of the delay.
"""

from __future__ import annotations

import threading

import anyio

from voyage_rag.core.flow import Attempt
from voyage_rag.hosts.messages import Response
from voyage_rag.io.call_state import Stopped, ThreadCallState
from voyage_rag.io.clock import Clock
from voyage_rag.io.ports import Sender
from voyage_rag.io.tasks import start_thread


class HedgedSender:
    """A transport that sends an attempt again if there is no response after `after` seconds.

    The attempt must allow it (see `Attempt.hedge`).
    """

    def __init__(self, sender: Sender, clock: Clock, after: float) -> None:
        self.sender = sender
        self._clock = clock
        self._after = after

    def send(self, attempt: Attempt, state: ThreadCallState) -> Response:
        """See `Sender`. Other threads send, so the caller does not wait for the slower response."""
        if attempt.hedge is None:
            return self.sender.send(attempt, state)
        race = Race()
        try:
            with state.in_flight(race.end):
                race.start(self.sender, attempt)
                self._clock.sleep(self._after, race.is_over)
                if not race.is_over.is_set() and attempt.hedge():
                    race.start(self.sender, attempt)
                race.is_over.wait()
        finally:
            race.end()
        return race.result()

    async def asend(self, attempt: Attempt) -> Response:
        """See `Sender`."""
        hedge = attempt.hedge
        if hedge is None:
            return await self.sender.asend(attempt)
        responses: list[Response] = []
        failures: list[Exception] = []
        started = 1

        async def run() -> None:
            try:
                responses.append(await self.sender.asend(attempt))
            except Exception as error:  # noqa: BLE001 - raised below, bare
                failures.append(error)
            if responses or len(failures) == started:
                tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await self._clock.asleep(self._after, anyio.Event())
            if hedge():
                started += 1
                tasks.start_soon(run)
        if responses:
            return responses[0]
        raise failures[0]

    def close(self) -> None:
        """See `Sender`."""
        self.sender.close()

    async def aclose(self) -> None:
        """See `Sender`."""
        await self.sender.aclose()


class Race:
    """Threads that send the same attempt; the first response wins.

    Attributes:
        is_over: Event that is set by a response, by the failure of all threads, or by `end`.
    """

    def __init__(self) -> None:
        self.is_over: threading.Event = threading.Event()
        self._states: list[ThreadCallState] = []
        self._responses: list[Response] = []
        self._failures: list[BaseException] = []

    def start(self, sender: Sender, attempt: Attempt) -> None:
        """Send the attempt in another thread."""
        state = ThreadCallState()
        self._states.append(state)

        def run() -> None:
            try:
                self._responses.append(sender.send(attempt, state))
            except BaseException as error:  # noqa: BLE001 - raised by the caller's thread
                self._failures.append(error)
            if self._responses or len(self._failures) == len(self._states):
                self.is_over.set()

        if start_thread(run, "voyage-rag-query") is None:
            run()

    def end(self) -> None:
        """End the requests in flight."""
        self.is_over.set()
        for state in self._states:
            state.end_all()

    def result(self) -> Response:
        """Return the first response.

        Raises:
            APIConnectionError: There was no response.
            Stopped: The caller ended it.
        """
        if self._responses:
            return self._responses[0]
        if self._failures:
            raise self._failures[0]
        raise Stopped
