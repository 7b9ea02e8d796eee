"""Changes on any thread become few notifications, of which the last one is never lost."""

import asyncio
import threading

import pytest

from milo_mcp.runs import RunBook
from milo_mcp.updates import LIST, Subscriber, Updates
from milo_mcp.uris import ACTIVE, logs_uri, timeline_uri
from milo_pipeline.state import PipelineState

PATIENCE = 30


class Following:
    """A subscriber, and what it has been told."""

    def __init__(self, updates, *uris):
        self.told = []
        self.may_send = asyncio.Event()
        self.may_send.set()
        self.subscriber = Subscriber(self._send)
        self.subscriber.uris.update(uris)
        updates.join(self.subscriber)
        self.task = asyncio.create_task(self.subscriber.send_updates())
        self.came = asyncio.Condition()

    async def _send(self, uri):
        await self.may_send.wait()
        self.told.append(uri)
        async with self.came:
            self.came.notify_all()

    async def until(self, holds):
        async with asyncio.timeout(PATIENCE), self.came:
            await self.came.wait_for(lambda: holds(self.told))


def served(scenario):
    async def run():
        book = RunBook(keep=2)
        updates = Updates(book)
        updates.open()
        try:
            await scenario(book, updates)
        finally:
            updates.close()

    asyncio.run(run())


@pytest.mark.parametrize("threads", [1, 4])
def test_a_slow_client_is_told_seldom_and_last(threads):
    """Of thousands of changes while it takes nothing, it hears once or twice; nothing piles up."""

    async def scenario(book, updates):
        runs = [book.begin(PipelineState(f"p{n}")) for n in range(threads)]
        uris = [timeline_uri(run.id) for run in runs]
        following = Following(updates, *uris)
        following.may_send.clear()

        def change(run):
            for number in range(2000):
                run.moved(PipelineState(run.state.name, elapsed=float(number)))

        workers = [threading.Thread(target=change, args=(run,)) for run in runs]
        for worker in workers:
            worker.start()
        for worker in workers:
            await asyncio.to_thread(worker.join)
        assert len(following.subscriber._pending) <= threads
        following.may_send.set()
        await following.until(lambda told: set(uris) <= set(told))
        assert all(following.told.count(uri) <= 2 for uri in uris)
        assert [run.state.elapsed for run in runs] == [1999.0] * threads

    served(scenario)


def test_a_change_after_it_was_told_is_told_again():
    """Whatever was read in between: the last change is always followed by a notification."""

    async def scenario(book, updates):
        run = book.begin(PipelineState("p"))
        uri = timeline_uri(run.id)
        following = Following(updates, uri)
        for number in range(1, 20):
            await asyncio.to_thread(run.moved, PipelineState("p", elapsed=float(number)))
            await following.until(lambda told, number=number: len(told) == number)

    served(scenario)


def test_each_hears_of_its_own_only():
    """Timelines, logs and the list are told to who asked for them."""

    async def scenario(book, updates):
        one = Following(updates, LIST)
        run = book.begin(PipelineState("p"))
        other = book.begin(PipelineState("q"))
        await one.until(bool)
        two = Following(updates, logs_uri(run.id, "a/b"))
        three = Following(updates, timeline_uri(run.id), ACTIVE)
        other.logged(PipelineState("q"), "a/b")
        run.logged(PipelineState("p"), "c")
        run.logged(PipelineState("p"), "a/b")
        await two.until(bool)
        await three.until(lambda told: len(told) >= 2)
        assert set(one.told) == {LIST}
        assert two.told == [logs_uri(run.id, "a/b")]
        assert set(three.told) == {timeline_uri(run.id), ACTIVE}

    served(scenario)


def test_runs_that_have_ended_are_forgotten_at_last():
    """The book keeps the latest of them, and all that go on."""
    book = RunBook(keep=2)
    goes_on = book.begin(PipelineState("goes on"))
    for number in range(5):
        book.begin(PipelineState(f"p{number}")).ended(PipelineState(f"p{number}"))
    assert [run.state.name for run in book] == ["goes on", "p3", "p4"]
    assert book.run(goes_on.id) is goes_on
    assert book.run("run-2") is None


def test_nobody_who_has_left_is_told():
    """A subscriber that leaves hears no more, and a closed server none."""

    async def scenario(book, updates):
        run = book.begin(PipelineState("p"))
        one, two = (Following(updates, timeline_uri(run.id)) for _ in range(2))
        updates.leave(one.subscriber)
        run.moved(PipelineState("p"))
        await two.until(bool)
        assert one.told == []
        updates.close()
        assert not book.is_watched

    served(scenario)
