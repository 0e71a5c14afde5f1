/**
 * Whether a subject with wildcards takes another one: `*` stands for one token, `>` for all that follow.
 *
 * @example covers('inventory.>', 'inventory.events') // true
 */
export function covers(pattern: string, subject: string): boolean {
  const tokens = subject.split('.');
  const wanted = pattern.split('.');
  if (wanted.at(-1) === '>') return tokens.length >= wanted.length && wanted.slice(0, -1).every((token, at) => isMet(token, tokens[at]!));
  return tokens.length === wanted.length && wanted.every((token, at) => isMet(token, tokens[at]!));
}

function isMet(wanted: string, token: string): boolean {
  return wanted === '*' || wanted === token;
}
