import { loginShape, secretAddress, secretEnds, secretLastWords, secretParts, secretWords, settingShape, tokenShape } from '../../admission/credentials.ts';
import type { Policy } from '../policy.ts';

const between = '[^a-z0-9]*';
/** Letters of a word with anything between them that is no letter or digit: `api_key`, `api-key`, `apikey`. */
const apart = (pattern: RegExp) => pattern.source.replaceAll(/[a-z]/g, `$&${between}`);
const alone = `(^|[^a-z0-9])(${[...secretWords].join('|')})($|[^a-z0-9])|(^|[^a-z0-9])(${[...secretLastWords].join('|')})${between}$`;

/** `dbPass`, not `passThrough`. */
const last = `[a-z0-9](${[...secretWords, ...secretLastWords].flatMap((word) => [`${word[0]?.toUpperCase()}${word.slice(1)}`, word.toUpperCase()]).join('|')})${between}$`;

const isSecretLike = `(k.trim().lowerAscii().matches(r'${apart(secretParts)}|${apart(secretEnds)}|${alone}') || k.trim().matches(r'${last}'))`;
const credential = [
  String.raw`://[^\s/@:]*:[^\s/@]+@`,
  '-----BEGIN ',
  `(?i:${settingShape.source}|${loginShape.source}|${secretAddress.source})`,
  String.raw`(^|[\s=,;])[^\s/@:]+:[^\s/@]+@(tcp|unix)[(]`,
  tokenShape.source,
].join('|');
const holdsCredential = `variables.options[k].matches(r'${credential}')`;
/** Messages go to audit logs. */
const shownKey = `(k.matches(r'${credential}') ? '***' : k)`;

const fieldsWhere = (condition: string) => `variables.options.filter(k, ${condition}).map(k, 'spec.options[' + ${shownKey} + ']')`;

/** CRD rules cannot afford maps of any size. */
export const sinkOptions: Policy = {
  name: 'kollect-sink-options',
  description: 'Options of sinks hold no credentials.',
  kinds: ['KollectSnapshotSink', 'KollectDatabaseSink', 'KollectEventSink'],
  variables: { options: 'has(object.spec.options) ? object.spec.options : {}' },
  findings: [
    { rule: 'option-keys', fields: fieldsWhere(isSecretLike), says: 'options are stored in plain text; put credentials into a Secret and name it in secretRef or databaseRef' },
    { rule: 'option-values', fields: fieldsWhere(`!${isSecretLike} && ${holdsCredential}`), says: 'the value holds a credential; put it into a Secret and name it in secretRef or databaseRef' },
  ],
  unchanged: 'has(oldObject.spec.options) && oldObject.spec.options == variables.options',
};
