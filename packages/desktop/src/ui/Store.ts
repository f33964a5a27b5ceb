/** What the window knows, as signals: fed by the bridge's streams, asked for again whenever they end. */
import type { About, BridgeClient, ProfileTrouble, StatesUpdate } from "@opencode-ai/desktop-bridge/BridgeApi"
import type { ConnectionState } from "@opencode-ai/ssh-tunnel/ConnectionState"
import { Profile, type ProfileId } from "@opencode-ai/ssh-tunnel/Profile"
import { Cause, Effect, Exit, Schedule, Schema, Stream } from "effect"
import { type Accessor, batch, createMemo, createSignal, onCleanup, type Setter, untrack } from "solid-js"
import { type Clipboard, makeClipboard } from "./Clipboard.ts"
import { type Clock, makeClock } from "./Clock.ts"
import { makeNews, type News } from "./News.ts"
import { hopOf } from "./PathView.ts"
import { type CallError, type Problem, problem } from "./Problem.ts"
import * as Timing from "./Timing.ts"
import type { WindowOptions } from "./Window.ts"

/** `connecting`: nothing was heard yet; `lost`: it was there, and is gone. */
export type Link = "connecting" | "open" | "lost"

/** Handlers of a call; a failure that nobody handles becomes a notice. */
export interface On<A> {
  readonly success?: (value: A) => void
  readonly failure?: (problem: Problem) => void
  /** After either, and when it was interrupted. */
  readonly done?: () => void
}

export interface Store {
  readonly bridge: BridgeClient
  readonly link: Accessor<Link>
  readonly about: Accessor<About | undefined>
  /** `undefined` until the first list has come. */
  readonly profiles: Accessor<ReadonlyArray<Profile> | undefined>
  readonly troubles: Accessor<ReadonlyArray<ProfileTrouble>>
  /** The list of profiles cannot be read. */
  readonly listProblem: Accessor<Problem | undefined>
  readonly state: (id: ProfileId) => ConnectionState
  /** Jump hosts that ssh has spoken of. */
  readonly seenHops: (id: ProfileId) => ReadonlyArray<string>
  readonly selectedId: Accessor<ProfileId | undefined>
  readonly selected: Accessor<Profile | undefined>
  readonly select: (id: ProfileId | undefined) => void
  readonly clock: Clock
  readonly news: News
  readonly clipboard: Clipboard
  /** Runs a call; the returned function stops it. */
  readonly run: <A>(call: Effect.Effect<A, CallError>, on?: On<A>) => () => void
  /** Reads a stream to its end; the returned function stops it. */
  readonly read: <A>(stream: Stream.Stream<A, CallError>, each: (value: A) => void, on?: On<void>) => () => void
  readonly openUrl: (url: string) => void
}

const sameProfile = Schema.toEquivalence(Profile)

const aboutAgain = Schedule.spaced(Timing.lookAgain)

const disconnected: ConnectionState = { _tag: "Disconnected" }

/** One value of one profile, so that news about it touch nothing else. */
const makeCells = <A>(initial: A) => {
  const cells = new Map<string, readonly [Accessor<A>, Setter<A>]>()
  const cell = (id: string) => {
    const known = cells.get(id)
    if (known !== undefined) return known
    const [get, set] = createSignal<A>(initial)
    const made = [get, set] as const
    cells.set(id, made)
    return made
  }
  return {
    get: (id: string): A => cell(id)[0](),
    set: (id: string, value: A): void => {
      cell(id)[1](() => value)
    },
    ids: () => [...cells.keys()]
  }
}

