/** The right pane: one connection, whatever its state, with everything in its own place. */
import { defaultRemotePort, type Profile } from "@opencode-ai/ssh-tunnel/Profile"
import { createMemo, type JSX, Match, Show, Switch } from "solid-js"
import { main, useActs } from "../Acts.ts"
import { useWindow } from "../Context.ts"
import * as PathView from "../PathView.ts"
import { elapsed, secondsUntil, step } from "../StateView.ts"
import { actions, detail } from "../Strings.ts"
import { ActionMenu } from "./ActionMenu.tsx"
import { Button, CopyButton, type Fact, Facts, Foreign } from "./Controls.tsx"
import { FailurePanel, isDanger } from "./FailurePanel.tsx"
import { Icon } from "./Icon.tsx"
import { PathPicture } from "./PathPicture.tsx"
import { ServerPanel } from "./ServerPanel.tsx"
import { StatusPill } from "./StatusPill.tsx"

const Elapsed = (props: { readonly profile: Profile }): JSX.Element => {
  const { store } = useWindow()
  store.clock.watch()
  return <>{elapsed(store.state(props.profile.id), store.clock.now()) ?? ""}</>
}

const Countdown = (props: { readonly nextAt: string }): JSX.Element => {
  const { store } = useWindow()
  store.clock.watch()
  return <>{detail.retryIn(secondsUntil(props.nextAt, store.clock.now()))}</>
}

/** The line beside the pill: what is being done, and for how long. */
const Progress = (props: { readonly profile: Profile }): JSX.Element => {
  const { store } = useWindow()
  const state = () => store.state(props.profile.id)
  const text = createMemo(() => step(state()))
  const tag = createMemo(() => state()._tag)
  return (
    <Switch>
      <Match when={text() !== ""}>
        <span class="oc-strong">{text()}</span>
        <Show when={tag() !== "Disconnecting"}>
          <span class="oc-weak oc-time">
            <Elapsed profile={props.profile} />
          </span>
        </Show>
      </Match>
      <Match when={tag() === "Connected"}>
        <span class="oc-weak">{detail.since}</span>
        <span class="oc-time">
          <Elapsed profile={props.profile} />
        </span>
      </Match>
      <Match
        when={(() => {
          const now = state()
          return now._tag === "Reconnecting" ? now : undefined
        })()}
      >
        {(state) => (
          <>
            <span class="oc-strong oc-time">
              <Countdown nextAt={state().nextAt} />
            </span>
            <span class="oc-weak">{detail.attempt(state().attempt)}</span>
          </>
        )}
      </Match>
    </Switch>
  )
}

const MainButtons = (props: { readonly profile: Profile }): JSX.Element => {
  const { store } = useWindow()
  const acts = useActs()
  const act = createMemo(() => main(store.state(props.profile.id)))
  const off = () => store.link() === "lost"
  let forward!: HTMLDivElement
  // What goes forward and what ends it have a place each: a click that comes while the state changes never means the
  // opposite. The forward button is always the same one, so that it keeps the focus.
  const face = () => {
    switch (act()) {
      case "open":
        return { label: actions.open, icon: "open" as const, run: acts.open }
      case "retry":
        return { label: actions.retry, icon: "retry" as const, run: acts.retry }
      case "cancel":
        return { label: actions.connecting, icon: "connect" as const, run: undefined }
      case "wait":
        return { label: actions.disconnecting, icon: "connect" as const, run: undefined }
      default:
        return { label: actions.connect, icon: "connect" as const, run: acts.connect }
    }
  }
  return (
    <div class="oc-buttons oc-main-buttons" ref={forward}>
      <Show when={act() === "cancel" || act() === "open" || act() === "retry"}>
        <Button
          disabled={off()}
          onClick={() => {
            acts.disconnect(props.profile)
            // This button goes with the connection.
            forward.querySelector<HTMLElement>(".oc-main-button")?.focus()
          }}
        >
          {act() === "cancel" ? actions.cancel : actions.disconnect}
        </Button>
      </Show>
      <Button
        class="oc-main-button"
        kind={act() === "connect" || act() === "open" || act() === "retry" ? "primary" : "plain"}
        icon={face().icon}
        busy={face().run === undefined || (act() === "open" && acts.opening())}
        disabled={off()}
        onClick={() => face().run?.(props.profile)}
      >
        {face().label}
      </Button>
      <ActionMenu profile={props.profile} />
    </div>
  )
}

