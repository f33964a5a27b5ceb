/** The Connections window as a component that a host can mount. */
export { mount } from "./mount.tsx"
export type { ConnectionNews, WindowOptions } from "./Window.ts"
