import { hash } from 'node:crypto';
import type { Finding } from '../shared/admission/finding.ts';
import type { AccessQuestion } from '../shared/admission/state/access-questions.ts';
import { someOf } from '../shared/admission/state/known-scope.ts';
import { denied } from '../shared/admission/state/state-rule.ts';
import { gvkText } from '../shared/api/gvk.ts';
import { KollectError } from '../shared/errors.ts';
import type { KubeClient } from '../shared/kube/client.ts';
import type { ApiResource, Discovery } from '../shared/kube/discovery.ts';
import { AnswerCache } from './answer-cache.ts';
import type { UserInfo } from './protocol.ts';

export interface AuthorizerOptions {
  client: KubeClient;
  discovery: Discovery;
  /** One SubjectAccessReview came back, or did not. */
  asked?: (result: 'allowed' | 'denied' | 'failed') => void;
  /** Monotonic milliseconds. */
  now?: () => number;
}

/**
 * Asks the API server whether the user who writes an object may do what Kollect will do on behalf of it.
 *
 * @param deadline time of `performance.now()` by which the answer is needed.
 * @returns what refuses the object; nothing when all is allowed. Rejects with `KOL_ADMISSION_LOOKUP` when the API server cannot be asked.
 */
export type Authorizer = (user: UserInfo, questions: readonly AccessQuestion[], deadline: number) => Promise<Finding[]>;

/** The rule by which an object is refused for what its writer may not do. */
const rightsRule = 'writer-rights';

/** No answer of the API server is waited for longer. */
const longestAnswerMs = 3_000;
/** A right that was taken away is used this much longer. Early and late judgement of one request are within it, and so is `kubectl apply` of a folder. */
const allowedForMs = 10_000;
/** Shorter: who was refused and gets the right tries again at once. */
const deniedForMs = 2_000;
/** A few hundred bytes each. */
const maxAnswers = 4_096;
/** Questions of one object that are under way together. */
const parallel = 8;

/** One thing in one place, as a SubjectAccessReview puts it. Without a namespace: in all of them. */
interface Attributes {
  verb: string;
  group: string;
  resource: string;
  name?: string | undefined;
  namespace?: string | undefined;
}

