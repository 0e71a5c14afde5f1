import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { KollectError } from '../../shared/errors.ts';
import type { ApiResource } from '../../shared/kube/discovery.ts';
import type { AuditObserver, Drift } from '../collect/audit.ts';
import type { BindingObserver } from '../inventory/binding-options.ts';
import type { ProbeObserver } from '../probe/sink-prober.ts';
import type { ReferenceObserver, ReferenceResult } from './references.ts';

const seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

/** What gauges read when they are scraped, so that they cannot drift from the truth. */
export interface MetricsSource {
  rows(): number;
  rowBytes(): number;
  unchanged(): number;
  refused(): Iterable<{ target_namespace: string; target_name: string; count: number }>;
  watches(): Iterable<{ group: string; version: string; resource: string; phase: string; reason: string }>;
  bindings(): Iterable<{ inventory: string; sink: string; lagRows: number; lagSeconds: number }>;
}

/** The controller's own metrics, and Node's. Labels are names of the configuration, never of collected objects. */
export class ControllerMetrics implements BindingObserver, ProbeObserver, AuditObserver, ReferenceObserver {
  readonly registry = new Registry();
  readonly #exportSeconds: Histogram<'sink_type' | 'mode'>;
  readonly #exportBytes: Counter<'sink_type'>;
  readonly #exportRows: Counter<'sink_type' | 'operation'>;
  readonly #sinkErrors: Counter<'reason' | 'code'>;
  readonly #commitSeconds: Histogram;
  readonly #probes: Counter<'type' | 'result'>;
  readonly #probeSeconds: Histogram<'type'>;
  readonly #kube: Counter<'event'>;
  readonly #audits: Counter<'group' | 'resource' | 'result'>;
  readonly #drift: Counter<'group' | 'resource' | 'drift'>;
  readonly #references: Counter<'kind' | 'ref_type' | 'result'>;

