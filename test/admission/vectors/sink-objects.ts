import { sinkTypes } from '../../../shared/api/sink-types.ts';
import type { SinkType } from '../../../shared/api/sink-types.ts';
import type { Vector } from './vector.ts';

/** What a vector says beside its sink. */
export type Expected = Omit<Vector, 'name' | 'kind' | 'object'>;

const kinds = { snapshot: 'KollectSnapshotSink', database: 'KollectDatabaseSink', event: 'KollectEventSink' } as const;

/** A spec of each type that nothing is said about, but that the type may not be built yet. */
const valid: Readonly<Record<SinkType, Readonly<Record<string, unknown>>>> = {
  git: { endpoint: 'https://git.example.com/team/inventory.git', serialization: { format: 'yaml' } },
  gitlab: { endpoint: 'https://gitlab.example.com/group/project.git', serialization: { format: 'yaml' } },
  s3: { endpoint: 's3://bucket/prefix' },
  gcs: { endpoint: 'gs://bucket/prefix' },
  azureblob: { endpoint: 'https://account.blob.core.windows.net/container/prefix' },
  http: { endpoint: 'https://hooks.example.com/inventory', http: { method: 'POST' } },
  postgres: { postgres: { databaseRef: { name: 'dsn', namespace: 'kollect-system' }, schema: 'public', table: 'inventory_items' } },
  bigquery: { bigquery: { project: 'example-project', dataset: 'inventory', table: 'inventory_items' } },
  mongodb: { mongodb: { databaseRef: { name: 'uri' }, database: 'inventory', collection: 'items' } },
  kafka: { kafka: { brokers: ['kafka.kollect-system.svc:9092'], topic: 'inventory.changes' } },
  nats: { nats: { url: 'nats://nats.kollect-system.svc:4222', subject: 'inventory.events', stream: 'kollect_events' } },
};

/**
 * A vector of a sink of a type: valid in everything that `more` does not say otherwise. Of types that are not built yet, each is warned of
 * that, wherever it is not what the vector is about.
 */
export function sinkVector(type: SinkType, name: string, more: Readonly<Record<string, unknown>>, { warnings = [], ...expected }: Expected = {}): Vector {
  const { family, isBuilt } = sinkTypes[type];
  const all = isBuilt ? warnings : [...warnings, 'spec.type'].toSorted();
  return { name: `${type}: ${name}`, kind: kinds[family], object: { spec: { type, ...valid[type], ...more } }, warnings: all, ...expected };
}

/** The settings of a type with some of them changed. */
export function settings(type: SinkType, more: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { block } = sinkTypes[type];
  return { [block]: { ...(valid[type][block] as object | undefined), ...more } };
}

/** One vector for each value of a field, all with the same expectation. */
export function each(type: SinkType, what: string, values: readonly string[], spec: (value: string) => Readonly<Record<string, unknown>>, expected: Expected = {}): Vector[] {
  return values.map((value) => sinkVector(type, `${what} ${JSON.stringify(value.length > 60 ? `${value[0]}… (${value.length})` : value)}`, spec(value), expected));
}

export const errors = (...fields: string[]): Expected => ({ errors: fields });
export const warnings = (...fields: string[]): Expected => ({ warnings: fields });

/** An authority that nobody has the key of, as PEM in base64. */
export const authority =
  'LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUJjVENDQVJpZ0F3SUJBZ0lRV0VEYWpqWXhZZGZrOEFGWnFkWThjREFLQmdncWhrak9QUVFEQWpBWk1SY3cKRlFZRFZRUUREQTUwWlhOMElHRjFkR2h2Y21sMGVUQWVGdzB5TmpFeE1qRXdPVE14TVRoYUZ3MHlOekV4TWpFeApNRE14TVRoYU1Ca3hGekFWQmdOVkJBTU1EblJsYzNRZ1lYVjBhRzl5YVhSNU1Ga3dFd1lIS29aSXpqMENBUVlJCktvWkl6ajBEQVFjRFFnQUVYVHdpTWlNU1dEUVVjcTExb2RNSmVCVzhVc1dNTzR1OERRcXJTR1p3TXpkcFcvMFYKcTdOMEZWOGNOWlBRYk01MWJvb2xWUW16aEQ5UEVyZUU5UE11T3FOQ01FQXdEd1lEVlIwVEFRSC9CQVV3QXdFQgovekFPQmdOVkhROEJBZjhFQkFNQ0FRWXdIUVlEVlIwT0JCWUVGUDRNTHZ0WjBoZTUyS3NIclhocGR0b1MwRXRaCk1Bb0dDQ3FHU000OUJBTUNBMGNBTUVRQ0lBRnFJSVZUUW5SbmIwRWZTbERZVHQ2Q1RyTkZQWVcycTBwM2lINEcKOXlWUUFpQWZWM0YxZ0hqaHdCZU5BMXVXSENpS0E5SjhLdVkwbktDcmZnTzAyRkF0R3c9PQotLS0tLUVORCBDRVJUSUZJQ0FURS0tLS0tCg==';
