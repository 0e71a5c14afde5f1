import { parseDuration } from '../../api/duration.ts';
import type { KollectEventSinkSpec } from '../../api/kollect-event-sink.ts';
import type { natsOptions } from '../../api/sinks/nats.ts';
import { parseNatsServers } from '../../api/sinks/nats-servers.ts';
import { holdsCredential, unlessCredential } from '../credentials.ts';
import { invalid, required, warning } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Rule, RuleInput } from '../rule.ts';
import { allowedHosts, holdsPassword, notLocal, noUser, readable } from './endpoint.ts';
import { secretReference } from './names.ts';
import { effectless } from './sink.ts';
import { isSet } from '../../values.ts';

type Input = RuleInput<KollectEventSinkSpec>;

export const natsRules: readonly Rule<KollectEventSinkSpec>[] = [
  { id: 'nats-servers', field: 'spec.nats.url', asks: 'Must say which servers to connect to, unless spec.endpoint does.', check: servers },
  { id: 'nats-server-form', field: 'spec.nats.url', asks: 'Must be nats://<host>:<port>, several separated by commas.', check: overServers(({ field, text }, report) => readable(field, text, parseNatsServers, report)) },
  { id: 'nats-server-is-remote', field: 'spec.nats.url', asks: 'Must not be a file or folder.', check: overServers(({ field, text }, report) => notLocal(field, text, report)) },
  { id: 'nats-server-host', field: 'spec.nats.url', asks: 'Must not point to loopback, link-local or metadata addresses, nor to private ones where the installation refuses them.', check: overServers(({ field, text, addresses }, report) => allowedHosts(field, text, parseNatsServers, addresses, report)) },
  { id: 'nats-server-credentials', field: 'spec.nats.url', asks: 'Must hold no user, password or token.', check: serverCredentials },
  { id: 'nats-subject', field: 'spec.nats.subject', asks: 'Must be a subject that can be published to.', check: subject },
  { id: 'nats-stream', field: 'spec.nats.stream', asks: 'Must be the name of a stream that JetStream can have.', check: stream },
  { id: 'nats-stream-dots', field: 'spec.nats.stream', asks: 'Dots in the name of a stream become "_".', advises: true, check: streamDots },
  { id: 'nats-options', field: 'spec.options', asks: 'What a stream is created with must be something that JetStream can have.', check: created },
  { id: 'nats-secret-ref', field: 'spec.nats.secretRef', asks: 'Must name a Secret.', check: ({ spec }, report) => secretReference('spec.nats.secretRef', spec.nats?.secretRef, report) },
  effectless('nats-endpoint', 'spec.endpoint', 'Has no effect beside spec.nats.url.', ({ spec }) => (spec.type === 'nats' && isSet(spec.endpoint) && isSet(spec.nats?.url) ? 'spec.nats.url names the servers; remove this field' : undefined)),
];

interface Servers extends Pick<Input, 'addresses'> {
  field: string;
  text: string;
}

/** The servers, and the field that names them. */
function serversOf({ spec, addresses }: Input): Servers | undefined {
  if (spec.type !== 'nats') return undefined;
  if (isSet(spec.nats?.url)) return { field: 'spec.nats.url', text: spec.nats?.url ?? '', addresses };
  return isSet(spec.endpoint) ? { field: 'spec.endpoint', text: spec.endpoint ?? '', addresses } : undefined;
}

function overServers(check: (servers: Servers, report: Report) => void) {
  return (input: Input, report: Report) => {
    const found = serversOf(input);
    if (found !== undefined) check(found, report);
  };
}

function servers(input: Input, report: Report): void {
  if (input.spec.type === 'nats' && input.spec.nats !== undefined && serversOf(input) === undefined) report(required('spec.nats.url', 'write the servers to connect to, such as nats://nats.example.com:4222'));
}

/** A user alone is what NATS takes for a token. */
function serverCredentials({ spec }: Input, report: Report): void {
  noUser('spec.nats.url', spec.nats?.url ?? '', report);
  // One with a password is refused as that of every sink is.
  if (spec.type === 'nats' && !holdsPassword(spec.endpoint ?? '')) noUser('spec.endpoint', spec.endpoint ?? '', report);
}

/** Characters that mean something to NATS, or that its protocol cannot carry. */
function subject({ spec }: Input, report: Report): void {
  const name = spec.nats?.subject;
  if (name === undefined) return;
  const field = 'spec.nats.subject';
  if (name.trim() === '') report(required(field, 'write the subject to publish to, such as inventory.events'));
  else if (/[\s\p{Cc}\p{Cf}]/u.test(name)) report(invalid(field, name, 'must not contain blanks or control characters; write for example inventory.events'));
  else if (/[*>]/.test(name)) report(invalid(field, name, 'must not contain the wildcards "*" and ">": only one subject can be published to'));
  else if (name.split('.').includes('')) report(invalid(field, name, 'must have no "." at its ends, and none twice in a row'));
  else if (name.startsWith('$') || /^_INBOX(?:\.|$)/.test(name)) report(invalid(field, name, 'must not begin with "$" or "_INBOX", which belong to NATS itself'));
  else if (name.length > maxNameLength) report(invalid(field, name, `must have at most ${maxNameLength} characters`));
}

/** What servers take by default, for subjects and for streams. */
const maxNameLength = 255;

function stream({ spec }: Input, report: Report): void {
  const name = spec.nats?.stream ?? '';
  if (name.trim() === '') return;
  if (/[\s*>/\\\p{Cc}\p{Cf}]/u.test(name) || name.length > maxNameLength) report(invalid('spec.nats.stream', name, `must have at most ${maxNameLength} characters, without blanks, "*", ">", "/" and "\\", such as kollect_events`));
}

function created({ spec }: Input, report: Report): void {
  if (spec.type !== 'nats') return;
  for (const [name, isValid, wish] of createdOptions) {
    const value = spec.options?.[name];
    // A credential is refused as such.
    if (value !== undefined && !isValid(value.trim()) && !holdsCredential(value)) report(invalid(`spec.options[${name}]`, value, wish));
  }
}

const createdOptions: readonly [name: (typeof natsOptions)[number], isValid: (value: string) => boolean, wish: string][] = [
  ['storage', (value) => value === 'file' || value === 'memory', 'must be file or memory'],
  ['replicas', (value) => /^[1-5]$/.test(value), 'must be a number from 1 to 5'],
  ['maxAge', (value) => isAge(value), 'must be a duration of 100ms or more, such as 72h, or 0s for no limit'],
];

/** Servers take no shorter one. */
function isAge(value: string): boolean {
  try {
    const ms = parseDuration(value);
    return ms === 0 || ms >= 100;
  } catch {
    return false;
  }
}

function streamDots({ spec }: Input, report: Report): void {
  const name = spec.nats?.stream ?? '';
  if (name.includes('.')) report(warning('spec.nats.stream', `a stream cannot have dots in its name${unlessCredential(name, `: it will be ${JSON.stringify(name.slice(0, 100).replaceAll('.', '_'))}`)}`));
}
