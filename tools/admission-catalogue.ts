import { rulesOf } from '../shared/admission/rules/registry.ts';
import { stateRulesOf } from '../shared/admission/state/registry.ts';
import { kinds } from '../shared/api/kinds.ts';
import { enforcedByApiServer } from '../shared/crd/validations.ts';

interface CataloguedRule {
  id: string;
  field: string;
  asks: string;
  advises?: true;
}

/** The page that lists every rule of admission, from the rules themselves. */
export function admissionCatalogue(notice: string): string {
  return `<!-- ${notice} -->

# Admission rules

What Kollect asks of its objects, by kind. The webhook refuses what breaks a rule, with all mistakes in one answer; what a rule only advises comes as a
warning with the answer. \`kollect lint\` judges files by the same rules, and the controller exports nothing for an object that breaks one.

The column *API server* says where else a rule, or the part of it that CEL can say, is held, also while the webhook is away: in the validation rules of the CRD, or
in a ValidatingAdmissionPolicy of \`manifests/admission-policy\`. The first rule of each kind is its schema: types, required fields, enumerations and lengths.

Rules that look at other objects follow in a table of their own. The webhook and \`kollect lint\` judge them, as far as they know the other objects.
In addition the webhook asks the API server whether the user may do what the object makes Kollect do: read Secrets of another namespace, write to its sinks, or collect
from it. An installation in tenant mode refuses KollectClusterTarget and KollectClusterInventory.

An update that leaves the spec as it is is never refused for a rule: what it breaks is said in warnings. An object that is being deleted is not judged.

${kinds.map(({ kind }) => section(kind)).join('\n\n')}
`;
}

const schemaRule: CataloguedRule = { id: 'schema', field: 'spec.*', asks: 'Must have the fields, types, values and lengths of the schema.' };

function section(kind: string): string {
  const own = table(kind, [schemaRule, ...rulesOf(kind)]);
  const state = stateRulesOf(kind);
  return `## ${kind}\n\n${own}${state.length === 0 ? '' : `\n\nWith a look at other objects:\n\n${table(kind, state)}`}`;
}

function table(kind: string, rules: readonly CataloguedRule[]): string {
  const rows = rules.map(({ id, field, asks, advises }) => `| \`${id}\` | \`${field}\` | ${asks.replaceAll('|', '\\|')} | ${advises === true ? 'warns' : 'refuses'} | ${enforcedByApiServer(kind, id) ?? ''} |`);
  return ['| Rule | Field | What it asks | When broken | API server |', '|---|---|---|---|---|', ...rows].join('\n');
}