const Warning = (props: { readonly title: string; readonly text: string }): JSX.Element => (
  <div class="oc-note" data-tone="warning">
    <Icon name="warning" />
    <div class="oc-note-body">
      <p class="oc-strong">{props.title}</p>
      <p>{props.text}</p>
    </div>
  </div>
)

const mono = (value: string | number): JSX.Element => <Foreign mono>{value}</Foreign>

/** What the profile says; the rest is the ssh config's. */
const settings = (profile: Profile): ReadonlyArray<Fact> => [
  { label: detail.host, value: mono(profile.destination.toString()) },
  { label: detail.jump, value: profile.proxyJump === undefined ? detail.byConfig : mono(profile.proxyJump) },
  { label: detail.identity, value: profile.identityFile === undefined ? detail.byConfig : mono(profile.identityFile) },
  { label: detail.remotePort, value: mono(profile.remotePort ?? defaultRemotePort) },
  { label: detail.localPort, value: profile.localPort === undefined ? detail.auto : mono(profile.localPort) },
  {
    label: detail.start,
    value: profile.bootstrap.enabled ? detail.startOn(profile.bootstrap.lifetime) : detail.startOff
  }
]

export const ConnectionDetail = (props: { readonly profile: Profile; readonly onBack: () => void }): JSX.Element => {
  const { store } = useWindow()
  const acts = useActs()
  const state = createMemo(() => store.state(props.profile.id))
  const connected = createMemo(() => {
    const now = state()
    return now._tag === "Connected" ? now : undefined
  })
  const error = createMemo(() => {
    const now = state()
    return now._tag === "Failed" || now._tag === "Reconnecting" ? now : undefined
  })
  const nodes = createMemo(() => PathView.nodes(props.profile, state(), store.seenHops(props.profile.id)))
  return (
    <section class="oc-detail" aria-label={detail.region(props.profile.name)}>
      <header class="oc-detail-head">
        <button
          type="button"
          class="oc-icon-button oc-back"
          aria-label={actions.back}
          title={actions.back}
          onClick={() => props.onBack()}
        >
          <Icon name="back" />
        </button>
        <div class="oc-detail-name">
          <h2 class="oc-title">
            <bdi>{props.profile.name}</bdi>
          </h2>
          <p class="oc-detail-host">
            <bdi>{props.profile.destination.toString()}</bdi>
            <Show when={PathView.profileHops(props.profile).length > 0}>
              <bdi>{` ${detail.via(PathView.profileHops(props.profile).join(", "))}`}</bdi>
            </Show>
          </p>
        </div>
        <MainButtons profile={props.profile} />
      </header>

      <div class="oc-card oc-status">
        <p class="oc-status-line">
          <StatusPill state={state()} />
          <span class="oc-status-text">
            <Progress profile={props.profile} />
          </span>
        </p>
        <PathPicture nodes={nodes()} />
      </div>

      <Show when={connected()?.secured === false}>
        <Warning title={detail.unsecured} text={detail.unsecuredText} />
      </Show>
      <Show when={connected()?.movedFrom}>
        {(port) => <Warning title={detail.moved} text={detail.movedText(port())} />}
      </Show>

      <Show when={error()}>
        {(failed) => (
          <FailurePanel
            error={failed().error}
            {...(failed()._tag === "Failed" && !isDanger(failed().error)
              ? { action: { label: actions.tryAgain, act: () => acts.connect(props.profile) } }
              : {})}
          />
        )}
      </Show>

      <Show when={connected()}>
        {(state) => (
          <section class="oc-card" aria-label={detail.server}>
            <Facts
              facts={[
                {
                  label: detail.url,
                  value: (
                    <span class="oc-with-copy">
                      {mono(state().url)}
                      <CopyButton kind="ghost" text={state().url} name={actions.copyUrl} />
                    </span>
                  )
                },
                { label: detail.version, value: mono(state().serverVersion) },
                { label: detail.remotePort, value: mono(state().remotePort) },
                {
                  label: detail.server,
                  value: state().bootstrapped === false
                    ? detail.notBootstrapped
                    : detail.bootstrapped[state().bootstrapped as "started" | "reused"]
                },
                {
                  label: detail.strategy,
                  value: state().strategy === "master" ? detail.strategyMaster : detail.strategyPlain
                }
              ]}
            />
          </section>
        )}
      </Show>

      <Show when={connected() === undefined && error() === undefined}>
        <section class="oc-card" aria-label={detail.facts}>
          <Facts facts={settings(props.profile)} />
        </section>
      </Show>

      <Show when={props.profile.bootstrap.enabled || connected() !== undefined}>
        <ServerPanel profile={props.profile} />
      </Show>
    </section>
  )
}
