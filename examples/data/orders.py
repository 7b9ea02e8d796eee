"""A data job: a file of orders, cleaned, summed up month by month, written as a table.

    milo run examples/data/orders.py
    milo run examples/data/orders.py -p region=north -p output=north.csv

A second run calls nothing: every phase says what it is made from, so its result is taken from
the cache until the file, a parameter or the code changes. Standard library only.
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from milo import Cache, Param, Phase, Pipeline

ORDERS = Path(__file__).with_name("orders.csv")


class Order(NamedTuple):
    """One line of the file, with a meaning."""

    month: str
    region: str
    product: str
    cents: int


def read() -> list[dict[str, str]]:
    """The lines of the file, as they are."""
    with open(ORDERS, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    print(f"{len(rows)} orders in {ORDERS.name}")
    return rows


def clean(context: dict[str, Any], region: str) -> list[tuple[str, list[Order]]]:
    """The orders of the region that make sense, by month."""
    months: dict[str, list[Order]] = defaultdict(list)
    for row in context["read"]:
        try:
            order = parsed(row)
        except ValueError as error:
            print(f"order {row['order']} is left out: {error}")
            continue
        if region in ("all", order.region):
            months[order.month].append(order)
    return sorted(months.items())


def parsed(row: dict[str, str]) -> Order:
    """One line.

    Raises:
        ValueError: a number or a date is none.
    """
    month = date.fromisoformat(row["date"]).strftime("%Y-%m")
    cents = round(float(row["price"]) * 100)
    return Order(month, row["region"], row["product"], int(row["units"]) * cents)


def sum_up(item: tuple[str, list[Order]]) -> dict[str, Any]:
    """One month: how many orders, what they came to, and the product that sold best."""
    month, orders = item
    by_product: Counter[str] = Counter()
    for order in orders:
        by_product[order.product] += order.cents
    best, _ = by_product.most_common(1)[0]
    return {"month": month, "orders": len(orders), "cents": by_product.total(), "best": best}


def write(context: dict[str, Any], output: Path) -> int:
    """The table, and its total."""
    months = context["months"]
    with open(output, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["month", "orders", "total", "best product"])
        for month in months:
            total = f"{month['cents'] / 100:.2f}"
            table.writerow([month["month"], month["orders"], total, month["best"]])
    total = sum(month["cents"] for month in months)
    print(f"{output}: {len(months)} months, {total / 100:.2f} in all")
    return int(total)


pipeline = Pipeline(
    "orders",
    Phase("read", read, cache=Cache(inputs=(str(ORDERS),))),
    Phase("clean", clean, depends_on=("read",), params=("region",), cache=Cache()),
    Phase("months", sum_up, depends_on=("clean",), map_over="clean", cache=Cache()),
    Phase("write", write, depends_on=("months",), params=("output",)),
    capture_output=True,
    params=[
        Param("region", choices=("all", "north", "south", "east", "west"), default="all"),
        Param("output", Path, default=Path("months.csv"), description="where the table goes"),
    ],
)
