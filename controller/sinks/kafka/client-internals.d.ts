// Parts of the client that it has no types for. They are imported, so that a bundle holds them once.
declare module 'kafkajs/src/network/connection.js' {
  const value: unknown;
  export default value;
}
declare module 'kafkajs/src/network/requestQueue/index.js' {
  const value: unknown;
  export default value;
}
