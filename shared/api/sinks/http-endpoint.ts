import { KollectError } from '../../errors.ts';
import { hasScheme, splitUrl } from '../../net/endpoint.ts';
import type { UrlParts } from '../../net/endpoint.ts';

const form = 'must be an address of http or https, such as https://hooks.example.com/inventory';

/**
 * Reads the address that documents are sent to. Throws `KOL_API_ENDPOINT`.
 *
 * @example parseHttpEndpoint('https://hooks.example.com/inventory').host // 'hooks.example.com'
 */
export function parseHttpEndpoint(text: string): UrlParts {
  if (!hasScheme(text)) throw new KollectError('KOL_API_ENDPOINT', form);
  const url = splitUrl(text);
  if (url.scheme !== 'https' && url.scheme !== 'http') throw new KollectError('KOL_API_ENDPOINT', form);
  return url;
}
