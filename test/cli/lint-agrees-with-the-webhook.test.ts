import t from 'tap';
import { stringify } from 'yaml';
import { applyJsonPatch } from '../../shared/admission/json-patch.ts';
import type { JsonPatchOperation } from '../../shared/admission/json-patch.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { kindByName } from '../../shared/api/kinds.ts';
import { withSchemaDefaults } from '../../shared/crd/schema-defaults.ts';
import { fileRules } from '../../shared/lint/file-rules.ts';
import { lint } from '../../shared/lint/lint.ts';
import type { LintFinding } from '../../shared/lint/lint.ts';
import { objectSchema } from '../../shared/lint/object-schema.ts';
import { policyOf } from '../admission/judge-vector.ts';
import { allVectors } from '../admission/vectors/all.ts';
import { vectorNamespace, vectorObject } from '../admission/vectors/vector.ts';
import type { Vector } from '../admission/vectors/vector.ts';
import { pathOf, reviewOf, testServer } from '../webhook/harness.ts';
import type { Answer } from '../webhook/harness.ts';

// The same object as a file and as the request to create it: lint says what the webhook says. Files know nothing of what is stored, so the
// request is a creation even where a vector is an update.

/** What is said, in one form for both: severity, field, type and text. */
type Said = string[];

for (const vectors of Map.groupBy(allVectors, ({ kind, installation, cluster }) => JSON.stringify([kind, installation, cluster])).values()) {
  const [first] = vectors;
  if (first === undefined) continue;
  t.test(`${first.kind}${first.cluster === undefined ? '' : `, ${first.name}`}`, async (t) => {
    const { app } = testServer(policyOf(first), { cluster: first.cluster });
    t.teardown(() => app.close());
    const ask = async (phase: 'mutate' | 'validate', object: KubeObject) => {
      const { body } = await app.inject({ method: 'POST', url: pathOf(phase, object.kind), headers: { 'content-type': 'application/json' }, payload: JSON.stringify(reviewOf(object)) });
      return (JSON.parse(body) as Answer).response;
    };
    for (const vector of vectors) {
      const object = await asServed(vector, ask);
      t.strictSame(saidByLint(vector), saidByWebhook(await ask('validate', object)), vector.name);
    }
  });
}

/** What an API server makes of an object before it is validated: null and left out is filled in by the schema, the rest by the webhook. */
async function asServed(vector: Vector, ask: (phase: 'mutate', object: KubeObject) => Promise<Answer['response']>): Promise<KubeObject> {
  const definition = kindByName(vector.kind);
  if (definition === undefined) return vectorObject(vector);
  const complete = (object: KubeObject) => withSchemaDefaults(objectSchema(definition), object) as KubeObject;
  const object = complete(vectorObject(vector));
  const { patch } = await ask('mutate', object);
  return patch === undefined ? object : complete(applyJsonPatch(object, JSON.parse(Buffer.from(patch, 'base64').toString()) as JsonPatchOperation[]));
}

function saidByWebhook({ status, warnings = [] }: Answer['response']): Said {
  const causes = status?.details?.causes ?? [];
  return [...causes.map(({ field, reason, message }) => `error: ${field}: ${reason}: ${message}`), ...warnings.map((text) => `warning: ${text}`)].toSorted();
}

function saidByLint(vector: Vector): Said {
  const { addresses, ...installation } = policyOf(vector);
  const sources = [vectorObject(vector), ...(vector.cluster ?? [])].map((object, index) => ({ name: `${index}.yaml`, text: stringify(object, { version: '1.1' }), isNamed: true }));
  const { findings } = lint(sources, { installation: { addresses, ...installation }, namespace: vectorNamespace });
  return findings.filter(({ file, rule }) => file === '0.yaml' && !Object.hasOwn(fileRules, rule)).map(said).toSorted();
}

/** Warnings are cut where API servers may cut them. */
const maxWarningLength = 256;

function said({ severity, field, type, problem }: LintFinding): string {
  if (severity === 'error') return `error: ${field}: FieldValue${type}: ${problem}`;
  const text = `${field}: ${problem}`;
  return `warning: ${text.length > maxWarningLength ? `${text.slice(0, maxWarningLength - 1)}…` : text}`;
}
