/**
 * What a window may send, judged before anything acts on it: a message must be
 * JSON, of bounded size and depth, and one of the four messages of the protocol.
 */
import type { FromClientEncoded } from "effect/rpc/RpcMessage"
import type { Limits } from "../TransportLimits.ts"

/** A message that is in order, and its size in bytes, about. */
export interface Incoming {
  readonly message: FromClientEncoded
  readonly bytes: number
}

/** Characters of a call's name and of its id; ours have some 10. An unknown name is sent back with the error. */
const nameLength = 128

/** The message in a form that holds nothing but what was looked at; `undefined` when it is none. */
export const readIncoming = (value: unknown, limits: Limits): Incoming | undefined => {
  const bytes = measure(value, limits)
  if (bytes === undefined || typeof value !== "object" || value === null) return undefined
  const message = readMessage(value)
  return message && { message, bytes }
}

/**
 * Headers and trace ids are left out: who a window is says its port, and its
 * traces are its own. So is the mark of a call whose answer does not interest:
 * its answer is how we know that it has ended.
 */
const readMessage = (value: object): FromClientEncoded | undefined => {
  const get = (key: string): unknown => Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined
  switch (get("_tag")) {
    case "Request": {
      const id = get("id")
      const tag = get("tag")
      if (!isId(id) || typeof tag !== "string" || tag.length > nameLength || get("isNotification") !== undefined) {
        return undefined
      }
      return { _tag: "Request", id, tag, payload: get("payload"), headers: [] }
    }
    case "Ack":
    case "Interrupt": {
      const requestId = get("requestId")
      return isId(requestId) ? { _tag: get("_tag") as "Ack" | "Interrupt", requestId } : undefined
    }
    case "Ping":
      return { _tag: "Ping" }
    default:
      return undefined
  }
}

const isId = (value: unknown): value is string | number =>
  typeof value === "string" ? value.length <= nameLength : Number.isSafeInteger(value)

/** Bytes that a value takes beside its text. */
const overhead = 8

/**
 * The size of a JSON value in bytes, about; `undefined` when it is too large or
 * too deep (a cycle is), or no JSON: structured clone carries more. Without
 * recursion, so that no depth can exhaust the stack.
 *
 * An own key `__proto__` is refused too: whoever copies such an object by
 * assignment gives the copy another prototype.
 */
const measure = (value: unknown, { messageBytes, messageDepth }: Limits): number | undefined => {
  const todo: Array<readonly [value: unknown, depth: number]> = [[value, 0]]
  let bytes = 0
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    const [current, depth] = next
    bytes += overhead
    switch (typeof current) {
      case "string":
        bytes += current.length
        break
      case "boolean":
      case "undefined":
        break
      case "number":
        if (!Number.isFinite(current)) return undefined
        break
      case "object": {
        if (current === null) break
        if (depth >= messageDepth) return undefined
        if (Array.isArray(current)) {
          if (current.length * overhead > messageBytes) return undefined
          for (const element of current) todo.push([element, depth + 1])
          break
        }
        const prototype: unknown = Object.getPrototypeOf(current)
        if ((prototype !== Object.prototype && prototype !== null) || Object.hasOwn(current, "__proto__")) {
          return undefined
        }
        for (const key of Object.keys(current)) {
          bytes += key.length
          todo.push([(current as Record<string, unknown>)[key], depth + 1])
        }
        break
      }
      default:
        return undefined
    }
    if (bytes > messageBytes) return undefined
  }
  return bytes
}
