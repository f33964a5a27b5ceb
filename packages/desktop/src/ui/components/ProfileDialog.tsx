/** Add Connection, in three steps; and editing, which begins at the second. */
import type { Profile } from "@opencode-ai/ssh-tunnel/Profile"
import { Profile as ProfileClass } from "@opencode-ai/ssh-tunnel/Profile"
import { createEffect, createMemo, createSignal, For, type JSX, Match, on, Show, Switch } from "solid-js"
import { useWindow } from "../Context.ts"
import { blank, draft, type Errors, errors, type Field, type Form, ofProfile } from "../Draft.ts"
import type { Problem } from "../Problem.ts"
import { isActive } from "../StateView.ts"
import { wizard } from "../Strings.ts"
import { Button } from "./Controls.tsx"
import { HostStep } from "./HostStep.tsx"
import { Modal } from "./Modal.tsx"
import { OptionsStep } from "./OptionsStep.tsx"
import { ProblemNote } from "./ProblemNote.tsx"
import { TestStep } from "./TestStep.tsx"

type Step = "host" | "options" | "test"

const titles: { readonly [S in Step]: string } = {
  host: wizard.stepHost,
  options: wizard.stepOptions,
  test: wizard.stepTest
}

const order: ReadonlyArray<Step> = ["host", "options", "test"]

export const ProfileDialog = (props: { readonly profile?: Profile }): JSX.Element => {
  const { closeDialog, store } = useWindow()
  const editing = props.profile
  const [step, setStep] = createSignal<Step>(editing === undefined ? "host" : "options")
  const [typed, setTyped] = createSignal("")
  const [candidate, setCandidate] = createSignal<Form>()
  const [form, setForm] = createSignal<Form>(editing === undefined ? blank : ofProfile(editing))
  const [touched, setTouched] = createSignal<ReadonlySet<Field>>(new Set())
  const [saving, setSaving] = createSignal(false)
  const [problem, setProblem] = createSignal<Problem>()

  const wrong = createMemo(() => errors(form()))
  const ready = createMemo(() => draft(form(), editing))
  /** A field says what is missing only after somebody was there. */
  const shown = createMemo<Errors>(() =>
    Object.fromEntries(
      Object.entries(wrong()).filter(([field]) => form()[field as Field] !== "" || touched().has(field as Field))
    )
  )
  const touch = (fields: Iterable<string>) =>
    setTouched((before) => new Set([...before, ...fields] as ReadonlyArray<Field>))

  /** The draft, or the first wrong field with the focus on it. */
  const checked = () => {
    const now = ready()
    if (now !== undefined) return now
    touch(Object.keys(wrong()))
    setStep("options")
    queueMicrotask(() => {
      const first = document.querySelector(".oc-dialog [aria-invalid=true]")
      if (first instanceof HTMLElement) first.focus()
    })
    return undefined
  }

  // The button that was pressed is gone with its step.
  createEffect(on(step, () => {
    const first = document.querySelector(".oc-dialog .oc-step [data-autofocus]")
    if (first instanceof HTMLElement) first.focus()
  }, { defer: true }))

  const save = (connect: boolean) => {
    const now = checked()
    if (now === undefined || saving()) return
    setSaving(true)
    setProblem(undefined)
    const call = editing === undefined
      ? store.bridge.addProfile({ draft: now })
      : store.bridge.editProfile({ profile: new ProfileClass({ ...now, id: editing.id }) })
    store.run(call, {
      success: (saved) => {
        store.select(saved.id)
        if (connect) store.run(store.bridge.connect({ id: saved.id }))
        closeDialog()
      },
      failure: setProblem,
      done: () => setSaving(false)
    })
  }

  const pick = (picked: Form) => {
    setForm(picked)
    setStep("options")
  }

  const steps = editing === undefined ? order : order.slice(1)
  return (
    <Modal
      size="large"
      title={editing === undefined ? wizard.add : wizard.edit(editing.name)}
      aside={
        <ol class="oc-steps" aria-label={wizard.step(steps.indexOf(step()) + 1, steps.length)}>
          <For each={steps}>
            {(each) => <li aria-current={each === step() ? "step" : undefined}>{titles[each]}</li>}
          </For>
        </ol>
      }
      footer={
        <>
          <Show when={step() !== steps[0]}>
            <Button class="oc-foot-back" onClick={() => setStep(step() === "test" ? "options" : "host")}>
              {wizard.back}
            </Button>
          </Show>
          <Show when={step() === "host"}>
            <Button onClick={closeDialog}>{wizard.cancel}</Button>
            <Show when={candidate()} fallback={<Button kind="primary" disabled>{wizard.next}</Button>}>
              {(candidate) => <Button kind="primary" onClick={() => pick(candidate())}>{wizard.next}</Button>}
            </Show>
          </Show>
          <Show when={step() === "options"}>
            <Button onClick={() => checked() !== undefined && setStep("test")}>{wizard.test}</Button>
          </Show>
          <Show when={step() !== "host"}>
            <Button
              kind={editing === undefined ? "plain" : "primary"}
              busy={saving()}
              onClick={() => save(false)}
            >
              {wizard.save}
            </Button>
            <Show when={editing === undefined || !isActive(store.state(editing.id))}>
              <Button kind={editing === undefined ? "primary" : "plain"} busy={saving()} onClick={() => save(true)}>
                {wizard.saveConnect}
              </Button>
            </Show>
          </Show>
        </>
      }
    >
      <Show when={problem()}>{(problem) => <ProblemNote problem={problem()} />}</Show>
      <Switch>
        <Match when={step() === "host"}>
          <HostStep
            typed={typed()}
            onType={setTyped}
            onCurrent={setCandidate}
            onPick={pick}
          />
        </Match>
        <Match when={step() === "options"}>
          <Show when={editing !== undefined && isActive(store.state(editing.id))}>
            <p class="oc-weak oc-small">{wizard.reconnectNote}</p>
          </Show>
          <OptionsStep
            form={form()}
            errors={shown()}
            editing={editing !== undefined}
            onChange={(change) => {
              touch(Object.keys(change))
              // The name follows the host until somebody gives another.
              const { host } = change
              setForm((before) => ({
                ...before,
                ...change,
                ...(host !== undefined && before.name === before.host ? { name: host } : {})
              }))
            }}
          />
        </Match>
        <Match when={step() === "test" ? ready() : undefined}>{(draft) => <TestStep draft={draft()} />}</Match>
      </Switch>
    </Modal>
  )
}
