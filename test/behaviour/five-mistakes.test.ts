import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { parseAllDocuments, stringify } from 'yaml';
import type { Document } from 'yaml';
import { installPolicies } from '../kollect/installation.ts';
import { startKollect } from './harness.ts';

// A newcomer's file with five mistakes: kubectl names all five, and whoever does what the five lines say, and nothing else, has a file
// that passes.

const kollect = await startKollect({ startController: false });
t.teardown(() => kollect.stop());
await installPolicies(kollect.kubectl);

const profile = `
apiVersion: kollect.dev/v1alpha1
kind: KollectProfile
metadata:
  name: deployments
  namespace: default
spec:
  targetGVK: {group: apps, version: v1, kind: Deployment}
  attributes:
    - name: name
      path: metadata.name
      type: strng
    - name: replicas
      path: object.spec.replicas
    - name: labels
      path: "{.metadata.labels"
  export:
    mode: attributes
`;

const sink = `
apiVersion: kollect.dev/v1alpha1
kind: KollectDatabaseSink
metadata:
  name: inventory
  namespace: default
spec:
  type: postgress
  exportMinInterval: 1d
  options:
    password: hunter2
  serialization:
    format: JSON
  postgres:
    databaseRef:
      name: kollect-system/inventory-postgres-dsn
    table: inventory_items
`;

const pipeline = `
apiVersion: kollect.dev/v1alpha1
kind: KollectTarget
metadata: {name: deployments, namespace: default}
spec:
  profileRef: team-a/deployments
---
apiVersion: kollect.dev/v1alpha1
kind: KollectEventSink
metadata: {name: changes, namespace: default}
spec:
  type: kafka
  kafka:
    brokers: [kafka.kollect-system.svc:9092]
    topic: inventory.changes
  exportMinInterval: 12 hours
---
apiVersion: kollect.dev/v1alpha1
kind: KollectInventory
metadata: {name: deployments, namespace: default}
spec:
  databaseSinkRefs: [inventory, inventory]
---
apiVersion: kollect.dev/v1alpha1
kind: KollectClusterTarget
metadata: {name: deployments}
spec:
  profileRef: {name: deployments, namespace: kollect-system}
  namespaceSelector:
    matchExpressions: [{key: team, operator: in, values: [a]}]
---
apiVersion: kollect.dev/v1alpha1
kind: KollectSnapshotSink
metadata: {name: inventory, namespace: default}
spec:
  type: Git
  endpoint: https://git.example.com/platform/inventory.git
`;

const files: [what: string, text: string, fields: string[]][] = [
  ['a profile', profile, ['spec.attributes[0].path', 'spec.attributes[0].type', 'spec.attributes[1].path', 'spec.attributes[2].path', 'spec.export.mode']],
  ['a sink', sink, ['spec.exportMinInterval', 'spec.options[password]', 'spec.postgres.databaseRef.name', 'spec.serialization.format', 'spec.type']],
  ['five objects', pipeline, ['spec.databaseSinkRefs[1].name', 'spec.exportMinInterval', 'spec.namespaceSelector.matchExpressions[0].operator', 'spec.profileRef', 'spec.type']],
];

for (const [what, text, fields] of files) {
  t.test(`${what} with five mistakes`, async (t) => {
    for (const flags of [[], ['--server-side']]) {
      const first = await apply(t, text, flags);
      t.not(first.code, 0);
      const hints = hintsIn(first.output);
      t.strictSame(hints.map(({ field }) => field).toSorted(), fields, `${flags.join()} names five fields: ${first.output}`);
      t.notMatch(first.output, 'hunter2');
      const second = await apply(t, follow(t, text, hints), flags);
      t.equal(second.code, 0, `${flags.join()} passes: ${second.output}`);
    }
  });
}

interface Hint {
  /** Name of the object's kind when the line says it. */
  kind?: string | undefined;
  field: string;
  text: string;
}

/** What kubectl prints: a line for each field of one object, or for each object of several. */
function hintsIn(output: string): Hint[] {
  return output.split('\n').flatMap((line) => {
    const [, kind] = /(?:denied the request: | cannot be handled as a |Kind=)(Kollect\w+)/.exec(line) ?? [];
    const [, field = '', text = ''] = /^(?:\* |.* is invalid: )(spec\S+): (.*)$/.exec(line) ?? [];
    return field === '' ? [] : [{ kind, field, text }];
  });
}

/** Does what the lines say, without knowing anything of Kollect. */
function follow(t: Test, text: string, hints: readonly Hint[]): string {
  const documents = parseAllDocuments(text) as Document[];
  for (const { kind, field, text: said } of hints) {
    const document = documents.find((candidate) => kind === undefined || candidate.get('kind') === kind);
    const path = field.split(/[.[\]]+/).filter((key) => key !== '').map((key) => (/^\d+$/.test(key) ? Number(key) : key));
    const [, written] = /(?:did you mean|write only a name such as|write|such as) "?([^"\s,?]+|[^"]+(?="))"?/.exec(said) ?? [];
    if (written !== undefined) document?.setIn(path, written);
    // What is twice in a list is the item, whatever part of it is named.
    else if (said.startsWith('Duplicate value')) document?.deleteIn(path.slice(0, path.findLastIndex((key) => typeof key === 'number') + 1));
    else if (/put credentials into a Secret/.test(said)) document?.deleteIn(path);
    else t.fail(`this line does not say what to write: ${field}: ${said}`);
  }
  return documents.map((document) => stringify(document)).join('---\n');
}

async function apply(t: Test, text: string, flags: readonly string[]) {
  const file = join(t.testdir({}), 'mistakes.yaml');
  writeFileSync(file, text);
  const { code, stdout, stderr } = await kollect.kubectl(['apply', '--dry-run=server', ...flags, '-f', file]);
  return { code, output: stdout + stderr };
}
