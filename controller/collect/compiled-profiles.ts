import type { KollectProfile } from '../../shared/api/kollect-profile.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { KollectError } from '../../shared/errors.ts';
import { compileProfile, type CompiledProfile, type CompileProfileOptions } from '../../shared/extract/compile-profile.ts';
import { checkObject } from '../object-check.ts';

/** Profiles, compiled once per generation for all targets that use them. */
export class CompiledProfiles {
  readonly #options: CompileProfileOptions;
  readonly #compiled = new Map<string, { version: string; profile: CompiledProfile | KollectError }>();

  constructor(options: CompileProfileOptions = {}) {
    this.#options = options;
  }

  /** The compiled profile, or why there is none. */
  of(raw: KubeObject): CompiledProfile | KollectError {
    const key = keyOf(raw);
    const version = `${raw.metadata.uid}/${raw.metadata.generation}/${JSON.stringify(raw.metadata.annotations ?? {})}`;
    const known = this.#compiled.get(key);
    if (known?.version === version) return known.profile;
    const profile = this.#compile(raw);
    this.#compiled.set(key, { version, profile });
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

function keyOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}
