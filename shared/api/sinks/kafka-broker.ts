import { KollectError } from '../../errors.ts';
import { hasScheme, splitUrl } from '../../net/endpoint.ts';

/** One broker of a Kafka cluster. */
export interface KafkaBroker {
  user: string | undefined;
  host: string;
  port: number;
}

const form = 'must be one address; write <host>:9092, an IPv6 address in brackets, and each broker as an item of its own';

/**
 * Reads the address of a broker: `host:port`, with port 9092 when it names none. A scheme such as `kafka://` says nothing; encryption has a field
 * of its own. Throws `KOL_API_ENDPOINT`.
 *
 * @example parseKafkaBroker('kafka.kollect-system.svc:9092') // { host: 'kafka.kollect-system.svc', port: 9092, user: undefined }
 */
export function parseKafkaBroker(address: string): KafkaBroker {
  // The names of Kafka's own protocols are no schemes: a URL has none with "_".
  const text = address.replace(/^sasl_(?=(?:ssl|plaintext):\/\/)/i, '');
  if (text.includes(',') || /^[^[@]*:[^[@/]*:/.test(text)) throw new KollectError('KOL_API_ENDPOINT', form);
  const { scheme, user, host, port = 9092, path, query, fragment } = splitUrl(hasScheme(text) ? text : `kafka://${text}`);
  if (!['kafka', 'plaintext', 'ssl'].includes(scheme)) throw new KollectError('KOL_API_ENDPOINT', `has the scheme ${scheme}; ${form}`);
  if (path.replaceAll('/', '') !== '' || query !== '' || fragment !== '') throw new KollectError('KOL_API_ENDPOINT', form);
  return { user, host, port };
}
