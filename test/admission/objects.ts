/** Objects for admission tests: valid in everything that a test does not say otherwise. */
export function objectOf(kind: string, spec: unknown, metadata: Record<string, unknown> = {}) {
  const isCluster = kind.startsWith('KollectCluster');
  return { apiVersion: 'kollect.dev/v1alpha1', kind, metadata: { name: 'sample', ...(isCluster ? {} : { namespace: 'team-a' }), ...metadata }, spec };
}

/** A profile with one attribute per path. */
export function profileSpec(paths: readonly string[], more: Record<string, unknown> = {}) {
  return {
    targetGVK: { group: 'apps', version: 'v1', kind: 'Deployment' },
    ...(paths.length > 0 ? { attributes: paths.map((path, index) => ({ name: `a${index}`, path })) } : {}),
    ...more,
  };
}

export const secretGvk = { version: 'v1', kind: 'Secret' };

/** A PostgreSQL sink. */
export function postgresSpec(more: Record<string, unknown> = {}) {
  return { type: 'postgres', connectionTest: true, postgres: { databaseRef: { name: 'dsn', namespace: 'kollect-system' }, schema: 'public', table: 'inventory_items' }, ...more };
}
