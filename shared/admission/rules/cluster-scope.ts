import type { KollectClusterScopeSpec } from '../../api/kollect-cluster-scope.ts';
import type { Rule } from '../rule.ts';
import { namespaceList } from './lists.ts';
import { scopeCeilingRules } from './scope-ceiling.ts';

export const clusterScopeRules: readonly Rule<KollectClusterScopeSpec>[] = [
  ...scopeCeilingRules,
  { id: 'static-ref-namespaces', field: 'spec.allowedStaticRefNamespaces[]', asks: 'Must be names of namespaces, each once.', check: ({ spec }, report) => namespaceList('spec.allowedStaticRefNamespaces', spec.allowedStaticRefNamespaces, report) },
];
