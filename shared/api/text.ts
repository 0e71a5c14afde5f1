import { z } from 'zod';

/**
 * Bounds of what objects may hold, far above any sensible use. They keep hostile objects small, and let the API server see that its CRD rules
 * are cheap.
 */
export const bounds = { text: 4096, name: 253, labelKey: 317, list: 1000, shortList: 100 } as const;

/** A string of any content. */
export const text = z.string().max(bounds.text);

/** A string that has to be there, and to say something. */
export const nonEmpty = text.min(1);

/** The name of an object, a namespace or a label, as it may be written; rules say what it may consist of. */
export const nameText = z.string().max(bounds.name);
export const nonEmptyName = nameText.min(1);

export interface TextRule {
  /** In the common part of the syntaxes of JavaScript and RE2, without backslashes and quotes. */
  pattern: RegExp;
  /** What users have to write, with an example; it follows the name of the field. */
  message: string;
  maxLength: number;
}

/**
 * A string under a rule that is explained. The CRD carries the same rule as CEL (`shared/crd/validations.ts`), for which the API server says the
 * message; of a plain pattern it would only show the expression.
 *
 * @example ruledText({ pattern: /^[a-z]+$/, message: 'must be lower-case letters, such as abc', maxLength: 63 })
 */
export function ruledText({ pattern, message, maxLength }: TextRule): z.ZodString {
  return z
    .string()
    .max(maxLength)
    .refine((text) => pattern.test(text), message);
}

/** Names of namespaces. */
export const dnsLabel: TextRule = {
  pattern: /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/,
  message: 'must be a DNS-1123 label: lower-case letters, digits and "-", beginning and ending with a letter or digit, at most 63 characters',
  maxLength: 63,
};

/** Names of most objects. */
export const dnsSubdomain: TextRule = {
  pattern: /^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/,
  message: 'must be a DNS-1123 subdomain: lower-case letters, digits, "-" and ".", beginning and ending with a letter or digit, at most 253 characters',
  maxLength: 253,
};

export const namespaceRule: TextRule = {
  pattern: dnsLabel.pattern,
  message: 'must be the name of a namespace: lower-case letters, digits and "-", beginning and ending with a letter or digit, such as team-a',
  maxLength: 63,
};

/** The name of a namespace. */
export const namespaceText = ruledText(namespaceRule);
