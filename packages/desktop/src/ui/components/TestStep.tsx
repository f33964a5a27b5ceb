/** The wizard's third step: the way of the connection examined step by step, as it happens. */
import { type DoctorStep, type StepId, type StepStatus, titles } from "@opencode-ai/ssh-tunnel/DoctorStep"
import type { ProfileDraft } from "@opencode-ai/ssh-tunnel/ProfileDraft"
import { createMemo, createSignal, For, type JSX, onCleanup, onMount, Show } from "solid-js"
import { useWindow } from "../Context.ts"
import type { Problem } from "../Problem.ts"
import { milliseconds, wizard } from "../Strings.ts"
import { Button } from "./Controls.tsx"
import { FailurePanel } from "./FailurePanel.tsx"
import { Icon, type IconName } from "./Icon.tsx"
import { ProblemNote } from "./ProblemNote.tsx"

const icons: { readonly [S in StepStatus]: IconName } = {
  ok: "check",
  failed: "cross",
  warning: "warning",
  skipped: "skipped"
}

const ids = Object.keys(titles) as ReadonlyArray<StepId>

export const TestStep = (props: { readonly draft: ProfileDraft }): JSX.Element => {
  const { store } = useWindow()
  const [found, setFound] = createSignal<ReadonlyArray<DoctorStep>>([])
  const [running, setRunning] = createSignal(false)
  const [problem, setProblem] = createSignal<Problem>()
  let stop = () => {}

  const run = () => {
    stop()
    setFound([])
    setProblem(undefined)
    setRunning(true)
    stop = store.read(
      store.bridge.examineDraft({ draft: props.draft }),
      (step) => setFound((before) => [...before, step]),
      { failure: setProblem, done: () => setRunning(false) }
    )
  }
  onMount(run)
  onCleanup(() => stop())

  const of = (id: StepId) => found().find((step) => step.id === id)
  const next = createMemo(() => running() ? ids.find((id) => of(id) === undefined) : undefined)
  const failed = createMemo(() => found().find(({ status }) => status === "failed"))
  const verdict = () => {
    if (running()) return wizard.testing
    if (failed() !== undefined) return wizard.testFailed
    if (problem() !== undefined || found().length < ids.length) return wizard.testCut
    return found().some(({ status }) => status === "warning") ? wizard.testWarned : wizard.testPassed
  }
  const tone = () =>
    running()
      ? "busy"
      : failed() !== undefined || problem() !== undefined || found().length < ids.length
      ? "bad"
      : "good"

  return (
    <div class="oc-step">
      <p class="oc-verdict" role="status" data-tone={tone()}>
        <span class="oc-strong">{verdict()}</span>
        <span class="oc-weak">{wizard.testIdle}</span>
        <Button
          data-autofocus=""
          kind="ghost"
          icon={running() ? "stop" : "retry"}
          onClick={() => running() ? stop() : run()}
        >
          {running() ? wizard.testStop : wizard.testAgain}
        </Button>
      </p>
      <Show when={problem()}>{(problem) => <ProblemNote problem={problem()} />}</Show>
      <ol class="oc-tests">
        <For each={ids}>
          {(id) => {
            const step = createMemo(() => of(id))
            return (
              <li class="oc-test" data-status={step()?.status ?? (next() === id ? "running" : "pending")}>
                <span class="oc-test-icon">
                  <Show when={step()} fallback={<Icon name={next() === id ? "spinner" : "circle"} />}>
                    {(step) => <Icon name={icons[step().status]} />}
                  </Show>
                </span>
                <span class="oc-test-title">{step()?.title ?? titles[id]}</span>
                <span class="oc-hidden">
                  : {step() === undefined
                    ? next() === id ? wizard.running : wizard.pending
                    : wizard.stepStatus[step()!.status]}
                </span>
                <span class="oc-test-time">{step() === undefined ? "" : milliseconds(step()!.durationMs)}</span>
                <Show when={(step()?.detail ?? "") !== ""}>
                  <bdi class="oc-test-detail">{step()?.detail}</bdi>
                </Show>
                <Show when={step()?.status !== "ok" ? step()?.error : undefined}>
                  {(error) => <FailurePanel error={error()} />}
                </Show>
              </li>
            )
          }}
        </For>
      </ol>
    </div>
  )
}
