/** The wizard's first step: a host of the ssh config, or whatever a person has at hand. */
import type { ConfigHost } from "@opencode-ai/desktop-bridge/BridgeApi"
import { type Destination } from "@opencode-ai/ssh-tunnel/Destination"
import { createEffect, createMemo, createSignal, createUniqueId, For, type JSX, onMount, Show } from "solid-js"
import { useWindow } from "../Context.ts"
import { blank, type Form, ofDestination, understand } from "../Draft.ts"
import type { Problem } from "../Problem.ts"
import { wizard } from "../Strings.ts"
import { EffectivePanel } from "./EffectivePanel.tsx"
import { ProblemNote } from "./ProblemNote.tsx"

interface Choice {
  readonly key: string
  readonly text: string
  readonly from: string
  readonly form: Form
}

const ofHost = ({ file, line, name }: ConfigHost): Choice => ({
  key: `host:${name}`,
  text: name,
  from: `${file}:${line}`,
  form: { ...blank, name, host: name }
})

const ofTyped = (destination: Destination): Choice => ({
  key: "typed",
  text: wizard.use(destination.toString()),
  from: wizard.typed,
  form: ofDestination(destination)
})

/** A list of thousands helps nobody; typing finds the rest. */
const most = 200

export const HostStep = (
  props: {
    readonly typed: string
    readonly onType: (text: string) => void
    /** The choice that Enter would take. */
    readonly onCurrent: (form: Form | undefined) => void
    readonly onPick: (form: Form) => void
  }
): JSX.Element => {
  const { store } = useWindow()
  const id = createUniqueId()
  const [hosts, setHosts] = createSignal<ReadonlyArray<ConfigHost>>()
  const [problem, setProblem] = createSignal<Problem>()
  const [active, setActive] = createSignal(0)
  let options!: HTMLUListElement

  onMount(() => store.run(store.bridge.hosts(undefined), { success: setHosts, failure: setProblem }))

  const understood = createMemo(() => understand(props.typed))
  const choices = createMemo<ReadonlyArray<Choice>>(() => {
    const text = props.typed.trim().toLowerCase()
    const found = (hosts() ?? []).filter(({ name }) => name.toLowerCase().includes(text)).slice(0, most).map(ofHost)
    const now = understood()
    if (now._tag !== "Destination") return found
    const exact = found.findIndex((choice) => choice.text === now.destination.toString())
    if (exact === -1) return [ofTyped(now.destination), ...found]
    return [...found.slice(exact, exact + 1), ...found.slice(0, exact), ...found.slice(exact + 1)]
  })
  createEffect(() => {
    choices()
    setActive(0)
  })
  const current = createMemo(() => choices()[active()])
  createEffect(() => props.onCurrent(current()?.form))
  const refusals = () => {
    const now = understood()
    return now._tag === "Refused" ? now.refusals : []
  }
  const notes = () => {
    const now = understood()
    return now._tag === "Destination" ? now.notes : []
  }

  const move = (to: number) => {
    const last = choices().length - 1
    setActive(Math.max(0, Math.min(last, to)))
    options.children[active()]?.scrollIntoView({ block: "nearest" })
  }
  const keys: { readonly [key: string]: () => void } = {
    ArrowDown: () => move(active() + 1),
    ArrowUp: () => move(active() - 1),
    PageDown: () => move(active() + 8),
    PageUp: () => move(active() - 8),
    Enter: () => {
      const choice = current()
      if (choice !== undefined) props.onPick(choice.form)
    }
  }

  return (
    <div class="oc-step">
      <div class="oc-field">
        <label class="oc-label" for={`${id}-input`}>{wizard.destination}</label>
        <input
          id={`${id}-input`}
          class="oc-input"
          type="text"
          role="combobox"
          aria-expanded="true"
          aria-controls={`${id}-list`}
          aria-autocomplete="list"
          aria-activedescendant={current() === undefined ? undefined : `${id}-${active()}`}
          aria-invalid={refusals().length > 0}
          aria-describedby={`${id}-refused`}
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          data-autofocus=""
          placeholder={wizard.destinationPlaceholder}
          value={props.typed}
          onInput={(event) => props.onType(event.currentTarget.value)}
          onKeyDown={(event) => {
            const act = keys[event.key]
            if (act === undefined) return
            event.preventDefault()
            act()
          }}
        />
        <div class="oc-refusals" id={`${id}-refused`} aria-live="polite">
          <For each={refusals()}>
            {({ explanation, option }) => (
              <p class="oc-field-error">
                <span class="oc-mono">{option}</span>
                {": "}
                {explanation}
              </p>
            )}
          </For>
          <For each={notes()}>
            {({ explanation, option }) => (
              <p class="oc-field-error" data-hint="true">
                <span class="oc-mono">{option}</span>
                {": "}
                {explanation}
              </p>
            )}
          </For>
        </div>
      </div>
      <div class="oc-hosts">
        <p class="oc-small-title" id={`${id}-title`}>{wizard.hosts}</p>
        <Show when={problem()}>{(problem) => <ProblemNote problem={problem()} title={wizard.hostsProblem} />}</Show>
        <ul
          class="oc-options"
          id={`${id}-list`}
          ref={options}
          role="listbox"
          aria-labelledby={`${id}-title`}
          tabindex="-1"
        >
          <For each={choices()}>
            {(choice, index) => (
              <li
                id={`${id}-${index()}`}
                class="oc-option"
                role="option"
                aria-selected={index() === active()}
                onPointerMove={() => setActive(index())}
                onClick={() => props.onPick(choice.form)}
              >
                <bdi class="oc-option-text">{choice.text}</bdi>
                <bdi class="oc-option-from">{choice.from}</bdi>
              </li>
            )}
          </For>
        </ul>
        <Show when={choices().length === 0 && problem() === undefined}>
          <p class="oc-weak oc-hosts-none">
            {hosts() === undefined
              ? wizard.hostsLoading
              : hosts()?.length === 0
              ? wizard.hostsNone
              : wizard.hostsNoMatch}
          </p>
        </Show>
      </div>
      <EffectivePanel form={current()?.form ?? blank} />
    </div>
  )
}
