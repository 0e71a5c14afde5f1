import { isDeepStrictEqual } from 'node:util';
import { Agent } from 'node:https';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import type { Test } from 'tap';
import { applyJsonPatch } from '../../shared/admission/json-patch.ts';
import type { JsonPatchOperation } from '../../shared/admission/json-patch.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { pathOf, post, reviewOf, testServer } from '../webhook/harness.ts';
import type { Answer } from '../webhook/harness.ts';
import { policyOf, withDefaultsOfSchema } from './judge-vector.ts';
import { allVectors } from './vectors/all.ts';
import { secretWord, storedObject, vectorObject } from './vectors/vector.ts';
import type { Vector } from './vectors/vector.ts';

type Ask = (phase: 'mutate' | 'validate', object: KubeObject) => Promise<Answer['response']>;

const agent = new Agent({ keepAlive: true, maxSockets: 4 });
t.teardown(() => agent.destroy());

for (const vectors of Map.groupBy(allVectors, ({ kind, installation, cluster }) => JSON.stringify([kind, installation, cluster])).values()) {
  const [first] = vectors;
  if (first === undefined) continue;
  t.test(`${first.kind}${first.cluster === undefined ? '' : `, ${first.name}`}: as the API server asks, over TLS`, async (t) => {
    const { app, authority, lines } = testServer(policyOf(first), { cluster: first.cluster });
    await app.listen({ port: 0, host: '127.0.0.1' });
    t.teardown(() => app.close());
    const { port } = app.server.address() as AddressInfo;
    for (const [index, vector] of vectors.entries()) {
      const stored = storedObject(vector);
      const old = stored === undefined ? null : withDefaultsOfSchema(stored);
      let calls = 0;
      const ask: Ask = async (phase, object) => {
        const uid = `${index}-${calls++}`;
        const body = JSON.stringify(reviewOf(object, { uid, operation: old === null ? 'CREATE' : 'UPDATE', oldObject: old }));
        const answer = await post({ port, path: pathOf(phase, vector.kind), body, agent, ca: authority.certificate });
        t.equal(answer.status, 200, `${vector.name}: ${phase} answers`);
        t.notOk(answer.body.includes(secretWord), `${vector.name}: ${phase} keeps the secret`);
        const review = JSON.parse(answer.body) as Answer;
        t.match(review, { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: { uid } }, `${vector.name}: ${phase} answers this review`);
        return review.response;
      };
      const object = await fillIn(t, vector, ask);
      if (vector.stored !== undefined) t.has(object['spec'], vector.stored, `${vector.name}: stored`);
      expectJudgement(t, vector, object, await ask('validate', object));
    }
    t.notOk(JSON.stringify(lines).includes(secretWord), 'the log keeps the secrets');
  });
}

/** The object after the mutating webhook: a patch comes only when it changes something, and only once. */
async function fillIn(t: Test, vector: Vector, ask: Ask): Promise<KubeObject> {
  const object = withDefaultsOfSchema(vectorObject(vector));
  const response = await ask('mutate', object);
  t.equal(response.allowed, true, `${vector.name}: filling in refuses nothing`);
  t.equal(response.patch === undefined, response.patchType === undefined, `${vector.name}: a patch and its type, or neither`);
  if (response.patch === undefined) return object;
  t.equal(response.patchType, 'JSONPatch');
  const patched = applyJsonPatch(object, JSON.parse(Buffer.from(response.patch, 'base64').toString()) as JsonPatchOperation[]);
  t.notOk(isDeepStrictEqual(patched, object), `${vector.name}: the patch changes something`);
  t.equal((await ask('mutate', patched)).patch, undefined, `${vector.name}: nothing is left to fill in`);
  return withDefaultsOfSchema(patched);
}

function expectJudgement(t: Test, { name, kind, errors = [], warnings = [], says = [], code = 422 }: Vector, object: KubeObject, response: Answer['response']): void {
  const { status } = response;
  const said = [status?.message ?? '', ...(response.warnings ?? [])].join('\n');
  const refused = errors.length > 0;
  t.equal(response.allowed, !refused, `${name}: ${refused ? 'refused' : 'admitted'}\n${said}`);
  t.equal(response.patch, undefined, `${name}: judging changes nothing`);
  t.same((response.warnings ?? []).map((text) => text.slice(0, text.indexOf(': '))), warnings, `${name}: warnings`);
  for (const text of says) t.match(said, text, `${name}: says ${String(text)}`);
  if (!refused) return void t.equal(status, undefined, `${name}: nothing to say but warnings`);

  t.match(status, { status: 'Failure', code, reason: code === 403 ? 'Forbidden' : 'Invalid' }, `${name}: as what it is refused`);
  t.ok(status?.message.startsWith(`${kind}.kollect.dev "${object.metadata.name}" is `), `${name}: names the object: ${status?.message}`);
  t.same(status?.details?.causes.map(({ field }) => field), errors, `${name}: causes\n${said}`);
  t.match(status?.details, { name: object.metadata.name, kind, group: 'kollect.dev' }, `${name}: details`);
  for (const { field, message, reason } of status?.details?.causes ?? []) {
    t.ok(status?.message.includes(`${field}: ${message}`), `${name}: the message holds each cause`);
    t.match(reason, /^FieldValue(Required|Invalid|NotSupported|Duplicate|Forbidden|TooMany)$/, `${name}: ${field}`);
  }
}
