/** The contract between OpenCode's main process and its windows, for both sides; it runs in a browser. */
export * from "./BridgeApi.ts"
export * from "./BridgeError.ts"
