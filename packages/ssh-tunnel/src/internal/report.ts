/** Makes a report of what is known about a connection: pure, bounded, redacted. */
import { type Redacted, Result } from "effect"
import { type ConnectionError, describe } from "../ConnectionError.ts"
import type { ConnectionState, Strategy } from "../ConnectionState.ts"
import { splitAddress } from "../Destination.ts"
import { DiagnosticReport, toJson, toMarkdown } from "../DiagnosticReport.ts"
import type { History, OutputSource } from "../FlightRecorder.ts"
import { defaultRemotePort, type Profile } from "../Profile.ts"
import * as Redaction from "../Redaction.ts"
import { shellLine } from "../Remedy.ts"
import type { EffectiveParameters } from "../SshConfig.ts"
import { userOptions } from "./argv.ts"
import { bytes, head, tail, visible, visibleLine, withoutColours } from "./reportText.ts"
import { instant, timeline } from "./timeline.ts"

/** What a report is made of, as it was found. */
export interface Material {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly application: string
  readonly runtime: string
  readonly system: string
  readonly ssh: Result.Result<string, ConnectionError>
  readonly profile: Profile
  readonly effective: Result.Result<EffectiveParameters, ConnectionError>
  readonly history: History
  /** Every secret that this process knows. */
  readonly secrets: ReadonlyArray<Redacted.Redacted<string>>
  /** The local machine. */
  readonly home: string
  readonly username: string
  readonly environment: Readonly<Record<string, string | undefined>>
  /** User names of the server's credentials. */
  readonly usernames: ReadonlyArray<string>
  readonly pseudonyms: boolean
}

/** The whole report, as Markdown and as JSON. */
export const maxReport = 128 * 1024

/** In units of UTF-16, bytes, or how many. */
interface Limits {
  readonly line: number
  readonly value: number
  /** All fields of the last error; the others get less. */
  readonly details: number
  readonly parameters: number
  /** The output of one source. */
  readonly output: number
}

const limits: Limits = { line: 300, value: 2000, details: 12 * 1024, parameters: 16 * 1024, output: 16 * 1024 }

const smaller = (limits: Limits): Limits => ({
  line: limits.line / 2,
  value: limits.value / 2,
  details: limits.details / 2,
  parameters: limits.parameters / 2,
  output: limits.output / 2
})

const most = { states: 60, probes: 30, candidates: 20, errors: 4, fields: 20 }

/** Texts that bootstrap and the classifier took from the end of an output may begin in the middle of a secret. */
const mayBeCut = 4000

const unique = (texts: ReadonlyArray<string | undefined>): ReadonlyArray<string> =>
  [
    ...new Set(texts.filter((text) => text !== undefined && text !== "" && text !== "none"))
  ] as ReadonlyArray<string>

const hops = (proxyJump: string | undefined) =>
  (proxyJump ?? "").split(",").flatMap((hop) => {
    const address = splitAddress(hop)
    return address === undefined ? [] : [address]
  })

/** Everybody and every place that the material names by what it is. */
const namesIn = ({ effective, environment, home, profile, username, usernames }: Material) => {
  const parameters = Result.getOrUndefined(effective)
  const jumps = [...hops(profile.proxyJump), ...hops(parameters?.proxyJump)]
  const value = (keyword: string) => parameters?.parameters.find((parameter) => parameter.keyword === keyword)?.value
  return {
    users: unique([
      profile.user,
      parameters?.user,
      username,
      profile.username,
      ...usernames,
      ...jumps.map(({ user }) => user),
      environment["USER"],
      environment["LOGNAME"],
      environment["USERNAME"]
    ]),
    hosts: unique([
      profile.host,
      parameters?.hostname,
      value("hostkeyalias"),
      ...jumps.map(({ host }) => host),
      environment["HOSTNAME"],
      environment["COMPUTERNAME"]
    ]),
    homes: unique([home, environment["HOME"], environment["USERPROFILE"]]),
    labels: unique([profile.name, profile.id])
  }
}

