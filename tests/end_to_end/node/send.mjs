// Sends one trace, log records and metrics with the Node SDK: OTLP as JSON over HTTP.
// Usage: OTEL_EXPORTER_OTLP_ENDPOINT=http://host:port node send.mjs <service name>
// Each request is sent twice, as by a client that lost the first answer. Prints, as JSON, what the SDK chose (ids, times).
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, ValueType, trace } from '@opentelemetry/api';
import { SeverityNumber } from '@opentelemetry/api-logs';
import { ExportResultCode } from '@opentelemetry/core';
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-http';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import { AggregationType, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';

const SECONDS = 1_700_000_000;
const at = (nanos) => [SECONDS, nanos];
const nanoseconds = ([seconds, nanos]) => String(BigInt(seconds) * 1_000_000_000n + BigInt(nanos));

const resource = resourceFromAttributes({ 'service.name': process.argv[2], 'host.cpu.count': 2 });
const chosen = { traces: [], metrics: {} };

function sendTwice(exporter, look = () => {}) {
  const send = exporter.export.bind(exporter);
  exporter.export = (items, done) => {
    look(items);
    const report = (result) => {
      if (result.code !== ExportResultCode.SUCCESS) {
        console.error(result.error);
        process.exitCode = 1;
      }
      done(result);
    };
    send(items, (result) => (result.code === ExportResultCode.SUCCESS ? send(items, report) : report(result)));
  };
  return exporter;
}

async function sendTraces() {
  const exporter = sendTwice(new OTLPTraceExporter());
  const provider = new BasicTracerProvider({ resource, spanProcessors: [new BatchSpanProcessor(exporter)] });
  const tracer = provider.getTracer('shop', '1.2');
  const server = tracer.startSpan('GET /cart', { kind: SpanKind.SERVER, startTime: at(1_500_000) }, ROOT_CONTEXT);
  server.setAttributes({
    'http.request.method': 'GET',
    'http.response.status_code': 200,
    'cache.hit': true,
    'sampling.rate': 0.25,
    'user.roles': ['buyer', 'reader'],
    'retry.delays': [1, 2],
  });
  server.addEvent('cart loaded', { 'cart.items': 3 }, at(2_000_000));
  const client = tracer.startSpan(
    'find cart',
    {
      kind: SpanKind.CLIENT,
      startTime: at(1_600_000),
      links: [{ context: server.spanContext(), attributes: { 'link.reason': 'cause' } }],
    },
    trace.setSpan(ROOT_CONTEXT, server),
  );
  client.setStatus({ code: SpanStatusCode.ERROR, message: 'timed out' });
  client.end(at(1_700_000));
  server.end(at(4_000_000));
  chosen.traces = [client, server].map((span) => span.spanContext());
  await provider.shutdown();
  return server;
}

async function sendLogs(span) {
  const exporter = sendTwice(new OTLPLogExporter());
  const provider = new LoggerProvider({ resource, processors: [new BatchLogRecordProcessor({ exporter })] });
  const logger = provider.getLogger('shop', '1.2');
  logger.emit({
    timestamp: at(2_500_000),
    observedTimestamp: at(2_600_000),
    severityNumber: SeverityNumber.WARN,
    severityText: 'WARN',
    eventName: 'cart.slow',
    body: { reason: 'slow', seen: [1, 'two', null, new Uint8Array([0, 255])] },
    attributes: { 'code.lineno': 7, 'detail.map': { inner: { deep: 1.5 } } },
    context: trace.setSpan(ROOT_CONTEXT, span),
  });
  logger.emit({ timestamp: at(2_700_000), observedTimestamp: at(2_700_000), body: 'plain text', context: ROOT_CONTEXT });
  await provider.shutdown();
}

async function sendMetrics() {
  const exporter = sendTwice(new OTLPMetricExporter(), ({ scopeMetrics }) => {
    for (const { descriptor, dataPoints } of scopeMetrics.flatMap((scope) => scope.metrics)) {
      const { startTime, endTime } = dataPoints[0];
      chosen.metrics[descriptor.name] = { start: nanoseconds(startTime), end: nanoseconds(endTime) };
    }
  });
  const provider = new MeterProvider({
    resource,
    readers: [new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })],
    views: [{ instrumentName: 'cart.size', aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }],
  });
  const meter = provider.getMeter('shop', '1.2');
  meter.createCounter('orders', { unit: '{order}', description: 'Orders', valueType: ValueType.INT }).add(3, { 'shop.id': 'a' });
  meter.createUpDownCounter('baskets').add(-1.5);
  const boundaries = { explicitBucketBoundaries: [10, 100] };
  meter.createHistogram('latency', { unit: 'ms', advice: boundaries }).record(42.5);
  meter.createHistogram('cart.size').record(4);
  meter.createObservableGauge('temperature').addCallback((result) => result.observe(21.5));
  await provider.shutdown();
}

await sendLogs(await sendTraces());
await sendMetrics();
console.log(JSON.stringify(chosen));
