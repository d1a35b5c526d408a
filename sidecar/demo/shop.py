"""A shop's telemetry: checkouts over three services, one of which fails, and the nightly job that looks at them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from opentelemetry import trace
from opentelemetry._logs import Logger, SeverityNumber
from opentelemetry.metrics import Meter
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer

SERVICE = "demo-shop"


@dataclass(frozen=True, slots=True)
class Cart:
    """What somebody wants to buy."""

    item: str
    quantity: int
    euros: float
    payable: bool


_CARTS = (Cart("teapot", 1, 34.5, True), Cart("cup", 6, 51.0, True), Cart("samovar", 1, 420.0, False))


_LIMIT = 400
"""Euros above which the shop's bank declines."""


class PaymentDeclined(Exception):
    """What goes wrong in the shop."""


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What the SDK has made, ready for its exporters."""

    spans: Sequence[ReadableSpan]
    logs: Sequence[ReadableLogRecord]
    metrics: MetricsData
    run: str
    """The resource attribute `service.instance.id` of this run: what to look for."""
    failed_trace_id: str


def make() -> Telemetry:
    """Let the shop run once."""
    run = str(uuid.uuid4())
    resource = Resource.create({"service.name": SERVICE, "service.version": "1.4.2", "service.instance.id": run})
    spans, logs, reader = InMemorySpanExporter(), InMemoryLogRecordExporter(), InMemoryMetricReader()  # type: ignore[no-untyped-call]
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    loggers = LoggerProvider(resource=resource)
    loggers.add_log_record_processor(SimpleLogRecordProcessor(logs))
    exponential = View(instrument_name="shop.cart.value", aggregation=ExponentialBucketHistogramAggregation())
    meters = MeterProvider([reader], resource=resource, views=[exponential])

    shop = _Shop(tracers.get_tracer("shop", "1.4.2"), loggers.get_logger("shop"), meters.get_meter("shop"))
    roots = [shop.checkout(cart) for cart in _CARTS]
    shop.nightly_report(roots)

    for provider in (tracers, loggers):
        provider.force_flush()
    metrics = reader.get_metrics_data()
    if metrics is None:
        raise AssertionError("the shop has counted something")
    failed = trace.format_trace_id(roots[-1].get_span_context().trace_id)
    return Telemetry(spans.get_finished_spans(), logs.get_finished_logs(), metrics, run, failed)


class _Clock:
    """A clock that goes as far as it is told: the shop takes no time, and its telemetry shows plausible times."""

    def __init__(self) -> None:
        self.now = time.time_ns() - 1_000_000_000

    def pass_by(self, milliseconds: float) -> None:
        self.now += int(milliseconds * 1_000_000)


class _Shop:
    def __init__(self, tracer: Tracer, logger: Logger, meter: Meter) -> None:
        self._tracer = tracer
        self._logger = logger
        self._clock = _Clock()
        self._orders = meter.create_counter("shop.orders", "{order}", "Orders by outcome")
        self._carts = meter.create_histogram("shop.cart.value", "EUR", "Value of carts at checkout")
        self._duration = meter.create_histogram("http.server.request.duration", "s", "Duration of requests")
        self._stock = meter.create_gauge("shop.stock", "{item}", "Items left")

    def checkout(self, cart: Cart) -> Span:
        started = self._clock.now
        request = {"http.request.method": "POST", "url.path": "/checkout", "http.route": "/checkout"}
        with self._span("POST /checkout", SpanKind.SERVER, request) as span:
            self._carts.record(cart.euros, {"item": cart.item})
            self._reserve(cart)
            outcome = self._pay(cart)
            code = 200 if cart.payable else 402
            span.set_attribute("http.response.status_code", code)
            if not cart.payable:
                span.set_status(Status(StatusCode.ERROR, "payment declined"))
            self._orders.add(1, {"outcome": outcome})
        seconds = (self._clock.now - started) / 1e9
        self._duration.record(seconds, {"http.route": "/checkout", "http.response.status_code": code})
        return span

    def nightly_report(self, checkouts: Sequence[Span]) -> None:
        links = [Link(span.get_span_context(), {"link.reason": "aggregated"}) for span in checkouts]
        with self._span("nightly report", SpanKind.CONSUMER, {"report.orders": len(checkouts)}, links):
            pass

    def _reserve(self, cart: Cart) -> None:
        query = {"db.system.name": "mongodb", "db.operation.name": "findAndModify", "db.collection.name": "stock"}
        with self._span("findAndModify stock", SpanKind.CLIENT, query) as span:
            span.add_event("reserved", {"item": cart.item, "quantity": cart.quantity}, self._clock.now)
            self._stock.set(40 - cart.quantity, {"item": cart.item})

    def _pay(self, cart: Cart) -> str:
        with self._span("charge", SpanKind.CLIENT, {"payment.amount": cart.euros}) as span:
            if cart.payable:
                self._log(SeverityNumber.INFO, {"message": "payment accepted", "euros": cart.euros})
                return "paid"
            declined = PaymentDeclined(f"limit of {_LIMIT} EUR exceeded by {cart.euros - _LIMIT:.2f}")
            span.record_exception(declined, timestamp=self._clock.now)
            span.set_status(Status(StatusCode.ERROR, str(declined)))
            self._log(SeverityNumber.ERROR, f"payment declined: {declined}")
            return "declined"

    @contextmanager
    def _span(
        self, name: str, kind: SpanKind, attributes: Mapping[str, str | float], links: Sequence[Link] = ()
    ) -> Iterator[Span]:
        """The current span for as long as the block runs; the shop's clock goes on before and after its work."""
        span = self._tracer.start_span(name, None, kind, attributes, links, self._clock.now)
        self._clock.pass_by(2.5)
        with trace.use_span(span):
            yield span
        self._clock.pass_by(11.25)
        span.end(self._clock.now)

    def _log(self, severity: SeverityNumber, body: str | dict[str, str | float]) -> None:
        """The span that is current ties the record to its trace."""
        self._logger.emit(
            timestamp=self._clock.now,
            severity_number=severity,
            severity_text=severity.name,
            body=body,
            attributes={"area": "payment"},
        )
