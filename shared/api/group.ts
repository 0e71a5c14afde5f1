/** API group and version of every kind. */
export const GROUP = 'kollect.dev';
export const VERSION = 'v1alpha1';
export const API_VERSION = `${GROUP}/${VERSION}`;
