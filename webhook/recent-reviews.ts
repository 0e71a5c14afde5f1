import { Recent } from '../shared/recent.ts';
import type { AdmissionRequest, AdmissionResponse } from './protocol.ts';

/** How the API server begins every review. */
const beginning = '{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"';
/** Of a UUID. */
const uidLength = 36;
/** Some times what objects of these kinds have; what is larger is judged each time. */
const maxCharacters = 8192;
/** Of one webhook, so that all of them together hold some 20 MB at most and 2 MB usually. */
const maxReviews = 100;

/** Where the name of the object begins: what precedes it tells of kinds, and is the same in all reviews of a webhook. */
const nameMark = '"name":"';
/** Most names and namespaces; whoever shares this much takes the place of the other. */
const keyLength = 80;

/** A review that was answered before. */
interface Answered {
  /** All that followed its uid. */
  rest: string;
  operation: string;
  response: AdmissionResponse;
  /** What was known of other objects then. */
  revision: number;
}

/** A review as it came, split so that it can be compared with others. */
interface SplitReview {
  uid: string;
  /** Name and namespace of the object, as far as they are short: comparing all of the text is cheap, hashing it is not. */
  key: string;
  /** All that follows the uid. */
  rest: string;
}

/**
 * Remembers the last admitted reviews of a webhook, one of each object, word for word, with their answers. Tools that compare a cluster with a repository apply on the
 * server what did not change, or try it, every few minutes: an update whose old and new object are those of the last time is answered without being read. A client-side
 * apply gains nothing: it sends nothing where nothing changed, and each creation has a uid and a time of its own.
 *
 * An answer follows from the review and from what is known of other objects, so it holds as long as that stays as it is. What needed to ask the API
 * server is not remembered; neither is a denial, which is logged with its uid.
 */
export class RecentReviews {
  readonly #answered = new Recent<string, Answered>(maxReviews);
  readonly #revision: () => number | undefined;

  /** @param revision changes whenever anything changes that answers follow from; undefined as long as that is not known. */
  constructor(revision: () => number | undefined) {
    this.#revision = revision;
  }

  /** The answer to a review that differs from an earlier one in its uid alone. */
  recall({ uid, key, rest }: SplitReview): { operation: string; response: AdmissionResponse } | undefined {
    const answered = this.#answered.get(key);
    if (answered === undefined || answered.rest !== rest || answered.revision !== this.#revision()) return undefined;
    return { operation: answered.operation, response: { ...answered.response, uid } };
  }

  /** To be called in the turn in which the answer was found. */
  remember({ uid, key, rest }: SplitReview, { uid: read, operation }: AdmissionRequest, response: AdmissionResponse): void {
    const revision = this.#revision();
    // A uid that is written twice could be another one the next time.
    if (revision === undefined || !response.allowed || read !== uid || rest.includes(uid)) return;
    this.#answered.set(key, { rest, operation, response, revision });
  }
}

/** Undefined for a body that the API server does not write so, and for a large one. */
export function splitReview(text: string): SplitReview | undefined {
  const end = beginning.length + uidLength;
  if (text.length > maxCharacters || !text.startsWith(beginning) || text[end] !== '"') return undefined;
  const name = text.indexOf(nameMark, end);
  return { uid: text.slice(beginning.length, end), key: text.slice(name, name + keyLength), rest: text.slice(end) };
}
