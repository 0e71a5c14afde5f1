import { GROUP, VERSION } from '../api/group.ts';
import type { Column, KindDefinition } from '../api/kind.ts';
import { attachValidations } from './attach-validations.ts';
import { structuralSchema, type StructuralSchema } from './structural-schema.ts';
import { crdValidations } from './validations.ts';

/** A CustomResourceDefinition, as far as we write it. */
export interface CustomResourceDefinition {
  apiVersion: 'apiextensions.k8s.io/v1';
  kind: 'CustomResourceDefinition';
  metadata: { name: string };
  spec: {
    group: string;
    names: { kind: string; listKind: string; plural: string; singular: string; shortNames: string[]; categories: string[] };
    scope: 'Namespaced' | 'Cluster';
    versions: CustomResourceVersion[];
  };
}

export interface CustomResourceVersion {
  name: string;
  served: boolean;
  storage: boolean;
  schema: { openAPIV3Schema: StructuralSchema };
  subresources?: { status: Record<string, never> };
  additionalPrinterColumns: Column[];
}

/** `kubectl get kollect` lists the objects of all kinds. */
const categories = ['kollect'];

/** The CRD of a kind. */
export function customResourceDefinition(definition: KindDefinition): CustomResourceDefinition {
  const { kind, plural, singular, shortNames, scope, status, columns } = definition;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${GROUP}` },
    spec: {
      group: GROUP,
      names: { kind, listKind: `${kind}List`, plural, singular, shortNames: [...shortNames], categories },
      scope,
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: objectSchema(definition) },
          ...(status === undefined ? {} : { subresources: { status: {} } }),
          additionalPrinterColumns: [...columns],
        },
      ],
    },
  };
}

function objectSchema({ kind, description, spec, status }: KindDefinition): StructuralSchema {
  const schema: StructuralSchema = {
    type: 'object',
    description,
    required: ['spec'],
    properties: {
      // The API server describes these three itself.
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
      spec: { description: 'What is wanted.', ...structuralSchema(spec) },
      ...(status === undefined ? {} : { status: { description: 'What was found; written by the controller.', ...structuralSchema(status) } }),
    },
  };
  attachValidations(schema, crdValidations.filter((validation) => validation.kind === kind));
  return schema;
}
