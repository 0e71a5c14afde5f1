import { DiscardPolicy, JSONCodec, NatsError, type NatsConnection, type StreamInfo } from 'nats';
import { KollectError } from '../../../shared/errors.ts';
import type { ProbeResult } from '../contract.ts';
import { managerOf } from './connection.ts';
import { answers, fullStreamText } from './errors.ts';
import type { NatsSinkSettings } from './settings.ts';
import { findStream, mostBytes, takes, verifyStream } from './stream.ts';
import { covers } from './subject.ts';

/** Verifies what an export needs: login, JetStream, the stream with the subject or the right to create it, and the right to publish. Nothing is written. */
export async function probeStream(client: NatsConnection, settings: NatsSinkSettings): Promise<ProbeResult> {
  const { stream, subject } = settings;
  const manager = await managerOf(client);
  await manager.getAccountInfo();
  const found = await findStream(manager, settings);
  verifyStream(found, settings);
  if (found) verifyRoom(found, settings);
  await verifyPublish(client, settings);
  const isThere = found !== undefined && takes(found, subject);
  if (!isThere) {
    const [other] = await manager.streams.names(subject).next();
    if (other !== undefined) throw new KollectError('KOL_SINK_SCHEMA', `stream ${JSON.stringify(other)} takes subject ${JSON.stringify(subject)} already: name it in spec.nats.stream, or another subject`);
    await verifyCreation(client, settings, `${manager.getOptions().apiPrefix}.STREAM.${found ? 'UPDATE' : 'CREATE'}.${stream}`);
  }
  const most = mostBytes(client, found);
  const state = isThere ? `stream ${JSON.stringify(stream)} takes ${JSON.stringify(subject)}` : `the first export will ${found ? `add ${JSON.stringify(subject)} to` : 'create'} stream ${JSON.stringify(stream)}`;
  const way = client.info?.tls_required || client.info?.tls_available ? 'TLS' : 'without TLS';
  return { message: `NATS ${client.info?.version ?? ''} with JetStream, ${way}: login succeeded, ${state}, messages have at most ${most} bytes`, isPassing: !isThere };
}

/** The server would refuse the next message, unless it makes room by removing old ones. */
function verifyRoom({ config, state }: StreamInfo, { stream, title }: NatsSinkSettings): void {
  const reaches = (value: number, most: number): boolean => most > 0 && value >= most;
  if (config.discard !== DiscardPolicy.New || !(reaches(state.messages, config.max_msgs) || reaches(state.bytes, config.max_bytes))) return;
  throw new KollectError('KOL_SINK_UNAVAILABLE', `${fullStreamText(stream)} (${title})`);
}

/** A request whose name is not the one that it asks about is refused in any case: as such, or before that because the user may not ask. */
async function verifyCreation(client: NatsConnection, settings: NatsSinkSettings, question: string): Promise<void> {
  const { data } = await client.request(question, JSONCodec().encode({ name: `${settings.stream}_of_another_name`.slice(-255) }), { timeout: 5_000 });
  const { error } = JSONCodec<{ error?: { code: number; err_code: number; description: string } }>().decode(data);
  if (error && error.err_code !== answers.streamMismatch) throw Object.assign(new NatsError(error.description, String(error.code)), { api_error: error });
}

interface Grants {
  allow?: readonly string[];
  deny?: readonly string[];
}

/** Servers from 2.9.15 on tell a user what it may do, unless it may not even ask. */
async function verifyPublish(client: NatsConnection, { subject, title }: NatsSinkSettings): Promise<void> {
  const answer = await client.request('$SYS.REQ.USER.INFO', undefined, { timeout: 2_000 }).catch(() => undefined);
  const told = answer && JSONCodec<{ data?: { permissions?: { publish?: Grants } } }>().decode(answer.data);
  const grants = told?.data?.permissions?.publish;
  const isIn = (patterns: readonly string[] | undefined): boolean => (patterns ?? []).some((pattern) => covers(pattern, subject));
  if (!grants || ((grants.allow === undefined || isIn(grants.allow)) && !isIn(grants.deny))) return;
  throw new KollectError('KOL_SINK_AUTH', `the user may not publish to ${subject}: let it publish to ${subject} (${title})`);
}
