"""Medians and ratios as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import median

from benchmarks.storage.measure import Measurement
from benchmarks.storage.queries import QUERIES
from benchmarks.storage.variants import Group

Rounds = Sequence[Measurement]
"""The measurements of one variant, in order of the rounds."""


def table(group: Group, measurements: Sequence[Measurement]) -> str:
    """A line for each variant that was measured; ratios are to the first variant's figure of the same round."""
    rounds = {variant.name: _of(measurements, group, variant.name) for variant in group.variants}
    rounds = {name: found for name, found in rounds.items() if found}
    base = next(iter(rounds.values()))
    count = len(base)
    title = f"### {group.title}: {group.records:,} records, cache of {group.cache}, {count} rounds"
    queries = list(QUERIES[group.signal])
    head = ["", "CPU µs", "ratio", "lowest", "BSON", "collection", "indexes", "disk, ratio", *queries]
    rows = [[name, *_figures(found, base), *_queries(found, queries)] for name, found in rounds.items()]
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join([title, "", *(f"| {' | '.join(line)} |" for line in lines)])


def _of(measurements: Sequence[Measurement], group: Group, variant: str) -> Rounds:
    return [one for one in measurements if (one.group, one.variant) == (group.name, variant)]


def _figures(found: Rounds, base: Rounds) -> Iterator[str]:
    micros = [one.insert_micros for one in found]
    yield f"{median(micros):.1f}"
    yield f"{_ratio(found, base, lambda one: one.insert_micros):.2f}"
    yield f"{min(micros):.1f}"
    yield f"{median(one.document_bytes for one in found):,.0f}"
    yield f"{median(one.collection_bytes for one in found):,.0f}"
    yield f"{median(one.index_bytes for one in found):,.0f}"
    yield f"{_ratio(found, base, disk_bytes):.2f}"


def disk_bytes(one: Measurement) -> float:
    return one.collection_bytes + one.index_bytes


def _ratio(found: Rounds, base: Rounds, figure: Callable[[Measurement], float]) -> float:
    return median(figure(one) / figure(other) for one, other in zip(found, base, strict=False))


def _queries(found: Rounds, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        millis = [one.query_millis[name] for one in found if one.found.get(name)]
        yield _short(median(millis)) if millis else ""


def _short(number: float) -> str:
    return f"{number:.2g}" if number < 10 else f"{number:,.0f}"
