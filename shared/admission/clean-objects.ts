import { Recent } from '../recent.ts';

/** An object at one time. */
export interface ObjectForm {
  /** Which object it is. */
  identity: string;
  /** All that rules may know of it. */
  content: string;
}

/** Objects of these kinds have a few thousand characters; larger ones are judged each time. */
const maxCharacters = 8192;

/**
 * Remembers objects that there was nothing to say about, each in its last form. An object is judged before and after the API server's own rules, and
 * again at each dry run and each apply that changes nothing; to recognise it costs a fraction of judging it.
 *
 * It compares all that rules may know of an object, so that none passes for another; flags of the installation are no part of that.
 */
export class CleanObjects {
  readonly #contents: Recent<string, string>;

  /** A hundred are forgotten before the garbage collector takes them for things that stay. */
  constructor(limit = 100) {
    this.#contents = new Recent(limit);
  }

  recognises({ identity, content }: ObjectForm): boolean {
    return this.#contents.get(identity) === content;
  }

  remember({ identity, content }: ObjectForm): void {
    if (content.length + identity.length <= maxCharacters) this.#contents.set(identity, content);
  }
}
