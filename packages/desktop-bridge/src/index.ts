/** The contract between OpenCode's main process and its windows, for both sides; it runs in a browser. */
export * from "./BridgeApi.ts"
export * from "./BridgeError.ts"
export * from "./BrowserPort.ts"
export * from "./Link.ts"
export * as MemoryPort from "./MemoryPort.ts"
export * as MessagePortRpc from "./MessagePortRpc.ts"
export type * from "./Port.ts"
export * as WebSocketRpc from "./WebSocketRpc.ts"
