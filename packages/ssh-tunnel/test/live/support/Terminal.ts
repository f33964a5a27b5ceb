import { LabError } from "@opencode-ai/ssh-lab/LabError"
import { Effect } from "effect"

const frameText = async (data: unknown): Promise<string> =>
  typeof data === "string" ? data : data instanceof Blob ? data.text() : new TextDecoder().decode(data as ArrayBuffer)

/** Opens a terminal at an OpenCode server, types a line and returns what it shows until `expected` does. */
export const run = (url: string, directory: string, line: string, expected: string) =>
  Effect.gen(function*() {
    const query = `directory=${encodeURIComponent(directory)}`
    const pty = yield* Effect.tryPromise(async () => {
      const response = await fetch(`${url}/pty?${query}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ command: "/bin/sh", args: [] })
      })
      return await response.json() as { readonly id: string }
    })
    const address = `${url.replace("http:", "ws:")}/pty/${pty.id}/connect?${query}`
    return yield* Effect.callback<string, LabError>((resume) => {
      const socket = new WebSocket(address)
      let shown = ""
      socket.addEventListener("open", () => socket.send(`${line}\n`))
      socket.addEventListener("message", async (event) => {
        shown += await frameText(event.data)
        if (shown.includes(expected)) resume(Effect.succeed(shown))
      })
      socket.addEventListener("error", () =>
        resume(Effect.fail(new LabError({ message: `${address} cannot be opened` }))))
      socket.addEventListener("close", () =>
        resume(Effect.fail(new LabError({ message: `it was closed after showing ${JSON.stringify(shown)}` }))))
      return Effect.sync(() =>
        socket.close()
      )
    })
  }).pipe(Effect.scoped)
