/** The server that bootstrap registered on the host: what it is, its log as it grows, and its end. */
import type { RemoteServerInfo } from "@opencode-ai/desktop-bridge/BridgeApi"
import type { Profile } from "@opencode-ai/ssh-tunnel/Profile"
import { createEffect, createSignal, For, type JSX, on, onCleanup, Show } from "solid-js"
import { useWindow } from "../Context.ts"
import type { Problem } from "../Problem.ts"
import { duration, server as strings } from "../Strings.ts"
import { Button, Facts, Fold, Foreign } from "./Controls.tsx"
import { ProblemNote } from "./ProblemNote.tsx"

/** So many lines stay on the screen; the log file has the rest. */
const mostLines = 1000

const RunningSince = (props: { readonly startedAt: string }): JSX.Element => {
  const { store } = useWindow()
  store.clock.watch()
  const date = () => new Date(props.startedAt)
  return (
    <Show when={!Number.isNaN(date().getTime())} fallback={<Foreign>{props.startedAt}</Foreign>}>
      <time dateTime={props.startedAt}>
        {date().toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" })}
        <span class="oc-weak">{` · ${duration((store.clock.now() - date().getTime()) / 1000)}`}</span>
      </time>
    </Show>
  )
}

const ServerLog = (props: { readonly profile: Profile }): JSX.Element => {
  const { store } = useWindow()
  const [lines, setLines] = createSignal<ReadonlyArray<{ readonly text: string }>>([])
  const [live, setLive] = createSignal(true)
  const [problem, setProblem] = createSignal<Problem>()
  let box!: HTMLDivElement
  // Lines come in bursts; one repaint draws them all.
  let pending: Array<{ readonly text: string }> = []
  let frame = 0
  const flush = () => {
    frame = 0
    const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 24
    setLines((before) => [...before, ...pending].slice(-mostLines))
    pending = []
    if (atEnd) box.scrollTop = box.scrollHeight
  }
  const stop = store.read(
    store.bridge.serverLog({ id: props.profile.id, follow: true }),
    (text) => {
      pending.push({ text })
      if (frame === 0) frame = requestAnimationFrame(flush)
    },
    { failure: setProblem, done: () => setLive(false) }
  )
  onCleanup(() => {
    stop()
    cancelAnimationFrame(frame)
  })
  return (
    <>
      <Show when={problem()}>{(problem) => <ProblemNote problem={problem()} />}</Show>
      <div class="oc-log" ref={box} role="log" aria-label={strings.logLabel} aria-live="off" tabindex="0">
        <For each={lines()} fallback={<p class="oc-weak">{strings.logEmpty}</p>}>
          {(line) => (
            <div class="oc-log-line">
              <bdi>{line.text}</bdi>
            </div>
          )}
        </For>
      </div>
      <p class="oc-log-foot">{live() ? strings.logLive : strings.logEnded}</p>
    </>
  )
}

export const ServerPanel = (props: { readonly profile: Profile }): JSX.Element => {
  const { openDialog, store } = useWindow()
  const [answer, setAnswer] = createSignal<{ readonly server?: RemoteServerInfo }>()
  const [looking, setLooking] = createSignal(false)
  const [problem, setProblem] = createSignal<Problem>()
  const [open, setOpen] = createSignal(false)
  const connected = () => store.state(props.profile.id)._tag === "Connected"
  let stop = () => {}
  onCleanup(() => stop())

  const look = () => {
    if (looking()) return
    setLooking(true)
    setProblem(undefined)
    stop = store.run(store.bridge.serverStatus({ id: props.profile.id }), {
      success: setAnswer,
      failure: setProblem,
      done: () => setLooking(false)
    })
  }
  // Over a connection that is there, looking costs nothing; else it would be a login that nobody asked for.
  createEffect(on([open, connected], ([isOpen, isConnected]) => {
    if (isOpen && isConnected) look()
  }))

  return (
    <Fold title={strings.title} onToggle={setOpen}>
      <div class="oc-server">
        <Show when={problem()}>{(problem) => <ProblemNote problem={problem()} />}</Show>
        <Show
          when={answer()}
          fallback={<p class="oc-weak">{looking() ? strings.looking : connected() ? "" : strings.loginNeeded}</p>}
        >
          {(answer) => (
            <Show
              when={answer().server}
              fallback={
                <>
                  <p>{strings.none}</p>
                  <p class="oc-weak">{strings.noneText}</p>
                </>
              }
            >
              {(server) => (
                <>
                  <Facts
                    facts={[
                      { label: strings.version, value: <Foreign mono>{server().version}</Foreign> },
                      { label: strings.pid, value: <span class="oc-mono">{server().pid}</span> },
                      { label: strings.port, value: <span class="oc-mono">{server().port}</span> },
                      ((startedAt) =>
                        startedAt === undefined
                          ? undefined
                          : { label: strings.since, value: <RunningSince startedAt={startedAt} /> })(
                          server().startedAt
                        ),
                      { label: strings.owner, value: strings.owners[server().owner] },
                      server().owner === "ours"
                        ? { label: strings.lifetime, value: strings.lifetimes[server().lifetime] }
                        : undefined,
                      ((logFile) =>
                        logFile === undefined
                          ? undefined
                          : { label: strings.logFile, value: <Foreign mono>{logFile}</Foreign> })(server().logFile)
                    ]}
                  />
                  <Show when={server().logFile !== undefined && connected()}>
                    <h3 class="oc-small-title">{strings.log}</h3>
                    <ServerLog profile={props.profile} />
                  </Show>
                </>
              )}
            </Show>
          )}
        </Show>
        <div class="oc-buttons">
          <Button icon="retry" busy={looking()} onClick={look}>
            {answer() === undefined ? strings.look : strings.refresh}
          </Button>
          <Show when={answer()?.server?.owner === "ours"}>
            <Button
              kind="danger"
              onClick={() => openDialog({ _tag: "StopServer", profile: props.profile, stopped: () => setAnswer({}) })}
            >
              {strings.stop}
            </Button>
          </Show>
        </div>
      </div>
    </Fold>
  )
}
