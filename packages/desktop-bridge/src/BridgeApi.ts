/**
 * The contract between OpenCode's main process and its windows: what a window
 * may ask, and what it is told. Only words: it runs in a browser.
 *
 * **Details**
 *
 * A window has no authority beyond this list. It names profiles by their ids
 * and says what a profile's fields should be. It cannot
 *
 * - see a password: credentials are the main process's, which attaches them to
 *   the window's requests (see `Authorization`);
 * - hand an option to ssh or a word to a shell: see the rules of `Destination`;
 * - choose a file to be read as configuration, which could make ssh run
 *   programs: `sshConfig` in a draft may only be `none`, and an edit keeps the
 *   value that is stored, or removes it;
 * - take a stored password elsewhere: an edit that changes where a profile
 *   leads (host, user, port, jump hosts, remote port) forgets its password.
 *
 * Everything that is sent to a window was looked through first: known secrets
 * are hidden, and what could act (control, direction and invisible characters)
 * is made visible.
 */
import { ConnectionState } from "@opencode-ai/ssh-tunnel/ConnectionState"
import { Host, LocalPath, Port, ProxyJump, User } from "@opencode-ai/ssh-tunnel/Destination"
import { DoctorStep } from "@opencode-ai/ssh-tunnel/DoctorStep"
import { Lifetime, Profile, ProfileId } from "@opencode-ai/ssh-tunnel/Profile"
import { ProfileDraft } from "@opencode-ai/ssh-tunnel/ProfileDraft"
import { Schema } from "effect"
import * as Rpc from "effect/rpc/Rpc"
import type * as RpcClient from "effect/rpc/RpcClient"
import type { RpcClientError } from "effect/rpc/RpcClientError"
import * as RpcGroup from "effect/rpc/RpcGroup"
import { BridgeError } from "./BridgeError.ts"

/** An entry of the profile file that is no valid profile. It stays in the file until it is corrected; `removeProfile` takes its id. */
export const ProfileTrouble = Schema.Struct({
  id: Schema.optionalKey(Schema.String),
  name: Schema.optionalKey(Schema.String),
  /** Why it cannot be used. */
  message: Schema.String
})
export type ProfileTrouble = typeof ProfileTrouble.Type

/** All profiles in the order in which they were first saved. */
export const ProfilesUpdate = Schema.Struct({
  profiles: Schema.Array(Profile),
  problems: Schema.Array(ProfileTrouble)
})
export type ProfilesUpdate = typeof ProfilesUpdate.Type

/** The state of one profile. */
export const ProfileState = Schema.Struct({ id: ProfileId, state: ConnectionState })
export type ProfileState = typeof ProfileState.Type

/**
 * `All` replaces whatever was known; profiles that are not in it are
 * `Disconnected`. `Changed` is the news about one profile.
 */
export const StatesUpdate = Schema.TaggedUnion({
  All: { states: Schema.Array(ProfileState) },
  Changed: ProfileState.fields
})
export type StatesUpdate = typeof StatesUpdate.Type

/** A host of the ssh config, and where it was first named. `line` counts from 1. */
export const ConfigHost = Schema.Struct({ name: Host, file: Schema.String, line: Schema.Int })
export type ConfigHost = typeof ConfigHost.Type

/** What ssh would use: the answer of `ssh -G`, without what may hold a secret (`ProxyCommand`). */
export const Effective = Schema.Struct({
  /** Where ssh connects to: `HostName`, else the host; lower-case. */
  hostname: Schema.String,
  user: Schema.String,
  port: Port,
  /** In the order of trying; `%` tokens and `~` as they stand in the config. */
  identityFiles: Schema.Array(Schema.String),
  identitiesOnly: Schema.Boolean,
  proxyJump: Schema.optionalKey(Schema.String),
  /** An allow-list of keywords in ssh's order and words; some come more than once. */
  parameters: Schema.Array(Schema.Struct({ keyword: Schema.String, value: Schema.String }))
})
export type Effective = typeof Effective.Type

/** The OpenCode server that is registered on the remote machine. */
export const RemoteServerInfo = Schema.Struct({
  /** Where it listens on the remote machine's 127.0.0.1. */
  port: Port,
  pid: Schema.Int,
  version: Schema.String,
  /** `ours`: started by bootstrap, so that it may be stopped; `opencode`: by OpenCode 2's own service. */
  owner: Schema.Literals(["ours", "opencode"]),
  lifetime: Lifetime,
  /** ISO 8601, as the remote clock says. */
  startedAt: Schema.optionalKey(Schema.String),
  /** A path of the remote machine. */
  logFile: Schema.optionalKey(Schema.String)
})
export type RemoteServerInfo = typeof RemoteServerInfo.Type

/** Absent: nothing is registered there, or it is dead. */
const ServerAnswer = Schema.Struct({ server: Schema.optionalKey(RemoteServerInfo) })

/** A host whose name became no profile, and why. */
export const SkippedHost = Schema.Struct({ name: Schema.String, detail: Schema.String })
export type SkippedHost = typeof SkippedHost.Type

/** About the application, for its windows. */
export const About = Schema.Struct({
  /** Name and version, e.g. `OpenCode Desktop 1.18.33`. */
  application: Schema.String,
  /** Server versions for profiles that name none, in npm's range syntax. */
  supportedVersions: Schema.String,
  /** Whether the host shows notifications when a connection is lost for good. */
  notifications: Schema.Boolean
})
export type About = typeof About.Type