  constructor(source: MetricsSource) {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    this.#exportSeconds = new Histogram({
      name: 'kollect_export_duration_seconds',
      help: 'Duration of a pass to a sink.',
      labelNames: ['sink_type', 'mode'],
      buckets: seconds,
      registers,
    });
    this.#commitSeconds = new Histogram({
      name: 'kollect_export_commit_lag_seconds',
      help: 'Time from the oldest change of a pass to its confirmation by the sink.',
      buckets: seconds,
      registers,
    });
    this.#exportBytes = new Counter({ name: 'kollect_export_bytes_total', help: 'Payload bytes sent.', labelNames: ['sink_type'], registers });
    this.#exportRows = new Counter({
      name: 'kollect_export_rows_total',
      help: 'Rows that a sink inserted or changed, and rows that it deleted.',
      labelNames: ['sink_type', 'operation'],
      registers,
    });
    this.#sinkErrors = new Counter({
      name: 'kollect_sink_errors_total',
      help: 'Failed passes by error class and code.',
      labelNames: ['reason', 'code'],
      registers,
    });
    this.#probes = new Counter({
      name: 'kollect_sink_connection_test_total',
      help: 'Connection tests of sinks.',
      labelNames: ['type', 'result'],
      registers,
    });
    this.#probeSeconds = new Histogram({
      name: 'kollect_sink_connection_test_duration_seconds',
      help: 'How long sinks took to answer a connection test, or to fail it. Look-ups of Secrets are not part of it.',
      labelNames: ['type'],
      buckets: seconds,
      registers,
    });
    this.#kube = new Counter({
      name: 'kollect_kube_events_total',
      help: 'What watches and requests to the API server went through: relists, restarts, broken lines and the like.',
      labelNames: ['event'],
      registers,
    });
    this.#audits = new Counter({
      name: 'kollect_collect_audits_total',
      help: 'Comparisons of rows with what exists: agreed, drifted, or unfinished.',
      labelNames: ['group', 'resource', 'result'],
      registers,
    });
    this.#drift = new Counter({
      name: 'kollect_collect_drift_total',
      help: 'Differences that audits found and watches had not told of: objects without a row (missing), older rows (stale), rows without an object (gone). They are mended by a list.',
      labelNames: ['group', 'resource', 'drift'],
      registers,
    });
    this.#references = new Counter({
      name: 'kollect_static_ref_resolution_total',
      help: 'Look-ups of profiles by targets and of sinks by inventories: ok, not_found, or forbidden by a scope or a missing right.',
      labelNames: ['kind', 'ref_type', 'result'],
      registers,
    });
    new Gauge({ name: 'kollect_collect_items_total', help: 'Rows in memory.', registers, collect() { this.set(source.rows()); } });
    new Gauge({ name: 'kollect_collect_payload_bytes', help: 'Length of the JSON of all rows in memory.', registers, collect() { this.set(source.rowBytes()); } });
    new Counter({
      name: 'kollect_collect_unchanged_total',
      help: 'Changes of objects that changed nothing of their rows, so that nothing was exported.',
      registers,
      collect() {
        this.reset();
        this.inc(source.unchanged());
      },
    });
    new Gauge({
      name: 'kollect_collect_refused_objects',
      help: 'Objects without a row because a limit of their target, or of memory, was reached. Counts up to 10,000 of a target.',
      labelNames: ['target_namespace', 'target_name'],
      registers,
      collect() {
        this.reset();
        for (const { count, ...labels } of source.refused()) if (count > 0) this.set(labels, count);
      },
    });
    new Gauge({
      name: 'kollect_watch_state',
      help: 'Watches in a phase: Pending, Syncing, Synced or Failed, the last with its reason.',
      labelNames: ['group', 'version', 'resource', 'phase', 'reason'],
      registers,
      collect() {
        this.reset();
        for (const watch of source.watches()) this.inc({ ...watch }, 1);
      },
    });
    new Gauge({
      name: 'kollect_export_lag_rows',
      help: 'Changed rows that a sink does not have yet.',
      labelNames: ['inventory', 'sink'],
      registers,
      collect() {
        this.reset();
        for (const { inventory, sink, lagRows } of source.bindings()) this.set({ inventory, sink }, lagRows);
      },
    });
    new Gauge({
      name: 'kollect_export_lag_seconds',
      help: 'Age of the oldest change that a sink does not have yet.',
      labelNames: ['inventory', 'sink'],
      registers,
      collect() {
        this.reset();
        for (const { inventory, sink, lagSeconds } of source.bindings()) this.set({ inventory, sink }, lagSeconds);
      },
    });
  }

  passed(type: string, pass: Parameters<BindingObserver['passed']>[1]): void {
    this.#exportSeconds.observe({ sink_type: type, mode: pass.mode }, pass.seconds);
    this.#exportBytes.inc({ sink_type: type }, pass.bytes);
    this.#exportRows.inc({ sink_type: type, operation: 'written' }, pass.written);
    this.#exportRows.inc({ sink_type: type, operation: 'deleted' }, pass.deleted);
    if (pass.mode === 'delta') this.#commitSeconds.observe(pass.lagMs / 1000);
  }

  failed(_type: string, error: KollectError): void {
    this.#sinkErrors.inc({ reason: error.class, code: error.code });
  }

  probed(type: string, result: 'success' | 'failure', latencyMs: number | undefined): void {
    this.#probes.inc({ type, result });
    if (latencyMs !== undefined) this.#probeSeconds.observe({ type }, latencyMs / 1000);
  }

  audited({ group, plural }: ApiResource, result: string): void {
    this.#audits.inc({ group, resource: plural, result });
  }

  drifted({ group, plural }: ApiResource, drift: Drift, count: number): void {
    this.#drift.inc({ group, resource: plural, drift }, count);
  }

  resolved(kind: string, refType: string, result: ReferenceResult): void {
    this.#references.inc({ kind, ref_type: refType, result });
  }

  kube(event: string, count = 1): void {
    this.#kube.inc({ event }, count);
  }
}
