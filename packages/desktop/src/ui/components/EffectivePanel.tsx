/** What ssh makes of the form: user, address, port, jump, keys. Asked when the typing has stopped. */
import type { Effective } from "@opencode-ai/desktop-bridge/BridgeApi"
import { createEffect, createMemo, createSignal, For, type JSX, on, onCleanup, Show } from "solid-js"
import { useWindow } from "../Context.ts"
import { type Form, target } from "../Draft.ts"
import type { Problem } from "../Problem.ts"
import { detail, wizard } from "../Strings.ts"
import * as Timing from "../Timing.ts"
import { Fold, Foreign } from "./Controls.tsx"
import { Icon } from "./Icon.tsx"

export const EffectivePanel = (
  props: {
    readonly form: Form
    /** Also all parameters, folded. */
    readonly whole?: boolean
    readonly onEffective?: (effective: Effective | undefined) => void
  }
): JSX.Element => {
  const { store } = useWindow()
  const [effective, setEffective] = createSignal<Effective>()
  const [problem, setProblem] = createSignal<Problem>()
  const [asking, setAsking] = createSignal(false)
  // Only what ssh -G depends on asks anew.
  const question = createMemo(() => target(props.form), undefined, {
    equals: (a, b) => JSON.stringify(a) === JSON.stringify(b)
  })
  let stop = () => {}
  let timer: ReturnType<typeof setTimeout> | undefined
  const cancel = () => {
    clearTimeout(timer)
    stop()
  }
  onCleanup(cancel)

  createEffect(on(question, (asked) => {
    cancel()
    if (asked === undefined) {
      setAsking(false)
      setEffective(undefined)
      setProblem(undefined)
      return
    }
    setAsking(true)
    timer = setTimeout(() => {
      stop = store.run(store.bridge.effective(asked), {
        success: (answer) => {
          setEffective(answer)
          setProblem(undefined)
          setAsking(false)
        },
        failure: (why) => {
          setEffective(undefined)
          setProblem(why)
          setAsking(false)
        }
      })
    }, Timing.effectiveDebounce)
  }))
  createEffect(() => props.onEffective?.(effective()))

  return (
    <div class="oc-effective" aria-live="polite" aria-busy={asking()}>
      <p class="oc-effective-line" data-stale={asking()}>
        <span class="oc-effective-label">{wizard.effective}</span>
        <Show
          when={effective()}
          fallback={
            <span class={problem() === undefined ? "oc-weak" : "oc-bad"}>
              {problem() !== undefined
                ? <Foreign>{problem()?.message}</Foreign>
                : asking()
                ? wizard.effectiveWait
                : props.form.host.trim() === ""
                ? wizard.effectiveIdle
                : wizard.effectiveWrong}
            </span>
          }
        >
          {(found) => (
            <>
              <Foreign mono>{wizard.effectiveOf(found().user, found().hostname, found().port)}</Foreign>
              <Show when={found().proxyJump}>
                {(jump) => <Foreign mono>{detail.via(jump())}</Foreign>}
              </Show>
              <span class="oc-weak oc-effective-keys">
                <Foreign>{wizard.effectiveKeys(found().identityFiles, found().identitiesOnly)}</Foreign>
              </span>
            </>
          )}
        </Show>
        <Show when={asking()}>
          <Icon name="spinner" class="oc-effective-spinner" />
        </Show>
      </p>
      <Show when={props.whole === true && effective()}>
        {(found) => (
          <Fold title={wizard.effectiveAll(found().parameters.length)}>
            <dl class="oc-facts">
              <For each={found().parameters}>
                {({ keyword, value }) => (
                  <div class="oc-fact">
                    <dt class="oc-fact-label oc-mono">{keyword}</dt>
                    <dd class="oc-fact-value">
                      <Foreign mono>{value}</Foreign>
                    </dd>
                  </div>
                )}
              </For>
            </dl>
          </Fold>
        )}
      </Show>
    </div>
  )
}
