"""The status page: what runs, where it listens, where it stores, what it has counted. Plain HTML, no scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from html import escape
from string import Template

from prometheus_client import CollectorRegistry

from sidecar.health import PartHealth

Facts = Callable[[], Mapping[str, str]]
"""Lines of the page, by their titles."""

_PREFIX = "otlp_mongo_"

_PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="5"><title>otlp-mongo: $state</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
h1 { font-size: 1.4rem } h2 { font-size: 1rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% }
td { padding: .3rem .6rem; border-bottom: 1px solid #ddd; vertical-align: top }
td:first-child { width: 18rem } td.number { text-align: right; font-variant-numeric: tabular-nums }
.ready { color: #17692b } .not-ready { color: #a3140f }
@media (prefers-color-scheme: dark) {
  body { background: #16181c; color: #ddd } td { border-color: #333 } a { color: #8ab4f8 }
  .ready { color: #6fcf87 } .not-ready { color: #ff8a80 } }
</style></head><body>
<h1>otlp-mongo is <span class="$css">$state</span></h1>
<h2>Parts</h2><table>$parts</table>
<h2>Addresses</h2><table>$facts</table>
<h2>Counts</h2><table>$counts</table>
<p><a href="readyz">readyz</a> · <a href="metrics">metrics</a></p>
</body></html>
""")


def render(parts: Mapping[str, PartHealth], facts: Facts, registry: CollectorRegistry) -> str:
    """The page as HTML."""
    ready = all(part.ready for part in parts.values())
    return _PAGE.substitute(
        state="ready" if ready else "not ready",
        css=_css(ready),
        parts="".join(_row(name, part.state, _css(part.ready)) for name, part in parts.items()),
        facts="".join(_row(name, text) for name, text in facts().items()),
        counts="".join(_row(name, f"{value:,.0f}", "number") for name, value in _counts(registry)),
    )


def _css(ready: bool) -> str:
    return "ready" if ready else "not-ready"


def _row(title: str, text: str, css: str = "") -> str:
    return f'<tr><td>{escape(title)}</td><td class="{css}">{escape(text)}</td></tr>'


def _counts(registry: CollectorRegistry) -> Iterable[tuple[str, float]]:
    """Our own counters, one line for each set of labels."""
    for metric in registry.collect():
        if metric.type != "counter" or not metric.name.startswith(_PREFIX):
            continue
        for sample in metric.samples:
            if sample.name.endswith("_total"):
                labels = " ".join(sample.labels.values())
                yield f"{metric.name.removeprefix(_PREFIX).replace('_', ' ')} {labels}".strip(), sample.value
