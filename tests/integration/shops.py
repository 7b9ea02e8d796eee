"""A shop with durable sagas, and ``milo saga`` beside it."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from saga_shop import made
from suite_tools import HANG, environment

from milo_durable.opening import SagaBase


@dataclass(frozen=True)
class Ended:
    """What is left of a command: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def object(self):
        """What it printed as JSON."""
        return json.loads(self.out)


class Shop:
    """An application in a folder of its own, on a database with ready-made tables."""

    def __init__(self, folder, database, monkeypatch):
        self.folder, self.database = folder, database
        shutil.copy(Path(__file__).with_name("saga_shop.py"), folder)
        monkeypatch.setenv("SHOP_URL", database.url)
        monkeypatch.setenv("SHOP_SCHEMA", database.schema or "-")

    def words(self, *words, app="saga_shop:orchestrator"):
        """The words after ``milo`` that ask this of the shop's sagas."""
        source = [] if app is None else ["--app", app]
        return ["saga", *map(str, words), *source]

    def command(self, *words, **options):
        """The words after ``python`` for it."""
        return ["-W", "error", "-m", "milo", *self.words(*words, **options)]

    def saga(self, *words, stdout=subprocess.PIPE, **options):
        """Run the command in a process of its own."""
        ended = subprocess.run(
            [sys.executable, *self.command(*words, **options)],
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=environment(),
            timeout=HANG,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def run(self, scenario):
        """What ``scenario(orchestrator)`` returns, on the database."""

        async def whole():
            await self.database.create(SagaBase.metadata)
            orchestrator = made()
            try:
                return await scenario(orchestrator)
            finally:
                await orchestrator.engine.database.engine.dispose()

        return self.database.run(whole)

    def order(self, pay, key=None):
        """The id of an order that pays like this."""
        return self.orders(**{key or f"order {pay}": pay})[0]

    def orders(self, **pays):
        """The ids of orders, by their aggregation ids."""

        async def scenario(orchestrator):
            return [await orchestrator.start("order", {"pay": pays[key]}, key) for key in pays]

        return self.run(scenario)

    def parcel(self, pack, label):
        """The id of a parcel whose two steps beside each other go like this."""
        ways = {"pack": pack, "label": label}
        return self.run(lambda orchestrator: orchestrator.start("parcel", ways, "a parcel"))

    def see(self, saga_id):
        """An order as it is stored."""
        return self.run(lambda orchestrator: orchestrator.get_snapshot(saga_id))
