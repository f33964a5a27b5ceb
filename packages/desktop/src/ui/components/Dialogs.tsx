/** The window's small dialogs: questions, the report, the keys. */
import type { Profile } from "@opencode-ai/ssh-tunnel/Profile"
import { createEffect, createSignal, For, type JSX, onCleanup, Show } from "solid-js"
import { useWindow } from "../Context.ts"
import type { Problem } from "../Problem.ts"
import { isActive } from "../StateView.ts"
import { actions, diagnostics, notices, remove, server, shortcuts } from "../Strings.ts"
import { Button, CopyButton } from "./Controls.tsx"
import { Modal } from "./Modal.tsx"
import { ProblemNote } from "./ProblemNote.tsx"
import { Switch } from "./Switch.tsx"

/** A question about something that cannot be undone; the safe answer has the focus. */
const Question = (
  props: {
    readonly title: string
    readonly text: string
    readonly more?: string
    readonly action: string
    readonly busy: boolean
    readonly problem: Problem | undefined
    readonly act: () => void
  }
): JSX.Element => {
  const { closeDialog } = useWindow()
  return (
    <Modal
      alert
      title={props.title}
      text={props.text}
      footer={
        <>
          <Button data-autofocus="" onClick={closeDialog}>{actions.cancel}</Button>
          <Button kind="danger" busy={props.busy} onClick={props.act}>{props.action}</Button>
        </>
      }
    >
      <Show when={props.more}>
        <p>{props.more}</p>
      </Show>
      <Show when={props.problem}>{(problem) => <ProblemNote problem={problem()} />}</Show>
    </Modal>
  )
}

export const RemoveDialog = (props: { readonly profile: Profile }): JSX.Element => {
  const { closeDialog, store } = useWindow()
  const [busy, setBusy] = createSignal(false)
  const [problem, setProblem] = createSignal<Problem>()
  const act = () => {
    setBusy(true)
    store.run(store.bridge.removeProfile({ id: props.profile.id }), {
      success: () => {
        store.news.say({ tone: "neutral", title: notices.removed(props.profile.name), text: "" })
        closeDialog()
      },
      failure: setProblem,
      done: () => setBusy(false)
    })
  }
  return (
    <Question
      title={remove.title(props.profile.name)}
      text={remove.text}
      {...(isActive(store.state(props.profile.id)) ? { more: remove.connected } : {})}
      action={remove.action}
      busy={busy()}
      problem={problem()}
      act={act}
    />
  )
}

export const StopServerDialog = (props: { readonly profile: Profile; readonly stopped: () => void }): JSX.Element => {
  const { closeDialog, store } = useWindow()
  const [busy, setBusy] = createSignal(false)
  const [problem, setProblem] = createSignal<Problem>()
  const act = () => {
    setBusy(true)
    store.run(store.bridge.serverStop({ id: props.profile.id }), {
      success: () => {
        store.news.say({ tone: "neutral", title: server.stopped, text: "" })
        props.stopped()
        closeDialog()
      },
      failure: setProblem,
      done: () => setBusy(false)
    })
  }
  return (
    <Question
      title={server.stopTitle}
      text={server.stopText(props.profile.name)}
      action={server.stopAction}
      busy={busy()}
      problem={problem()}
      act={act}
    />
  )
}

export const DiagnosticsDialog = (props: { readonly profile: Profile }): JSX.Element => {
  const { closeDialog, store } = useWindow()
  const [realNames, setRealNames] = createSignal(false)
  const [report, setReport] = createSignal<string>()
  const [problem, setProblem] = createSignal<Problem>()
  let stop = () => {}
  onCleanup(() => stop())
  createEffect(() => {
    const pseudonyms = !realNames()
    stop()
    // What was made with the other setting must not be copied by mistake.
    setReport(undefined)
    setProblem(undefined)
    stop = store.run(store.bridge.diagnostics({ id: props.profile.id, format: "markdown", pseudonyms }), {
      success: setReport,
      failure: setProblem
    })
  })
  const size = () => diagnostics.size((new TextEncoder().encode(report() ?? "").length / 1024).toFixed(1))
  return (
    <Modal
      size="large"
      title={diagnostics.title}
      text={diagnostics.text}
      footer={
        <>
          <span class="oc-weak oc-foot-note">{report() === undefined ? "" : size()}</span>
          <Button onClick={closeDialog}>{actions.close}</Button>
          <Show when={report()} fallback={<Button kind="primary" disabled>{diagnostics.action}</Button>}>
            {(report) => <CopyButton kind="primary" text={report()} label={diagnostics.action} />}
          </Show>
        </>
      }
    >
      <Switch
        label={diagnostics.realNames}
        text={diagnostics.realNamesText}
        checked={realNames()}
        onChange={setRealNames}
      />
      <Show when={problem()}>{(problem) => <ProblemNote problem={problem()} />}</Show>
      <pre
        class="oc-report"
        tabindex="0"
        role="region"
        aria-label={diagnostics.preview}
        aria-busy={report() === undefined}
      >
        {report() ?? (problem() === undefined ? diagnostics.loading : "")}
      </pre>
    </Modal>
  )
}

export const KeysDialog = (): JSX.Element => (
  <Modal title={shortcuts.title} text={shortcuts.text}>
    <dl class="oc-keys">
      <For each={shortcuts.keys}>
        {([keys, what]) => (
          <div class="oc-key">
            <dt>
              <For each={keys.split(" ")}>{(key) => <kbd class="oc-kbd">{key}</kbd>}</For>
            </dt>
            <dd>{what}</dd>
          </div>
        )}
      </For>
    </dl>
  </Modal>
)