/** Makes the store and starts its streams; both end with Solid's owner. */
export const makeStore = (options: WindowOptions): Store => {
  const { bridge } = options
  const clock = makeClock()
  const [link, setLink] = createSignal<Link>("connecting")
  const [about, setAbout] = createSignal<About>()
  const [profiles, setProfiles] = createSignal<ReadonlyArray<Profile>>()
  const [troubles, setTroubles] = createSignal<ReadonlyArray<ProfileTrouble>>([])
  const [listProblem, setListProblem] = createSignal<Problem>()
  const [selectedId, setSelectedId] = createSignal<ProfileId>()
  const states = makeCells<ConnectionState>(disconnected)
  const seenHops = makeCells<ReadonlyArray<string>>([])
  const news = makeNews(options.notify)
  const clipboard = makeClipboard(options.copy, news)
  const running = new Set<{ readonly stop: () => void }>()
  onCleanup(() => {
    for (const { stop } of running) stop()
  })

  const start = <A, E>(effect: Effect.Effect<A, E>, onExit: (exit: Exit.Exit<A, E>) => void): () => void => {
    // What needs no waiting has ended before `runCallback` returns.
    const end = { stop: (): void => {} }
    running.add(end)
    const stop = Effect.runCallback(effect, {
      onExit: (exit) => {
        running.delete(end)
        onExit(exit)
      }
    })
    end.stop = () => stop()
    return end.stop
  }

  const run: Store["run"] = (call, on = {}) =>
    start(call, (exit) => {
      if (Exit.isSuccess(exit)) on.success?.(exit.value)
      else {
        const failure = exit.cause.reasons.find(Cause.isFailReason)
        if (failure !== undefined) (on.failure ?? news.problem)(problem(failure.error))
      }
      on.done?.()
    })

  const read: Store["read"] = (stream, each, on = {}) =>
    run(Stream.runForEach(stream, (value) => Effect.sync(() => each(value))), on)

  const name = (id: ProfileId): string => untrack(profiles)?.find((profile) => profile.id === id)?.name ?? id

  const setState = (id: ProfileId, state: ConnectionState, isNews: boolean): void => {
    const before = untrack(() => states.get(id))
    states.set(id, state)
    const hop = hopOf(state)
    const seen = untrack(() => seenHops.get(id))
    if (hop !== undefined && !seen.includes(hop)) seenHops.set(id, [...seen, hop])
    if (isNews) news.state(id, name(id), before, state)
  }

  let statesKnown = false
  const onStates = (update: StatesUpdate): void =>
    batch(() => {
      setLink("open")
      if (update._tag === "Changed") return setState(update.id, update.state, true)
      const told = new Map(update.states.map(({ id, state }) => [id, state] as const))
      for (const id of states.ids() as Array<ProfileId>) if (!told.has(id)) setState(id, disconnected, statesKnown)
      for (const [id, state] of told) setState(id, state, statesKnown)
      statesKnown = true
    })

  /** Keeps the instances that did not change, so that their rows stay as they are. */
  const onProfiles = (update: { profiles: ReadonlyArray<Profile>; problems: ReadonlyArray<ProfileTrouble> }): void =>
    batch(() => {
      setLink("open")
      setListProblem(undefined)
      const known = new Map(untrack(profiles)?.map((profile) => [profile.id, profile]))
      const next = update.profiles.map((profile) => {
        const before = known.get(profile.id)
        return before !== undefined && sameProfile(before, profile) ? before : profile
      })
      setProfiles(next)
      setTroubles(update.problems)
      const current = untrack(selectedId)
      if (current === undefined || !next.some(({ id }) => id === current)) setSelectedId(next[0]?.id)
    })

  /** Asks again when a stream ends, in whichever way: the application may come back. */
  const follow = <A>(
    stream: Stream.Stream<A, CallError>,
    each: (value: A) => void,
    failed: (problem: Problem) => void
  ) =>
    stream.pipe(
      Stream.runForEach((value) => Effect.sync(() => each(value))),
      Effect.matchCause({
        onSuccess: () => setLink((before) => before === "open" ? "lost" : before),
        onFailure: (cause) => {
          const failure = cause.reasons.find(Cause.isFailReason)
          const known = failure === undefined ? undefined : problem(failure.error)
          if (known === undefined || known.gone) setLink((before) => before === "open" ? "lost" : before)
          else failed(known)
        }
      }),
      Effect.andThen(Effect.sleep(Timing.lookAgain)),
      Effect.forever
    )

  start(follow(bridge.watchProfiles(undefined), onProfiles, setListProblem), () => {})
  start(follow(bridge.watchStates(undefined), onStates, news.problem), () => {})
  start(
    Effect.retry(bridge.about(undefined), { schedule: aboutAgain }),
    (exit) => Exit.isSuccess(exit) && setAbout(exit.value)
  )
  if (options.link !== undefined) {
    const told = Stream.runForEach(
      options.link,
      ({ _tag }) => Effect.sync(() => setLink(_tag === "Online" ? "open" : _tag === "Opening" ? "connecting" : "lost"))
    )
    start(told, () => {})
  }

  return {
    bridge,
    link,
    about,
    profiles,
    troubles,
    listProblem,
    state: states.get,
    seenHops: seenHops.get,
    selectedId,
    selected: createMemo(() => profiles()?.find(({ id }) => id === selectedId())),
    select: setSelectedId,
    clock,
    news,
    clipboard,
    run,
    read,
    openUrl: options.openUrl ?? ((url) => openTab(url, news))
  }
}

/** A new tab, which must not know this window. */
const openTab = (url: string, news: News): void => {
  const tab = window.open(url, "_blank")
  if (tab === null) news.blocked(url)
  else tab.opener = null
}
