import { GROUP, VERSION } from '../api/group.ts';
import type { KindDefinition } from '../api/kind.ts';
import { structuralSchema } from './structural-schema.ts';

/** The CustomResourceDefinition of a kind. */
export function customResourceDefinition(kind: KindDefinition): object {
  const properties: Record<string, unknown> = {
    apiVersion: { type: 'string', description: 'Version of the schema that the object is written in.' },
    kind: { type: 'string', description: 'Kind of the object.' },
    metadata: { type: 'object' },
    spec: { description: 'What is wanted.', ...structuralSchema(kind.spec) },
  };
  if (kind.status) properties['status'] = { description: 'What is, written by the controller.', ...structuralSchema(kind.status) };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${kind.plural}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: kind.scope,
      names: {
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural: kind.plural,
        singular: kind.singular,
        shortNames: kind.shortNames,
        categories: ['kollect'],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', description: kind.description, required: ['spec'], properties } },
          ...(kind.status ? { subresources: { status: {} } } : {}),
          additionalPrinterColumns: kind.columns,
        },
      ],
    },
  };
}
