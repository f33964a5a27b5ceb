import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import {
  type Answer,
  type Candidate,
  candidates,
  conclude,
  judge,
  judgeFailure,
  mayBeRejected,
  Verdict
} from "../../src/internal/healthAnswer.ts"
import { LoopbackHttpError, type LoopbackResponse } from "../../src/LoopbackHttp.ts"

const candidateOf = (path: string): Candidate => {
  const candidate = candidates.find((candidate) => candidate.path === path)
  if (candidate === undefined) throw new Error(`no candidate ${path}`)
  return candidate
}

const response = (body: unknown, overrides: Partial<LoopbackResponse> = {}): LoopbackResponse => ({
  status: 200,
  headers: { "content-type": "application/json" },
  body: typeof body === "string" ? body : JSON.stringify(body),
  truncated: false,
  ...overrides
})

const verdictOf = (path: string, body: unknown, overrides: Partial<LoopbackResponse> = {}) =>
  judge(candidateOf(path), response(body, overrides))

const healthyV1 = { healthy: true, version: "1.18.33" }

describe("judge", () => {
  it("the table of valid answers", () => {
    const { Valid } = Verdict
    assert.deepStrictEqual(
      verdictOf("/global/health", { ...healthyV1, more: [1] }),
      Valid({ generation: "v1", version: "1.18.33" })
    )
    const info = { version: "2.0.22", pid: 4711, urls: ["http://127.0.0.1:49374"], paths: { tmp: "/tmp" } }
    const valid = Valid({ generation: "v2", version: "2.0.22", pid: 4711 })
    assert.deepStrictEqual(verdictOf("/api/info", info), valid)
    assert.deepStrictEqual(verdictOf("/api/status", { version: "2.0.22", pid: 4711, urls: [] }), valid)
    assert.deepStrictEqual(verdictOf("/api/health", { healthy: true, version: "2.0.22", pid: 4711 }), valid)
    for (const status of ["ok", "healthy", "pass"]) {
      assert.deepStrictEqual(
        verdictOf("/health", { status, version: "1.0.0" }),
        Valid({ generation: "generic", version: "1.0.0" })
      )
    }
  })

  it("the content type is JSON, with parameters and in any case, or the answer is none", () => {
    for (const type of ["application/json; charset=utf-8", "Application/JSON;charset=UTF-8", "application/json "]) {
      assert.strictEqual(
        verdictOf("/global/health", healthyV1, { headers: { "content-type": type } })._tag,
        "Valid",
        type
      )
    }
    for (const type of ["text/plain", "text/json", "application/jsonp", "application/health+json", "text/html", ""]) {
      assert.strictEqual(
        verdictOf("/global/health", healthyV1, { headers: { "content-type": type } })._tag,
        "Foreign",
        type
      )
    }
    assert.strictEqual(verdictOf("/global/health", healthyV1, { headers: {} })._tag, "Foreign")
  })

  it("V1's /api/health is no answer of V2, and no path takes another one's shape", () => {
    assert.strictEqual(verdictOf("/api/health", { healthy: true })._tag, "Foreign")
    assert.strictEqual(verdictOf("/api/health", healthyV1)._tag, "Foreign")
    assert.strictEqual(verdictOf("/api/info", { status: "ok", version: "1.0.0" })._tag, "Foreign")
    assert.strictEqual(verdictOf("/global/health", { version: "2.0.0", pid: 1 })._tag, "Foreign")
    assert.strictEqual(verdictOf("/health", healthyV1)._tag, "Foreign")
  })

  it("wrong shapes", () => {
    const wrong: ReadonlyArray<[string, unknown]> = [
      ["/global/health", { healthy: "true", version: "1.0.0" }],
      ["/global/health", { healthy: 1, version: "1.0.0" }],
      ["/global/health", { healthy: true, version: 1 }],
      ["/global/health", { healthy: true, version: "" }],
      ["/global/health", { healthy: true, version: "1.0.0\u001b[2J" }],
      ["/global/health", { healthy: true, version: "1".repeat(257) }],
      ["/global/health", [healthyV1]],
      ["/global/health", null],
      ["/global/health", "\"1.18.33\""],
      ["/api/info", { version: "2.0.0", pid: "1" }],
      ["/api/info", { version: "2.0.0", pid: 1.5 }],
      ["/api/info", { version: "2.0.0" }],
      ["/health", { status: "ok" }],
      ["/health", { status: "UP" }],
      ["/health", { status: true, version: "1.0.0" }],
      ["/health", "{"],
      ["/health", ""]
    ]
    for (const [path, body] of wrong) {
      assert.strictEqual(verdictOf(path, body)._tag, "Foreign", `${path} ${JSON.stringify(body)}`)
    }
    assert.strictEqual(verdictOf("/global/health", healthyV1, { truncated: true })._tag, "Foreign")
  })

  it("the right shape that says no", () => {
    assert.strictEqual(verdictOf("/global/health", { healthy: false })._tag, "Unhealthy")
    assert.strictEqual(verdictOf("/global/health", { healthy: false, version: "1.0.0" })._tag, "Unhealthy")
    assert.strictEqual(verdictOf("/api/health", { healthy: false, version: "2.0.0", pid: 1 })._tag, "Unhealthy")
    const verdict = verdictOf("/health", { status: "fail\u202e\n", version: "1.0.0" })
    assert.deepStrictEqual(verdict, Verdict.Unhealthy({ detail: "/health answers status \"fail\"" }))
  })

  it("statuses", () => {
    const tagOf = (status: number, body: unknown = healthyV1) => verdictOf("/global/health", body, { status })._tag
    assert.strictEqual(tagOf(401, ""), "Unauthorized")
    for (const status of [404, 405, 410]) assert.strictEqual(tagOf(status), "Missing")
    for (const status of [301, 302, 304, 307, 308]) assert.strictEqual(tagOf(status), "Foreign")
    for (const status of [201, 204, 206]) assert.strictEqual(tagOf(status), "Foreign")
    for (const status of [101, 400, 403, 407, 429, 500, 503, 999]) assert.strictEqual(tagOf(status), "Status")
  })

  it("servers of other protocols than plain HTTP", () => {
    const upgrade = verdictOf("/global/health", "Upgrade Required", { status: 426 })
    assert.deepStrictEqual(
      upgrade,
      Verdict.Foreign({ kind: "other", detail: "/global/health wants another protocol (status 426)" })
    )
    // nginx and Go; but not any 400.
    for (
      const body of ["The plain HTTP request was sent to HTTPS port", "Client sent an HTTP request to an HTTPS server."]
    ) {
      assert.deepStrictEqual(
        verdictOf("/health", body, { status: 400, headers: {} }),
        Verdict.NotHttp({ detail: "it wants TLS (https)" })
      )
    }
  })

  it("a web page is named by its title, on one line and of sane length", () => {
    const page = (title: string) => ({ headers: { "content-type": "text/html" }, body: `<TITLE a=b>${title}</TITLE>` })
    const detailOf = (title: string) => {
      const verdict = verdictOf("/health", "", page(title))
      return verdict._tag === "Foreign" ? verdict.detail : ""
    }
    assert.strictEqual(detailOf(" Grafana\n\u001b[31m\u202e x "), "it serves web pages, titled \"Grafana [31m x\"")
    assert.strictEqual(detailOf(" "), "it serves web pages")
    assert.isBelow(detailOf("x".repeat(4000)).length, 100)
  })

  it("requests without an answer", () => {
    const failureOf = (problem: "refused" | "closed" | "malformed") =>
      judgeFailure(new LoopbackHttpError({ port: 1, path: "/", problem, detail: "why" }))
    assert.deepStrictEqual(failureOf("refused"), Verdict.Closed({ detail: "why" }))
    assert.deepStrictEqual(failureOf("closed"), Verdict.Closed({ detail: "why" }))
    assert.deepStrictEqual(failureOf("malformed"), Verdict.NotHttp({ detail: "it does not speak HTTP (why)" }))
  })

  const Path = Schema.Literals(candidates.map(({ path }) => path))

  it.effect.prop("a valid answer has exactly what the table asks for", [
    Path,
    Schema.Literals([200, 201, 404]),
    Schema.Literals(["application/json", "application/json;charset=utf-8", "text/html"]),
    Schema.Struct({
      healthy: Schema.optionalKey(Schema.Literals([true, "true"])),
      version: Schema.optionalKey(Schema.Literals(["1.2.3", 1])),
      pid: Schema.optionalKey(Schema.Literals([1, 1.5])),
      status: Schema.optionalKey(Schema.Literals(["ok", "down"]))
    })
  ], ([path, status, type, body]) =>
    Effect.sync(() => {
      const verdict = verdictOf(path, body, { status, headers: { "content-type": type } })
      const shape = {
        v1: body.healthy === true && body.version === "1.2.3",
        v2: body.version === "1.2.3" && body.pid === 1,
        generic: body.status === "ok" && body.version === "1.2.3"
      }[candidateOf(path).generation]
      assert.strictEqual(verdict._tag === "Valid", status === 200 && type !== "text/html" && shape)
    }))

  it.effect.prop("any answer whatever gets a verdict with short texts", [
    Path,
    Schema.Int,
    Schema.Union([Schema.Literal("application/json"), Schema.Literal("text/html"), Schema.String]),
    Schema.Union([Schema.String, Schema.Json]),
    Schema.Boolean
  ], ([path, status, type, body, truncated]) =>
    Effect.sync(() => {
      for (const each of [status, 200]) {
        const verdict = verdictOf(path, body, { status: each, headers: { "content-type": type }, truncated })
        if ("detail" in verdict) assert.isBelow(verdict.detail.length, 500)
      }
    }))
})

