export interface Refusal {
  title: string;
  file: string;
  /** What the message must name, */
  field: string;
  /** and what it must tell to do. */
  fix: RegExp;
  /** The object, where the controller reports the mistake in a status. */
  inStatus?: string;
}

const folder = 'test/sandbox/refused';

/** Mistakes that people make. */
export const refusals: readonly Refusal[] = [
  { title: 'A password in the options of a sink', file: `${folder}/password-in-options.yaml`, field: 'spec.options[password]', fix: /put credentials into a Secret/ },
  { title: 'A cluster target with a namespace', file: `${folder}/target-with-slash.yaml`, field: 'spec.targetRefs[0]', fix: /write only a name/ },
  { title: '21 sinks', file: `${folder}/too-many-sinks.yaml`, field: 'spec: Too many: 21', fix: /spread the sinks over several inventories/ },
  { title: 'A namespace that cannot exist', file: `${folder}/bad-namespace.yaml`, field: 'spec.includedNamespaces[0]', fix: /lower-case letters/ },
  { title: 'A bracket that is not closed', file: `${folder}/policy-typo.yaml`, field: 'spec.resourceRules[0].matchPolicy', fix: /the CEL expression/, inStatus: 'ktgt/policy-typo' },
  { title: 'A slip in an expression', file: `${folder}/cel-typo.yaml`, field: 'spec.attributes[0].path', fix: /did you mean object/ },
];