/** Variables of this process whose name promises a secret. A plain word is none, and would be missed in every sentence. */
const secretsOf = (environment: Material["environment"]): ReadonlyArray<string> =>
  Object.entries(environment).flatMap(([name, value]) =>
    value !== undefined && value.length >= 8 && value.length <= 4096 && Redaction.isSecretName(name) &&
      !/^(?:[a-z]+|[/~].*)$/i.test(value)
      ? [value]
      : []
  )

const settings = (profile: Profile): ReadonlyArray<{ readonly name: string; readonly value: string }> =>
  Object.entries({
    profile: profile.name,
    host: profile.host,
    user: profile.user,
    port: profile.port,
    identityFile: profile.identityFile,
    proxyJump: profile.proxyJump,
    sshConfig: profile.sshConfig,
    remotePort: profile.remotePort,
    localPort: profile.localPort,
    bootstrap: profile.bootstrap.enabled
      ? `allowed, ${profile.bootstrap.lifetime}${
        profile.bootstrap.port === undefined ? "" : `, port ${profile.bootstrap.port}`
      }`
      : "not allowed",
    versionRange: profile.versionRange,
    username: profile.username
  }).flatMap(([name, value]) => value === undefined ? [] : [{ name, value: String(value) }])

type ConnectedState = Extract<ConnectionState, { readonly _tag: "Connected" }>

const lastConnected = ({ states }: History): ConnectedState | undefined =>
  states.map(({ state }) => state).findLast((state): state is ConnectedState => state._tag === "Connected")

/** The words of the command that a person could type. */
const words = ({ history, home, profile }: Material): ReadonlyArray<string> => {
  const connected = lastConnected(history)
  const remotePort = connected?.remotePort ?? profile.remotePort ?? defaultRemotePort
  const localPort = connected?.localPort ?? profile.localPort ?? remotePort
  return [
    "ssh",
    "-N",
    "-L",
    `127.0.0.1:${localPort}:127.0.0.1:${remotePort}`,
    ...userOptions(profile.destination, home),
    "--",
    profile.host
  ]
}

/** A shell expands `~` only where it is not quoted. */
const commandLine = (words: ReadonlyArray<string>): string =>
  words.map((word) => word.startsWith("~/") ? `~/${shellLine([word.slice(2)])}` : shellLine([word])).join(" ")

const errorOf = (state: ConnectionState): ConnectionError | undefined => "error" in state ? state.error : undefined

/** The fields of a reason as texts. */
const details = (reason: object): ReadonlyArray<{ readonly name: string; readonly value: string }> =>
  Object.entries(reason).flatMap(([name, value]: [string, unknown]) =>
    name === "_tag" || value === undefined
      ? []
      : [{ name, value: typeof value === "string" ? value : JSON.stringify(value) }]
  )

/** The errors of the timeline, the last one first, each different one once. */
const errorsIn = ({ states }: History) => {
  const found = new Map<string, { readonly error: ConnectionError; readonly at: number; readonly count: number }>()
  for (const { at, state } of states) {
    const error = errorOf(state)
    if (error === undefined) continue
    const key = `${error._tag} ${error.reason._tag} ${error.message}`
    const before = found.get(key)
    found.delete(key)
    found.set(key, { error, at, count: (before?.count ?? 0) + 1 })
  }
  return [...found.values()].toReversed().slice(0, most.errors).map(({ at, count, error }) => {
    const described = describe(error)
    return {
      class: error._tag,
      reason: error.reason._tag,
      message: described.message,
      retryable: described.retryable,
      remedy: described.remedy,
      details: details(described.reason),
      at: instant(at),
      count
    }
  })
}

/** Makes the report. */
export const assemble = (material: Material): DiagnosticReport => {
  let sizes = limits
  let report = write(material, sizes)
  // Quotes and line ends are twice as long in JSON, invisible characters many times.
  while (sizes.line > 4 && !fits(report)) {
    sizes = smaller(sizes)
    report = write(material, sizes)
  }
  return report
}

const fits = (report: DiagnosticReport): boolean =>
  bytes(toMarkdown(report)) <= maxReport && bytes(toJson(report)) <= maxReport

