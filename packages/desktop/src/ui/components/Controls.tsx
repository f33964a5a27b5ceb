/** The small parts that every screen is made of. */
import { createSignal, createUniqueId, type JSX, onCleanup, Show, splitProps } from "solid-js"
import { useWindow } from "../Context.ts"
import { actions } from "../Strings.ts"
import * as Timing from "../Timing.ts"
import { Icon, type IconName } from "./Icon.tsx"

type NativeButton = JSX.ButtonHTMLAttributes<HTMLButtonElement>

export interface ButtonProps extends NativeButton {
  readonly kind?: "primary" | "plain" | "ghost" | "danger"
  readonly icon?: IconName
  /** Its call is under way: it keeps its place and its focus, and does nothing. */
  readonly busy?: boolean
}

export const Button = (props: ButtonProps): JSX.Element => {
  const [own, native] = splitProps(props, ["kind", "icon", "busy", "children", "class", "onClick"])
  return (
    <button
      type="button"
      {...native}
      class={`oc-button ${own.class ?? ""}`}
      data-kind={own.kind ?? "plain"}
      aria-busy={own.busy === true}
      onClick={(event) => {
        if (own.busy !== true && typeof own.onClick === "function") own.onClick(event)
      }}
    >
      <Show when={own.icon}>{(name) => <Icon name={own.busy === true ? "spinner" : name()} />}</Show>
      <span class="oc-button-text">{own.children}</span>
    </button>
  )
}

/** A button of one icon; `label` is its name and its tooltip. */
export const IconButton = (props: NativeButton & { readonly icon: IconName; readonly label: string }): JSX.Element => {
  const [own, native] = splitProps(props, ["icon", "label", "class"])
  return (
    <button
      type="button"
      {...native}
      class={`oc-icon-button ${own.class ?? ""}`}
      aria-label={own.label}
      title={own.label}
    >
      <Icon name={own.icon} />
    </button>
  )
}

/** Copies a text and says so in its own place. */
export const CopyButton = (
  props: { readonly text: string; readonly label?: string; readonly kind?: ButtonProps["kind"]; readonly name?: string }
): JSX.Element => {
  const { store } = useWindow()
  const [copied, setCopied] = createSignal(false)
  let timer: ReturnType<typeof setTimeout> | undefined
  onCleanup(() => clearTimeout(timer))
  const copy = async () => {
    if (!await store.clipboard.copy(props.text)) return
    setCopied(true)
    clearTimeout(timer)
    timer = setTimeout(() => setCopied(false), Timing.copied)
  }
  return (
    <Button kind={props.kind ?? "plain"} class="oc-copy" aria-label={props.name} onClick={() => void copy()}>
      {/* Both words are there, so that the button keeps its width. */}
      <span class="oc-copy-word" data-shown={!copied()}>{props.label ?? actions.copy}</span>
      <span class="oc-copy-word" data-shown={copied()} aria-live="polite">{copied() ? actions.copied : ""}</span>
    </Button>
  )
}

/** A command for a terminal, with a button that copies it. */
export const Command = (props: { readonly text: string; readonly label: string }): JSX.Element => (
  <div class="oc-command">
    <code class="oc-command-text" tabindex="0" role="group" aria-label={props.label}>{props.text}</code>
    <CopyButton text={props.text} name={`${actions.copy}: ${props.label}`} />
  </div>
)

export interface FieldProps {
  readonly label: string
  readonly value: string
  readonly onInput: (value: string) => void
  readonly error?: string | undefined
  readonly hint?: string | undefined
  readonly placeholder?: string | undefined
  readonly inputMode?: "numeric" | "text"
  readonly autofocus?: boolean
}

/** A labelled line of text; its error stands beside it, in a place that is always there. */
export const Field = (props: FieldProps): JSX.Element => {
  const id = createUniqueId()
  return (
    <div class="oc-field">
      <label class="oc-label" for={id}>{props.label}</label>
      <input
        id={id}
        class="oc-input"
        type="text"
        value={props.value}
        placeholder={props.placeholder ?? ""}
        inputmode={props.inputMode ?? "text"}
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        aria-invalid={props.error !== undefined}
        aria-describedby={`${id}-error`}
        data-autofocus={props.autofocus === true ? "" : undefined}
        onInput={(event) => props.onInput(event.currentTarget.value)}
      />
      <p class="oc-field-error" id={`${id}-error`} data-hint={props.error === undefined}>
        {props.error ?? props.hint ?? ""}
      </p>
    </div>
  )
}

/** A part that can be folded; native, so that it works everywhere. */
export const Fold = (
  props: {
    readonly title: string
    readonly children: JSX.Element
    readonly onToggle?: (open: boolean) => void
    readonly open?: boolean
  }
): JSX.Element => (
  <details
    class="oc-fold"
    open={props.open === true}
    onToggle={(event) => props.onToggle?.(event.currentTarget.open)}
  >
    <summary class="oc-fold-title">
      <Icon name="chevron" class="oc-fold-chevron" />
      {props.title}
    </summary>
    <div class="oc-fold-body">{props.children}</div>
  </details>
)

export interface Fact {
  readonly label: string
  readonly value: JSX.Element
}

/** Names and values in two columns. */
export const Facts = (props: { readonly facts: ReadonlyArray<Fact | undefined> }): JSX.Element => (
  <dl class="oc-facts">
    {props.facts.map((fact) =>
      fact === undefined ? null : (
        <div class="oc-fact">
          <dt class="oc-fact-label">{fact.label}</dt>
          <dd class="oc-fact-value">{fact.value}</dd>
        </div>
      )
    )}
  </dl>
)

/** Text of another machine: shown as text, apart from ours also for writing directions. */
export const Foreign = (props: { readonly children: JSX.Element; readonly mono?: boolean }): JSX.Element => (
  <bdi class={props.mono === true ? "oc-mono" : ""}>{props.children}</bdi>
)
