import type { z } from 'zod';
import type { SinkFamily } from './sink-ref.ts';
import type { compressions, serializationFormats } from './sink-common.ts';
import * as registry from './sinks/registry.ts';

export type SerializationFormat = (typeof serializationFormats)[number];

/** What schemas, rules of admission, CRDs and the documentation need to know of a type of sink. */
export interface SinkTypeFacts {
  family: SinkFamily;
  /** Field of the spec with its settings, and whether the type needs it. */
  block: string;
  isBlockRequired: boolean;
  /** Of the block, and what is said about it. */
  settings: z.ZodObject;
  about: string;
  /** Formats it can write, the one that is taken when none is named first. */
  formats: readonly [SerializationFormat, ...SerializationFormat[]];
  /** How it can compress what it writes. */
  compressions: readonly (typeof compressions)[number][];
  /** Keys of `options` that it reads. */
  options: readonly string[];
  /** Whether it lays out files. */
  hasLayout: boolean;
  /** Whether this version exports to it. */
  isBuilt: boolean;
}

type Registry = typeof registry;
export type SinkType = keyof Registry;
type TypeOf<F extends SinkFamily> = { [T in SinkType]: Registry[T]['family'] extends F ? T : never }[SinkType];
type BlocksOf<F extends SinkFamily> = { [T in TypeOf<F> as Registry[T]['block']]: z.ZodOptional<Registry[T]['settings']> };

export const sinkTypes: Readonly<Record<SinkType, SinkTypeFacts>> = registry;

/** The facts of `spec.type`; undefined for what is no type. */
export function sinkTypeFacts(type: string | undefined): SinkTypeFacts | undefined {
  return type !== undefined && Object.hasOwn(sinkTypes, type) ? sinkTypes[type as SinkType] : undefined;
}

/** What `spec.type` of a family may be. */
export function typesOf<F extends SinkFamily>(family: F): TypeOf<F>[] {
  return (Object.keys(sinkTypes) as SinkType[]).filter((type): type is TypeOf<F> => sinkTypes[type].family === family);
}

/** The fields with the settings of the types of a family. */
export function blocksOf<F extends SinkFamily>(family: F): BlocksOf<F> {
  const blocks = typesOf(family).map((type: SinkType) => [sinkTypes[type].block, sinkTypes[type].settings.optional().meta({ description: sinkTypes[type].about })]);
  return Object.fromEntries(blocks) as BlocksOf<F>;
}