const write = (material: Material, sizes: Limits): DiagnosticReport => {
  const { effective, history, profile } = material
  const redactor = Redaction.redactor(Redaction.context({
    ...namesIn(material),
    secrets: [...material.secrets, ...secretsOf(material.environment).map(Redaction.secret)],
    pseudonyms: material.pseudonyms
  }))
  const redacted = (text: string, options: Redaction.TextOptions = {}) => redactor.text(withoutColours(text), options)
  const line = (text: string, limit = sizes.line) => head(visibleLine(redacted(text)), limit)
  const lines = (text: string, limit: number) => {
    const long = text.length > mayBeCut
    const { cut, text: end } = tail(visible(redacted(text, long ? { cut: "both" } : {})), limit)
    return cut || long ? `…\n${end}` : end
  }

  /** The newest processes of one source. */
  const output = (source: OutputSource) => {
    const shown: Array<{ readonly at: string; readonly cut: boolean; readonly text: string }> = []
    let left = sizes.output
    for (const { at, cut, text } of history.outputs.filter((output) => output.source === source).toReversed()) {
      if (left <= 0 || (shown.length > 0 && text === "")) continue
      const end = tail(visible(redacted(text, { cut: cut ? "both" : "end", learn: source !== "ssh" })), left)
      left -= bytes(end.text) + 64
      shown.unshift({ at: instant(at), cut: end.cut || cut, text: end.text })
    }
    return shown
  }

  const errors = errorsIn(history).map((error, index) => {
    let left = sizes.details / (1 + 2 * index)
    return {
      ...error,
      message: lines(error.message, sizes.value),
      remedy: {
        text: lines(error.remedy.text, sizes.value),
        ...(error.remedy.command === undefined ? undefined : { command: lines(error.remedy.command, sizes.value) })
      },
      details: error.details.slice(0, most.fields).map(({ name, value }) => {
        const text = lines(value, Math.max(4, left / 2))
        left -= bytes(text)
        return { name: line(name), value: text }
      })
    }
  })

  const values = (parameters: EffectiveParameters["parameters"]) => {
    let left = sizes.parameters
    return parameters.flatMap(({ keyword, value }) => {
      // With its keyword in front, so that names are recognised.
      const [name = "", ...rest] = line(`${keyword} ${value}`, sizes.value).split(" ")
      left -= name.length + rest.join(" ").length + 32
      return left < 0 ? [] : [{ keyword: name, value: rest.join(" ") }]
    })
  }

  const states = history.states.slice(-most.states)
  const used: Strategy | undefined = lastConnected(history)?.strategy
  return new DiagnosticReport({
    format: 1,
    at: instant(material.at),
    pseudonyms: material.pseudonyms,
    versions: {
      application: line(material.application),
      runtime: line(material.runtime),
      system: line(material.system),
      ssh: Result.match(material.ssh, { onFailure: ({ message }) => line(message), onSuccess: (text) => line(text) })
    },
    profile: settings(profile).map(({ name, value }) => ({ name, value: line(value) })),
    strategy: { asked: profile.strategy ?? "auto", ...(used === undefined ? undefined : { used }) },
    state: history.states.at(-1)?.state._tag ?? "Disconnected",
    errors,
    command: head(visibleLine(commandLine(redactor.value(words(material)))), sizes.value),
    parameters: Result.match(effective, {
      onFailure: ({ message }) => ({ values: [], problem: lines(message, sizes.value) }),
      onSuccess: ({ parameters }) => ({ values: values(parameters) })
    }),
    timeline: {
      omitted: history.forgotten + history.states.length - states.length,
      states: timeline(states, material.at).map((entry) => ({ ...entry, detail: line(entry.detail) }))
    },
    probes: history.probes.slice(-most.probes).map(({ answer, at, path, remotePort }) => ({
      at: instant(at),
      remotePort,
      path: line(path),
      answer: line(answer)
    })),
    bootstrap: {
      enabled: profile.bootstrap.enabled,
      candidates: history.candidates.slice(-most.candidates).map(({ at, path, version = "" }) => ({
        at: instant(at),
        path: line(path),
        version: line(version)
      }))
    },
    output: { ssh: output("ssh"), remoteStdout: output("remote stdout"), remoteStderr: output("remote stderr") }
  })
}
