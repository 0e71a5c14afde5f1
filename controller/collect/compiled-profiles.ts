import { allowSecretExtraction } from '../../shared/api/annotations.ts';
import { gvkKey } from '../../shared/api/gvk.ts';
import type { KollectProfile } from '../../shared/api/kollect-profile.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { KollectError } from '../../shared/errors.ts';
import { compileProfile, type CompiledProfile, type CompileProfileOptions } from '../../shared/extract/compile-profile.ts';
import type { GroupVersionKind } from '../../shared/kube/discovery.ts';
import { checkObject } from '../object-check.ts';

/** Profiles, compiled once per generation and kind for all targets that use them. */
export class CompiledProfiles {
  readonly #options: CompileProfileOptions;
  readonly #compiled = new Map<string, { version: string; byUse: Map<string, CompiledProfile | KollectError> }>();

  constructor(options: CompileProfileOptions = {}) {
    this.#options = options;
  }

  /**
   * The compiled profile, or why there is none.
   *
   * @param use kind of the objects that it is to read, when that is another one than it was written for. It has to keep the rules for that kind: what may
   * read the data of Secrets needs consent, which the target may give as well.
   */
  of(raw: KubeObject, use?: { gvk: GroupVersionKind; consents: boolean }): CompiledProfile | KollectError {
    const key = keyOf(raw);
    const version = `${raw.metadata.uid}/${raw.metadata.generation}/${JSON.stringify(raw.metadata.annotations ?? {})}`;
    let known = this.#compiled.get(key);
    if (known?.version !== version) this.#compiled.set(key, (known = { version, byUse: new Map() }));
    const kind = use === undefined ? '' : `${gvkKey(use.gvk)} ${use.consents}`;
    let profile = known.byUse.get(kind);
    if (profile === undefined) known.byUse.set(kind, (profile = this.#compile(use === undefined ? raw : usedFor(raw, use))));
    return profile;
  }

  /** A profile is gone. */
  forget(key: string): void {
    this.#compiled.delete(key);
  }

  #compile(raw: KubeObject): CompiledProfile | KollectError {
    const checked = checkObject<KollectProfile>('KollectProfile', raw);
    if (!checked.object) return new KollectError('KOL_EXTRACT_PATH', checked.message);
    try {
      return compileProfile(checked.object, this.#options);
    } catch (error) {
      if (error instanceof KollectError) return error;
      throw error;
    }
  }
}

function usedFor(raw: KubeObject, { gvk, consents }: { gvk: GroupVersionKind; consents: boolean }): KubeObject {
  const annotations = consents ? { ...raw.metadata.annotations, [allowSecretExtraction]: 'true' } : raw.metadata.annotations;
  return { ...raw, metadata: { ...raw.metadata, annotations }, spec: { ...(raw['spec'] as object), targetGVK: gvk } };
}

function keyOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}