const round = { remotePort: 4096, authorized: false, waited: 12 }

/** One verdict for every candidate. */
const everywhere = (verdict: Verdict): ReadonlyArray<Answer> => candidates.map(({ path }) => ({ path, verdict }))

/** The given verdict for one path, another one for the rest. */
const mixed = (path: string, verdict: Verdict, rest: Verdict): ReadonlyArray<Answer> =>
  candidates.map((candidate) => ({ path: candidate.path, verdict: candidate.path === path ? verdict : rest }))

const page = Verdict.Foreign({ kind: "page", detail: "it serves web pages" })
const closed = Verdict.Closed({ detail: "socket hang up" })
const missing = Verdict.Missing({ status: 404 })

describe("conclude", () => {
  const tagOf = (answers: ReadonlyArray<Answer>) => conclude(answers, round)._tag

  it("one kind of answer everywhere", () => {
    assert.strictEqual(tagOf(everywhere(page)), "NotAnOpencodeServer")
    assert.strictEqual(tagOf(everywhere(missing)), "NotAnOpencodeServer")
    assert.strictEqual(tagOf(everywhere(Verdict.NotHttp({ detail: "SSH" }))), "NotAnOpencodeServer")
    assert.strictEqual(tagOf(everywhere(Verdict.Status({ status: 403 }))), "UnexpectedStatus")
    assert.strictEqual(tagOf(everywhere(Verdict.Unauthorized())), "Unauthorized")
    assert.strictEqual(tagOf(everywhere(Verdict.Unhealthy({ detail: "no" }))), "Unhealthy")
    assert.strictEqual(tagOf([]), "NoAnswer")
    const silent = conclude(everywhere(Verdict.Silent()), round)
    assert.isTrue(silent._tag === "NoAnswer" && silent.waited === 12 && silent.detail === undefined)
    const shut = conclude(everywhere(closed), round)
    assert.isTrue(shut._tag === "NoAnswer" && shut.detail === "a connection was closed: socket hang up")
  })

  it("TLS is another protocol, a closed connection alone may be a server that starts", () => {
    const reason = conclude(everywhere(closed), { ...round, speaksTls: true })
    assert.isTrue(reason._tag === "NotAnOpencodeServer" && reason.detail === "it wants TLS (https)")
    assert.strictEqual(conclude(everywhere(closed), { ...round, speaksTls: false })._tag, "NoAnswer")
  })

  it("says which credentials were refused", () => {
    const reasonOf = (authorized: boolean) => conclude(everywhere(Verdict.Unauthorized()), { ...round, authorized })
    const [none, refused] = [reasonOf(false), reasonOf(true)]
    assert.isTrue(none._tag === "Unauthorized" && none.credentials === "none")
    assert.isTrue(refused._tag === "Unauthorized" && refused.credentials === "refused")
  })

  it("a V2 server that starts is an unexpected status, not another web server", () => {
    const reason = conclude(mixed("/api/info", Verdict.Status({ status: 503 }), page), round)
    assert.isTrue(reason._tag === "UnexpectedStatus" && reason.path === "/api/info" && reason.status === 503)
  })

  it("a missing answer might have been the valid one", () => {
    const silent = conclude(mixed("/global/health", Verdict.Silent(), page), round)
    assert.isTrue(silent._tag === "NoAnswer" && silent.detail === "nothing came for /global/health")
    assert.strictEqual(tagOf(mixed("/api/info", closed, page)), "NoAnswer")
  })

  it("the most telling detail: a page before JSON, JSON before a redirect, the likeliest path first", () => {
    const json = Verdict.Foreign({ kind: "json", detail: "json" })
    const redirect = Verdict.Foreign({ kind: "redirect", detail: "redirect" })
    const detailOf = (answers: ReadonlyArray<Answer>) => {
      const reason = conclude(answers, round)
      return reason._tag === "NotAnOpencodeServer" ? reason.detail : reason._tag
    }
    assert.strictEqual(detailOf(mixed("/health", page, json)), "it serves web pages")
    assert.strictEqual(detailOf(mixed("/health", json, redirect)), "json")
    assert.strictEqual(detailOf(mixed("/health", redirect, missing)), "redirect")
    const status = conclude(
      [
        { path: "/health", verdict: Verdict.Status({ status: 500 }) },
        { path: "/api/status", verdict: Verdict.Status({ status: 502 }) },
        { path: "/global/health", verdict: Verdict.Status({ status: 403 }) }
      ],
      round
    )
    assert.isTrue(status._tag === "UnexpectedStatus" && status.path === "/api/status" && status.status === 502)
  })

  it("sshd may yet speak only when nothing of the other program was seen", () => {
    assert.isTrue(mayBeRejected(everywhere(closed)))
    assert.isFalse(mayBeRejected(mixed("/health", page, closed)))
    assert.isFalse(mayBeRejected(mixed("/health", Verdict.NotHttp({ detail: "" }), closed)))
  })

  /** Every kind of verdict, in the order of precedence that the docstring promises. */
  const ranked: ReadonlyArray<readonly [Verdict, string]> = [
    [Verdict.Unauthorized(), "Unauthorized"],
    [Verdict.Unhealthy({ detail: "no" }), "Unhealthy"],
    [Verdict.Status({ status: 503 }), "UnexpectedStatus"],
    [Verdict.NotHttp({ detail: "SSH" }), "NotAnOpencodeServer"],
    [closed, "NoAnswer"],
    [page, "NotAnOpencodeServer"],
    [Verdict.Status({ status: 403 }), "UnexpectedStatus"],
    [missing, "NotAnOpencodeServer"]
  ]
  const Rank = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: ranked.length - 1 }))

  it.effect.prop("the first of the ranks decides, whatever the order of arrival", [
    Schema.Tuple([Rank, Rank, Rank, Rank, Rank]),
    Schema.Int
  ], ([ranks, seed]) =>
    Effect.sync(() => {
      const answers = candidates.map(({ path }, index) => ({
        path,
        verdict: ranked[ranks[index] ?? 0]?.[0] ?? missing
      }))
      const reason = conclude(answers, round)
      assert.strictEqual(reason._tag, ranked[Math.min(...ranks)]?.[1])
      assert.strictEqual(reason.remotePort, 4096)
      const start = Math.abs(seed) % answers.length
      const rotated = [...answers.slice(start), ...answers.slice(0, start)].toReversed()
      assert.deepStrictEqual(conclude(rotated, round), reason)
    }))
})
