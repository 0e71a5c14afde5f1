import { each, errors, settings, sinkVector, warnings } from './sink-objects.ts';
import type { Vector } from './vector.ts';

/** PostgreSQL, MongoDB and BigQuery. */
export const databaseSinkVectors: readonly Vector[] = [
  sinkVector('postgres', 'an endpoint', { endpoint: 'db.example.com:5432' }, { warnings: ['spec.endpoint'], says: ['in its Secret'] }),
  sinkVector('postgres', 'an endpoint with a password', { endpoint: 'postgres://u:canary@db/x' }, { errors: ['spec.endpoint'], warnings: ['spec.endpoint'], says: ['put it into a Secret'] }),
  sinkVector('mongodb', 'an endpoint with a token', { endpoint: 'https://db.example.com/?token=canary' }, { errors: ['spec.endpoint'], warnings: ['spec.endpoint'] }),
  sinkVector('postgres', 'a Secret in the wrong place', { secretRef: { name: 'dsn' } }, { warnings: ['spec.secretRef'], says: ['spec.postgres.databaseRef'] }),
  sinkVector('bigquery', 'a Secret in the wrong place', { secretRef: { name: 'key' } }, { warnings: ['spec.secretRef'], says: ['spec.bigquery.secretRef'] }),

  sinkVector('postgres', 'no schema', settings('postgres', { schema: undefined })),
  ...each('postgres', 'the table', ['inventory_items', 'x'.repeat(63)], (table) => settings('postgres', { table })),
  ...each('postgres', 'the table', ['Items', 'my items', 'ünïcode', '1st'], (table) => settings('postgres', { table }), { warnings: ['spec.postgres.table'], says: ['quoted in every query'] }),
  ...each('postgres', 'the table', [' items', 'items ', '"items"', 'a\nb', 'a\u200bb', 'x'.repeat(64), 'ü'.repeat(32)], (table) => settings('postgres', { table }), errors('spec.postgres.table')),
  sinkVector('postgres', 'no table', settings('postgres', { table: '' }), { errors: ['spec.postgres.table'], says: ['Required value'] }),
  sinkVector('postgres', 'a blank table', settings('postgres', { table: ' ' }), { errors: ['spec.postgres.table'], says: ['Required value'] }),
  sinkVector('postgres', 'a table with its schema', settings('postgres', { table: 'public.items' }), { errors: ['spec.postgres.table'], says: ['spec.postgres.schema'] }),
  sinkVector('postgres', 'a table name that would be cut', settings('postgres', { table: 'ü'.repeat(33) }), { errors: ['spec.postgres.table'], says: ['63 bytes'] }),
  ...each('postgres', 'the schema', ['public', ''], (schema) => settings('postgres', { schema })),
  ...each('postgres', 'the schema', ['Team A', 'a.b'], (schema) => settings('postgres', { schema }), { warnings: ['spec.postgres.schema'] }),
  ...each('postgres', 'the schema', ['pg_catalog', 'information_schema', ' public', 'a\u0000b', 'x'.repeat(64)], (schema) => settings('postgres', { schema }), errors('spec.postgres.schema')),
  sinkVector('postgres', 'no Secret', settings('postgres', { databaseRef: undefined }), errors('spec.postgres.databaseRef')),
  sinkVector('postgres', 'a Secret with a blank name', settings('postgres', { databaseRef: { name: '  ' } }), { errors: ['spec.postgres.databaseRef.name'], says: ['Required value'] }),
  sinkVector('postgres', 'a Secret with its namespace in the name', settings('postgres', { databaseRef: { name: 'kollect-system/d' } }), { errors: ['spec.postgres.databaseRef.name'], says: ['the field "namespace"', 'such as "d"'] }),
  sinkVector('postgres', 'a Secret of a bad namespace', settings('postgres', { databaseRef: { name: 'd', namespace: 'Kollect_System' } }), errors('spec.postgres.databaseRef.namespace')),
  sinkVector('postgres', 'a connection string for a Secret', settings('postgres', { databaseRef: { name: 'postgres://u:canary@db/x' } }), errors('spec.postgres.databaseRef.name')),
  ...each('postgres', 'a timeout of', ['30 seconds', '30s', '-1', '', '1.5', '12345678901'], (value) => ({ options: { statement_timeout: value } }), errors('spec.options[statement_timeout]')),
  sinkVector('postgres', 'three timeouts', { options: { statement_timeout: '1', lock_timeout: 'x', idle_in_transaction_session_timeout: 'y' } }, { errors: ['spec.options[idle_in_transaction_session_timeout]', 'spec.options[lock_timeout]'], says: ['such as "30000"'] }),

  ...each('mongodb', 'the database', ['inventory', 'Team-A_1', 'admin'], (database) => settings('mongodb', { database })),
  ...each('mongodb', 'the database', ['a b', 'a.b', 'a/b', String.raw`a\b`, '$x', 'a"b', 'a*', 'a<b', 'a:b', 'a|b', 'a?', 'local', 'config', 'x'.repeat(64)], (database) => settings('mongodb', { database }), errors('spec.mongodb.database')),
  ...each('mongodb', 'the collection', ['items', 'team.items', 'my items'], (collection) => settings('mongodb', { collection })),
  ...each('mongodb', 'the collection', ['system.users', 'a$b', '.a', 'a.', 'a..b', 'a\u0000b', 'x'.repeat(246)], (collection) => settings('mongodb', { collection }), errors('spec.mongodb.collection')),
  sinkVector('mongodb', 'blank names', { mongodb: { databaseRef: { name: ' ' }, database: ' ', collection: ' ' } }, { errors: ['spec.mongodb.collection', 'spec.mongodb.database', 'spec.mongodb.databaseRef.name'], says: ['Required value'] }),

  sinkVector('bigquery', 'all of its settings', settings('bigquery', { project: 'example.com:my-project', location: 'europe-west4', secretRef: { name: 'key', namespace: 'kollect-system' } })),
  ...each('bigquery', 'the table', ['inventory_items', 'items-2026', 'Artikel ü'], (table) => settings('bigquery', { table })),
  ...each('bigquery', 'the table', ['d.items', 'items$2026', ' items', 'a`b', 'x'.repeat(1025)], (table) => settings('bigquery', { table }), errors('spec.bigquery.table')),
  ...each('bigquery', 'the dataset', ['p.d', 'my-dataset', 'ä', 'x'.repeat(1025)], (dataset) => settings('bigquery', { dataset }), errors('spec.bigquery.dataset')),
  ...each('bigquery', 'the project', ['My_Project', 'a/b', '-a', 'a b'], (project) => settings('bigquery', { project }), errors('spec.bigquery.project')),
  ...each('bigquery', 'the location', ['EU ROPE', '../x'], (location) => settings('bigquery', { location }), errors('spec.bigquery.location')),
  sinkVector('bigquery', 'blank names', { bigquery: { project: '   ', dataset: ' ', table: ' ' } }, { errors: ['spec.bigquery.dataset', 'spec.bigquery.project', 'spec.bigquery.table'], says: ['Required value'] }),
  sinkVector('bigquery', 'a Secret without a name', settings('bigquery', { secretRef: { name: '' } }), { errors: ['spec.bigquery.secretRef.name'], says: ['Required value'] }),
  sinkVector('bigquery', 'a Secret with its namespace in the name', settings('bigquery', { secretRef: { name: 'a/b' } }), errors('spec.bigquery.secretRef.name')),
  sinkVector('mongodb', 'a database that is there already', { provisioning: { mode: 'existing' } }, warnings('spec.provisioning.mode')),
];
