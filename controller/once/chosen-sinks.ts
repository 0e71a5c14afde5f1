import type { LayoutMode } from '../../shared/layout/layout.ts';
import { sinkKinds } from '../../shared/admission/lookups.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import type { KollectEventSinkSpec } from '../../shared/api/kollect-event-sink.ts';
import { sinkBindings, sinkFamilies, type SinkRefLists } from '../../shared/api/sink-ref.ts';
import { KollectError } from '../../shared/errors.ts';
import type { Serialization } from '../../shared/layout/serialization.ts';
import type { AddressPolicy } from '../../shared/net/address-policy.ts';
import type { ScopeJudge } from '../collect/scope-judge.ts';
import { sinkNamespace } from '../inventory/inventory-kind.ts';
import { checkObject } from '../object-check.ts';
import type { Backend, SinkFamily } from '../sinks/contract.ts';
import { openSink, type OpenedSink, type SinkObject } from '../sinks/runtime/open-sink.ts';
import type { ChosenInventory } from './chosen-inventory.ts';
import type { GivenObjects } from './given-objects.ts';
import type { ObjectSource } from './object-source.ts';

/** A sink to export to. */
export interface ChosenSink {
  object: SinkObject;
  maxDocumentBytes: number | undefined;
  /** What is there is ours to replace. */
  isOwn: boolean;
  /** Where its backend is, when the registry has none. */
  load?: () => Promise<Backend>;
}

interface Circumstances {
  given: GivenObjects;
  scopes: ScopeJudge;
  inventory: ChosenInventory;
  policy: AddressPolicy;
  /** Name of the cluster instead of that which sinks have. */
  cluster?: string | undefined;
}

/**
 * The sinks of names such as `database/warehouse` or `snapshot/team-a/history`. Throws `KOL_EXPORT_INPUT` for one that is not given, and what stands against it when its scope, or a rule,
 * refuses it.
 */
export function chosenSinks(names: readonly string[], circumstances: Circumstances): ChosenSink[] {
  return names.map((name) => chosenSink(name, circumstances));
}

/** A folder that is written as a git sink writes. */
export function folderSink(path: string, like: ChosenSink | undefined, { serialization, layout, cluster }: { serialization: Partial<Serialization>; layout: LayoutMode | undefined; cluster: string | undefined }): ChosenSink {
  const spec = like?.object.spec as { serialization?: object; layout?: object } | undefined;
  return {
    object: {
      kind: sinkKinds.snapshot,
      metadata: { name: 'folder', namespace: '' },
      spec: {
        ...like?.object.spec,
        type: 'local',
        endpoint: path,
        serialization: { ...spec?.serialization, ...serialization },
        ...(layout || spec?.layout ? { layout: { ...spec?.layout, ...(layout && { mode: layout }) } } : {}),
        ...(cluster === undefined ? {} : { cluster }),
      },
    },
    maxDocumentBytes: like?.maxDocumentBytes,
    isOwn: true,
    load: async () => (await import('../sinks/local/backend.ts')).local as Backend,
  };
}

/** Throws what the sink runtime throws. */
export async function openChosen({ object, load }: ChosenSink, { source, policy }: { source: ObjectSource; policy: AddressPolicy }): Promise<OpenedSink> {
  return await openSink({ sink: object, readSecret: (namespace, name) => source.readSecret(namespace, name), policy, installation: await source.installation(), ...(load && { load }) });
}

function chosenSink(name: string, { given, scopes, inventory, policy, cluster }: Circumstances): ChosenSink {
  const { object } = inventory;
  const [family, ...rest] = name.split('/');
  const sinkName = rest.at(-1);
  if (!isFamily(family) || sinkName === undefined || rest.length > 2) {
    throw new KollectError('KOL_CONFIG_FLAG', `invalid value ${JSON.stringify(name)} for flag --sink: write the family, then the name, such as database/warehouse or snapshot/team-a/history; families are ${sinkFamilies.join(', ')}`);
  }
  const refs = object === undefined ? [] : sinkBindings(object['spec'] as SinkRefLists);
  const ref = refs.find((known) => known.family === family && known.name === sinkName && (rest.length === 1 || sinkNamespace(object!, known) === rest[0]));
  const namespace = rest.length === 2 ? rest[0]! : object === undefined ? inventory.identity.namespace : sinkNamespace(object, ref ?? {});
  const raw = given.sink(family, namespace, sinkName);
  const kind = sinkKinds[family];
  if (raw === undefined) throw new KollectError('KOL_EXPORT_INPUT', `there is no ${kind} "${sinkName}" in namespace "${namespace}" among the objects`);
  const asking: KubeObject = object ?? { apiVersion: raw.apiVersion, kind: 'KollectInventory', metadata: { name: inventory.identity.name, namespace: inventory.identity.namespace } };
  const denial = scopes.sinkDenial(asking.kind as 'KollectInventory', asking, { family, name: sinkName, ...(asking.metadata.namespace === undefined ? { namespace } : {}) });
  if (denial) throw denial;
  const checked = checkObject<SinkObject>(kind, raw, policy);
  if (!checked.object) throw new KollectError('KOL_SINK_CONFIG', `${kind} "${sinkName}": ${checked.message}`);
  // Who leads numbers such messages, and their readers pass over what a former leader sends.
  if ((checked.object.spec as KollectEventSinkSpec).events?.mode === 'perItem') {
    throw new KollectError('KOL_EXPORT_INPUT', `${kind} "${sinkName}" has a message for each change of a row, which only an operator knows: export to one with spec.events.mode aggregate`);
  }
  const ofInventory = (object?.['spec'] as { maxExportBytes?: number } | undefined)?.maxExportBytes;
  const { spec } = checked.object;
  return { object: cluster === undefined ? checked.object : { ...checked.object, spec: { ...spec, cluster } }, maxDocumentBytes: ref?.maxExportBytes ?? ofInventory, isOwn: false };
}

function isFamily(text: string | undefined): text is SinkFamily {
  return sinkFamilies.some((family) => family === text);
}
