/** The main process's side of the bridge, for Electron, Node (>= 22.19) and Bun. */
export * from "./ElectronPort.ts"
export * as MainRuntime from "./MainRuntime.ts"
export * from "./NodePort.ts"
export * as WebSocketServer from "./WebSocketServer.ts"
