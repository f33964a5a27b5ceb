/** What every component of the window can reach. */
import type { Profile } from "@opencode-ai/ssh-tunnel/Profile"
import { type Accessor, createContext, useContext } from "solid-js"
import type { Store } from "./Store.ts"

/** The window's dialogs; one is open at a time. */
export type DialogName =
  | { readonly _tag: "Add" }
  | { readonly _tag: "Edit"; readonly profile: Profile }
  | { readonly _tag: "Remove"; readonly profile: Profile }
  | { readonly _tag: "Diagnostics"; readonly profile: Profile }
  | { readonly _tag: "StopServer"; readonly profile: Profile; readonly stopped: () => void }
  | { readonly _tag: "Keys" }

export interface WindowContext {
  readonly store: Store
  readonly dialog: Accessor<DialogName | undefined>
  readonly openDialog: (dialog: DialogName) => void
  readonly closeDialog: () => void
  /** Where dialogs, menus and notices live: inside the window, so that its tokens reach them. */
  readonly layer: Accessor<HTMLElement | undefined>
}

export const Context = createContext<WindowContext>()

export const useWindow = (): WindowContext => {
  const context = useContext(Context)
  if (context === undefined) throw new Error("a component of the window stands outside of it")
  return context
}
