import { rulesOf } from '../shared/admission/rules/registry.ts';
import { stateRulesOf } from '../shared/admission/state/registry.ts';
import { kinds } from '../shared/api/kinds.ts';
import { enforcedByApiServer, heldInPart } from '../shared/crd/validations.ts';

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

What Kollect asks of its objects, by kind. What breaks a rule that *refuses* is turned away with all mistakes in one answer, each with its field, what is wrong
and what to write instead; what breaks one that *warns* is stored, and the warning comes with the answer. \`kollect lint\` judges files by the same rules, and the
controller by those that need no other object: what was stored without the webhook and breaks one is named in the status, and nothing is exported for it.

The first rule of each kind is its schema: types, required fields, enumerations and lengths. The column *API server* says where a rule, or *in part* what CEL
can say of it, is held as well while the webhook is away: in the validation rules of the CRD, or in a ValidatingAdmissionPolicy of \`manifests/admission-policy\`.

Rules that look at other objects follow in a table of their own. They are asked once nothing is wrong with the object itself, and know what the webhook watches, or what
\`kollect lint\` is given. Last, the webhook asks the API server whether the user may do what the object makes Kollect do: read Secrets of another namespace, write to
its sinks, or collect from it ([Admission](admission.md)). An installation in tenant mode takes no KollectClusterTarget and no KollectClusterInventory. Where nothing but
a scope, these rights or tenant mode refuses an object, the code is 403, else 422.

What is stored and broke no rule at its time can always be labelled, annotated and released: an update that leaves alone the spec and the annotations that consent to more is
warned, not refused. Tenant mode alone knows no such exception. An object that is being deleted is not judged.

${kinds.map(({ kind }) => section(kind)).join('\n\n')}
`;
}

const schemaRule: CataloguedRule = { id: 'schema', field: 'spec.*', asks: 'Must have the fields, types, values and lengths of the schema.' };

function section(kind: string): string {
  const own = table(kind, [schemaRule, ...rulesOf(kind)]);
  const state = stateRulesOf(kind);
  return `## ${kind}\n\n${own}${state.length === 0 ? '' : `\n\nWith a look at other objects:\n\n${table(kind, state)}`}`;
}

function heldBy(kind: string, rule: string): string {
  const where = enforcedByApiServer(kind, rule);
  return where === undefined ? '' : heldInPart.has(rule) ? `${where}, in part` : where;
}

function table(kind: string, rules: readonly CataloguedRule[]): string {
  const rows = rules.map(({ id, field, asks, advises }) => `| \`${id}\` | \`${field}\` | ${asks.replaceAll('|', '\\|')} | ${advises === true ? 'warns' : 'refuses'} | ${heldBy(kind, id)} |`);
  return ['| Rule | Field | What it asks | When broken | API server |', '|---|---|---|---|---|', ...rows].join('\n');
}
