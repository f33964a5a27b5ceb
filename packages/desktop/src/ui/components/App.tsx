/** The whole window: the list, the selected connection, and what lies over them. */
import { createMemo, createSignal, type JSX, Match, Show, Switch } from "solid-js"
import { Context, type DialogName } from "../Context.ts"
import type { Store } from "../Store.ts"
import { empty, gone, list } from "../Strings.ts"
import { ConnectionDetail } from "./ConnectionDetail.tsx"
import { ConnectionList } from "./ConnectionList.tsx"
import { Button } from "./Controls.tsx"
import { DiagnosticsDialog, KeysDialog, RemoveDialog, StopServerDialog } from "./Dialogs.tsx"
import { Icon } from "./Icon.tsx"
import { Notices } from "./Notices.tsx"
import { ProblemNote } from "./ProblemNote.tsx"
import { ProfileDialog } from "./ProfileDialog.tsx"

const Dialogs = (props: { readonly dialog: DialogName | undefined }): JSX.Element => (
  <Show when={props.dialog} keyed>
    {(dialog) => {
      switch (dialog._tag) {
        case "Add":
          return <ProfileDialog />
        case "Edit":
          return <ProfileDialog profile={dialog.profile} />
        case "Remove":
          return <RemoveDialog profile={dialog.profile} />
        case "Diagnostics":
          return <DiagnosticsDialog profile={dialog.profile} />
        case "StopServer":
          return <StopServerDialog profile={dialog.profile} stopped={dialog.stopped} />
        default:
          return <KeysDialog />
      }
    }}
  </Show>
)

export const App = (props: { readonly store: Store }): JSX.Element => {
  const { store } = props
  const [dialog, setDialog] = createSignal<DialogName>()
  const [layer, setLayer] = createSignal<HTMLElement>()
  /** Where there is no room for both panes: which of them is shown. */
  const [inDetail, setInDetail] = createSignal(false)
  let detailPane!: HTMLDivElement
  let listPane!: HTMLDivElement
  const openDialog = (next: DialogName) => setDialog(next)

  const add = () => openDialog({ _tag: "Add" })
  const open = (focus: boolean) => {
    setInDetail(true)
    // A click has its own focus, unless what was clicked has just gone.
    const button = detailPane.querySelector(".oc-main-button")
    if ((focus || getComputedStyle(listPane).display === "none") && button instanceof HTMLElement) button.focus()
  }
  const back = () => {
    setInDetail(false)
    const row = listPane.querySelector(".oc-row[data-current=true] .oc-row-main")
    if (row instanceof HTMLElement) row.focus()
  }
  const profileId = createMemo(() => store.selected()?.id)
  const isEmpty = () => store.profiles()?.length === 0 && store.troubles().length === 0

  return (
    <Context.Provider
      value={{ store, dialog, openDialog, closeDialog: () => setDialog(undefined), layer }}
    >
      <main class="oc-app">
        <h1 class="oc-hidden">{list.title}</h1>
        <div class="oc-main" data-view={inDetail() && profileId() !== undefined ? "detail" : "list"}>
          <Switch>
            <Match when={isEmpty()}>
              <section class="oc-empty">
                <h2 class="oc-title">{empty.title}</h2>
                <p>{empty.text}</p>
                <Button kind="primary" icon="plus" data-autofocus="" onClick={add}>{empty.action}</Button>
                <p class="oc-weak oc-small oc-empty-about">
                  <bdi>{store.about()?.application ?? ""}</bdi>
                </p>
              </section>
            </Match>
            <Match when={true}>
              <div class="oc-pane oc-list-pane" ref={listPane}>
                <ConnectionList onOpen={open} />
              </div>
              <div class="oc-pane oc-detail-pane" ref={detailPane}>
                <Show when={store.listProblem()}>
                  {(problem) => <ProblemNote problem={problem()} title={list.storeProblem} />}
                </Show>
                <Show
                  when={profileId()}
                  keyed
                  fallback={
                    <p class="oc-nothing">
                      {store.profiles() === undefined && store.listProblem() === undefined ? list.loading : empty.pick}
                    </p>
                  }
                >
                  {(_id) => (
                    <Show when={store.selected()}>
                      {(profile) => <ConnectionDetail profile={profile()} onBack={back} />}
                    </Show>
                  )}
                </Show>
              </div>
            </Match>
          </Switch>
        </div>
        <p class="oc-hidden" role="status">{store.news.announced()}</p>
        <div class="oc-gone" role="alert" data-shown={store.link() === "lost"}>
          <Show when={store.link() === "lost"}>
            <Icon name="spinner" />
            <p>
              <span class="oc-strong">{gone.title}</span> {gone.text}
            </p>
          </Show>
        </div>
        <div class="oc-layer" ref={setLayer} />
        <Show when={layer()}>
          <Dialogs dialog={dialog()} />
        </Show>
        <Notices />
      </main>
    </Context.Provider>
  )
}