/** An address to go to. Absent: the host has opened it, or (see `endpoint`) there is none. */
const Address = Schema.Struct({ url: Schema.optionalKey(Schema.String) })

const byId = { id: ProfileId }

/** How many names, ids or texts one call may hold. */
const few = Schema.isMaxLength(1000)

/**
 * See the module.
 *
 * **Details**
 *
 * `watchProfiles`, `watchStates`: first the present picture, at once, then what
 * changes. Who reads slowly gets the latest, never a backlog.
 *
 * `editProfile`: a connection that is open goes on as it was made; the edit
 * counts from the next connection.
 *
 * `removeProfile` ends the connection first, forgets the password, and takes
 * the id of a `ProfileTrouble` as well.
 *
 * `connect` returns at once: errors of a connection are states.
 * `disconnect` returns when the connection is gone. `retryNow` skips the wait of `Reconnecting`.
 *
 * `effective` runs `ssh -G`, and with it the user's `Match exec`: only for what
 * a person has typed, debounced. `sshCommand` and `diagnostics` do so too.
 *
 * `endpoint`: the URL is there exactly while the profile is `Connected`. It
 * holds no credentials; the main process adds them to this window's requests.
 *
 * `open`: for a new tab. The address is good for one visit within a minute and
 * as good as the password until then; absent when the host opened it itself.
 *
 * `examine`, `examineDraft`: log in once, change nothing on either side. Stop
 * reading to stop the examination. A draft is examined without a stored
 * password.
 *
 * `serverStatus`, `serverStop`, `serverLog`: over the profile's connection, or
 * over one of their own when there is none. `serverStop` ends only a server
 * that bootstrap started, and with it the profile's connection: connected, it
 * would start the server again. It fails with `NotOurs` when there is none.
 * `serverLog`: one line each; its last lines, and with `follow` what comes.
 */
export class BridgeApi extends RpcGroup.make(
  Rpc.make("watchProfiles", { success: ProfilesUpdate, error: BridgeError, stream: true }),
  Rpc.make("addProfile", { payload: { draft: ProfileDraft }, success: Profile, error: BridgeError }),
  Rpc.make("editProfile", { payload: { profile: Profile }, success: Profile, error: BridgeError }),
  Rpc.make("removeProfile", { payload: { id: Schema.String.check(Schema.isMaxLength(1000)) }, error: BridgeError }),
  Rpc.make("duplicateProfile", { payload: byId, success: Profile, error: BridgeError }),
  Rpc.make("hosts", { success: Schema.Array(ConfigHost), error: BridgeError }),
  Rpc.make("importHosts", {
    payload: { names: Schema.Array(Host).check(few) },
    success: Schema.Struct({ added: Schema.Array(Profile), skipped: Schema.Array(SkippedHost) }),
    error: BridgeError
  }),
  /** The file's format as JSON; without secrets, because no field of a profile is one. Absent `ids`: all. */
  Rpc.make("exportProfiles", {
    payload: { ids: Schema.optionalKey(Schema.Array(ProfileId).check(few)) },
    success: Schema.String,
    error: BridgeError
  }),
  Rpc.make("effective", {
    payload: {
      host: Host,
      user: Schema.optionalKey(User),
      port: Schema.optionalKey(Port),
      identityFile: Schema.optionalKey(LocalPath),
      proxyJump: Schema.optionalKey(ProxyJump)
    },
    success: Effective,
    error: BridgeError
  }),
  Rpc.make("connect", { payload: byId, error: BridgeError }),
  Rpc.make("disconnect", { payload: byId, error: BridgeError }),
  Rpc.make("retryNow", { payload: byId, error: BridgeError }),
  Rpc.make("watchStates", { success: StatesUpdate, error: BridgeError, stream: true }),
  Rpc.make("endpoint", { payload: byId, success: Address, error: BridgeError }),
  Rpc.make("open", { payload: byId, success: Address, error: BridgeError }),
  /** One line for a POSIX shell that makes the same forward in a terminal. */
  Rpc.make("sshCommand", { payload: byId, success: Schema.String, error: BridgeError }),
  Rpc.make("diagnostics", {
    payload: { id: ProfileId, format: Schema.Literals(["markdown", "json"]), pseudonyms: Schema.Boolean },
    success: Schema.String,
    error: BridgeError
  }),
  Rpc.make("examine", { payload: byId, success: DoctorStep, error: BridgeError, stream: true }),
  Rpc.make("examineDraft", { payload: { draft: ProfileDraft }, success: DoctorStep, error: BridgeError, stream: true }),
  Rpc.make("serverStatus", { payload: byId, success: ServerAnswer, error: BridgeError }),
  Rpc.make("serverStop", { payload: byId, success: ServerAnswer, error: BridgeError }),
  Rpc.make("serverLog", {
    payload: { id: ProfileId, follow: Schema.Boolean },
    success: Schema.String,
    error: BridgeError,
    stream: true
  }),
  Rpc.make("about", { success: About, error: BridgeError })
) {}

/**
 * What a window holds: one method per call. `RpcClientError` is the transport's
 * own error (the main process is gone), which no handler can give.
 */
export type BridgeClient<E = RpcClientError> = RpcClient.FromGroup<typeof BridgeApi, E>
