/** A dialog over the window: takes the focus, gives it back, closes on Escape. */
import { Dialog } from "@kobalte/core/dialog"
import { type JSX, Show, untrack } from "solid-js"
import { useWindow } from "../Context.ts"
import { actions } from "../Strings.ts"
import { IconButton } from "./Controls.tsx"

export interface ModalProps {
  readonly title: string
  readonly text?: string
  readonly size?: "small" | "large"
  /** A question that must be answered: a click beside it does not close it. */
  readonly alert?: boolean
  readonly aside?: JSX.Element
  readonly footer?: JSX.Element
  readonly children: JSX.Element
}

export const Modal = (props: ModalProps): JSX.Element => {
  const { closeDialog, layer } = useWindow()
  const before = document.activeElement
  /** The focus goes back to where it was; what is gone by then (a menu, a removed row) is stood for by the list. */
  const restore = () => {
    const stillThere = before instanceof HTMLElement && before.isConnected && before !== document.body
    const target = stillThere
      ? before
      : document.querySelector(".oc-row[data-current=true] .oc-row-main") ??
        document.querySelector(".oc-main .oc-button")
    if (target instanceof HTMLElement) target.focus()
  }
  return (
    <Dialog open onOpenChange={(open) => !open && closeDialog()} modal preventScroll={false}>
      <Dialog.Portal mount={layer()!}>
        <Dialog.Overlay class="oc-overlay" />
        <div class="oc-dialog-place">
          <Dialog.Content
            class="oc-dialog"
            data-size={props.size ?? "small"}
            role={props.alert === true ? "alertdialog" : "dialog"}
            onOpenAutoFocus={(event: Event) => {
              const first = event.currentTarget instanceof Element
                ? event.currentTarget.querySelector("[data-autofocus]")
                : null
              if (!(first instanceof HTMLElement)) return
              event.preventDefault()
              // Kobalte dispatches this inside an effect, which must not follow what its own focus listeners read.
              untrack(() => first.focus())
            }}
            onCloseAutoFocus={(event: Event) => {
              event.preventDefault()
              restore()
            }}
            onPointerDownOutside={(event: Event) => event.preventDefault()}
          >
            <header class="oc-dialog-head">
              <Dialog.Title class="oc-dialog-title">{props.title}</Dialog.Title>
              {props.aside}
              <IconButton icon="close" label={actions.close} onClick={closeDialog} />
            </header>
            <div class="oc-dialog-body">
              <Show when={props.text}>
                <Dialog.Description class="oc-dialog-text">{props.text}</Dialog.Description>
              </Show>
              {props.children}
            </div>
            <Show when={props.footer}>
              <footer class="oc-dialog-foot">{props.footer}</footer>
            </Show>
          </Dialog.Content>
        </div>
      </Dialog.Portal>
    </Dialog>
  )
}
