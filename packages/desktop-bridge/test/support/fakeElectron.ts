/**
 * Electron's `MessageChannelMain` without Electron, with one end in a window.
 *
 * As in Electron (docs/api/message-port-main.md, shell/browser/api/message_port.cc):
 * the main process's end gives `{ data, ports }`, and keeps what comes until
 * `start`; `close` comes at both ends, in a later task, also at the end that
 * closes; a closed port swallows what is posted. As in a browser (HTML §9.4.4):
 * the window's end gives events, keeps what comes until `start`, and gets
 * `close` only when the other end goes. Values are copied by structured clone,
 * and what cannot be copied throws at the sender.
 */
import { deserialize, serialize } from "node:v8"
import type { BrowserMessagePort } from "../../src/BrowserPort.ts"
import type { MessagePortMain } from "../../src/node/ElectronPort.ts"

interface Side {
  started: boolean
  closed: boolean
  readonly waiting: Array<unknown>
  readonly receive: (data: unknown) => void
  readonly tellClosed: () => void
}

/** Each in a task of its own, in order: what one task posts is received in later ones. */
const later = (task: () => void) => void setImmediate(task)

const deliver = (side: Side, data: unknown) => {
  if (side.closed) return
  if (side.started) side.receive(data)
  else side.waiting.push(data)
}

const start = (side: Side) => {
  side.started = true
  for (const data of side.waiting.splice(0)) later(() => deliver(side, data))
}

/** What cannot be read is told as nothing. */
const read = (copy: Uint8Array): unknown => {
  try {
    return deserialize(copy)
  } catch {
    return undefined
  }
}

const post = (from: Side, to: Side, message: unknown) => {
  const copy = serialize(message)
  if (!from.closed) later(() => deliver(to, read(copy)))
}

const closeBoth = (sides: ReadonlyArray<Side>, told: ReadonlyArray<Side>) => {
  for (const side of told) later(() => later(() => side.tellClosed()))
  for (const side of sides) later(() => void (side.closed = true))
}

export interface FakeChannel {
  readonly main: MessagePortMain
  readonly window: BrowserMessagePort
  /** The window crashes: its end goes without a word of its own. */
  readonly crash: () => void
  /** The main process is gone. */
  readonly quit: () => void
}

export const makeFakeChannel = (): FakeChannel => {
  const onMain = new Map<string, Set<(event: { readonly data: unknown }) => void>>()
  const onWindow = new Map<string, Set<(event: { readonly data?: unknown }) => void>>()
  const emit = <E>(listeners: Map<string, Set<(event: E) => void>>, type: string, event: E) =>
    listeners.get(type)?.forEach((listener) => listener(event))
  const add = <L>(listeners: Map<string, Set<L>>, type: string, listener: L) =>
    void listeners.set(type, (listeners.get(type) ?? new Set()).add(listener))

  const mainSide: Side = {
    started: false,
    closed: false,
    waiting: [],
    receive: (data) => emit(onMain, "message", { data, ports: [] } as { readonly data: unknown }),
    tellClosed: () => emit(onMain, "close", { data: undefined })
  }
  const windowSide: Side = {
    started: false,
    closed: false,
    waiting: [],
    receive: (data) => emit(onWindow, "message", { data }),
    tellClosed: () => emit(onWindow, "close", {})
  }
  const both = [mainSide, windowSide]
  return {
    main: {
      on: (event: "message" | "close", listener: (event: { readonly data: unknown }) => void) =>
        add(onMain, event, listener),
      postMessage: (message) => post(mainSide, windowSide, message),
      start: () => start(mainSide),
      close: () => {
        mainSide.closed = true
        closeBoth(both, both)
      }
    },
    window: {
      addEventListener: (type, listener) => add(onWindow, type, listener),
      postMessage: (message) => post(windowSide, mainSide, message),
      start: () => start(windowSide),
      close: () => {
        windowSide.closed = true
        closeBoth(both, [mainSide])
      }
    },
    crash: () => {
      windowSide.closed = true
      closeBoth(both, [mainSide])
    },
    quit: () => {
      mainSide.closed = true
      closeBoth(both, [windowSide])
    }
  }
}
