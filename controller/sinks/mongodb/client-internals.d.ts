// Parts of the client that it has no types for. They are imported, so that a bundle holds them once.
declare module 'mongodb/lib/cmap/commands.js' {
  const value: unknown;
  export default value;
}
declare module 'mongodb/lib/utils.js' {
  const value: unknown;
  export default value;
}
