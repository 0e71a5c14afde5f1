import type { SharedResources } from '../contract.ts';

/** Resources counted by their users: the first creates, the last closes. */
export class CountedResources implements SharedResources {
  readonly #entries = new Map<string, { value: { close(): Promise<void> }; users: number }>();

  lease<T extends { close(): Promise<void> }>(key: string, create: () => T): { value: T; release(): Promise<void> } {
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = { value: create(), users: 0 };
      this.#entries.set(key, entry);
    }
    const held = entry;
    held.users++;
    let released = false;
    return {
      // Only the backend that owns the key's prefix creates it, always with the same type.
      value: held.value as T,
      release: async () => {
        if (released) return;
        released = true;
        held.users--;
        if (held.users > 0) return;
        this.#entries.delete(key);
        await held.value.close();
      },
    };
  }

  /** Resources in use. */
  get size(): number {
    return this.#entries.size;
  }
}