export function createAuthorizer({ client, discovery, asked, now }: AuthorizerOptions): Authorizer {
  const answers = new AnswerCache<boolean>(maxAnswers, now);
  const underWay = new Map<string, Promise<boolean>>();

  const review = async (user: UserInfo, attributes: Attributes): Promise<boolean> => {
    const { username, uid, groups, extra } = user;
    const spec = { user: username, ...(uid === '' ? {} : { uid }), groups, extra, resourceAttributes: { ...attributes, version: '*' } };
    try {
      const body = { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec };
      const { status } = await client.create<{ status?: { allowed?: boolean } }>('/apis/authorization.k8s.io/v1/subjectaccessreviews', body, undefined, AbortSignal.timeout(longestAnswerMs));
      const isAllowed = status?.allowed === true;
      asked?.(isAllowed ? 'allowed' : 'denied');
      return isAllowed;
    } catch (error) {
      asked?.('failed');
      throw error;
    }
  };

  const isAllowed = (user: UserInfo, attributes: Attributes): boolean | Promise<boolean> => {
    const key = keyOf(user, attributes);
    const known = answers.get(key);
    if (known !== undefined) return known;
    const running = underWay.get(key) ?? review(user, attributes).finally(() => underWay.delete(key));
    underWay.set(key, running);
    return running.then((answer) => {
      answers.set(key, answer, answer ? allowedForMs : deniedForMs);
      return answer;
    });
  };

  return async (user, questions, deadline) => {
    try {
      const findings = await before(deadline, (isOver) => inTurn(questions, isOver, (question) => judge(user, question, isOver)));
      return findings.filter((finding) => finding !== undefined);
    } catch (error) {
      throw new KollectError('KOL_ADMISSION_LOOKUP', `the API server cannot be asked what ${JSON.stringify(user.username)} may do: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  };

  async function judge(user: UserInfo, question: AccessQuestion, isOver: () => boolean): Promise<Finding | undefined> {
    const served = 'kind' in question.resource ? await discovery.resolve(question.resource.kind) : undefined;
    // What is not served yet may turn out to be cluster-scoped, and nobody would ask again.
    const mayBeWide = 'kind' in question.resource && question.namespaces.length === 0 && served === undefined;
    const namespaces = served?.namespaced === false || mayBeWide ? 'cluster' : question.namespaces;
    if (namespaces !== 'cluster' && namespaces.length === 0) return undefined;
    const attributes = attributesOf(question, served);
    if (namespaces === 'cluster') return (await isAllowed(user, attributes)) ? undefined : denial(user, question, attributes, served, 'cluster');
    // Mostly one question answers for many namespaces.
    if (namespaces.length > 1 && (await isAllowed(user, attributes))) return undefined;
    const answered = await inTurn(namespaces, isOver, async (namespace) => ((await isAllowed(user, { ...attributes, namespace })) ? undefined : namespace));
    const refused = answered.filter((namespace) => namespace !== undefined);
    return refused.length === 0 ? undefined : denial(user, question, attributes, served, refused);
  }
}

/** What cannot be resolved yet is asked for as everything of its group: who may read all of that may read this, too. */
function attributesOf({ verb, name, resource }: AccessQuestion, served: ApiResource | undefined): Attributes {
  if (!('kind' in resource)) return { verb, name, group: resource.group, resource: resource.plural };
  return { verb, name, group: resource.kind.group, resource: served?.plural ?? '*' };
}

function denial(user: UserInfo, question: AccessQuestion, attributes: Attributes, served: ApiResource | undefined, where: readonly string[] | 'cluster'): Finding {
  const { verb, name, field, resource } = question;
  const what = attributes.group === '' ? attributes.resource : `${attributes.resource}.${attributes.group}`;
  const place = where === 'cluster' ? 'on the whole cluster' : `in ${where.length === 1 ? 'the namespace' : 'the namespaces'} ${someOf(where)}`;
  const unserved = 'kind' in resource && served === undefined ? ` (the API server does not serve ${gvkText(resource.kind)} yet, so the right on all of its group is needed; applied after its CustomResourceDefinition, the right on the kind is enough)` : '';
  const right = where === 'cluster' ? 'a ClusterRole and ClusterRoleBinding' : 'a Role and RoleBinding there';
  const thing = name === undefined ? what : `${what} ${JSON.stringify(name)}`;
  const other = name === undefined ? (where === 'cluster' && served?.namespaced !== false ? 'name namespaces in includedNamespaces that this user may read' : 'collect less') : 'use an object of a namespace that this user may read';
  const detail = `${JSON.stringify(user.username)} may not ${verb} ${thing} ${place}, which Kollect would do for this object${unserved}; grant it by ${right} (${verb} on ${what}), apply the object as a user who may, or ${other}`;
  return { ...denied(field, detail), rule: rightsRule };
}

function keyOf({ username, uid, groups, extra }: UserInfo, { verb, group, resource, name = '', namespace = '' }: Attributes): string {
  const who = [username, uid, groups.toSorted(), Object.entries(extra).toSorted(([a], [b]) => (a < b ? -1 : 1))];
  return hash('sha256', JSON.stringify([who, verb, group, resource, name, namespace]), 'base64');
}

/** In the order of the items, a few at a time; what is not begun when it is over is left. */
async function inTurn<T, R>(items: readonly T[], isOver: () => boolean, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length && !isOver()) {
      const index = next++;
      results[index] = await work(items[index] as T);
    }
  };
  await Promise.all(Array.from({ length: Math.min(parallel, items.length) }, worker));
  return results;
}

/** @param work is told when nobody waits for it any more. */
async function before<R>(deadline: number, work: (isOver: () => boolean) => Promise<R>): Promise<R> {
  const waitMs = Math.max(0, Math.min(longestAnswerMs, deadline - performance.now()));
  const late = Promise.withResolvers<never>();
  let isOver = false;
  const timer = setTimeout(() => late.reject(new Error(`no answer within ${(waitMs / 1000).toFixed(1)} s`)), waitMs);
  try {
    return await Promise.race([work(() => isOver), late.promise]);
  } finally {
    isOver = true;
    clearTimeout(timer);
  }
}
