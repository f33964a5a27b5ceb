/** Puts the window into a page. */
import { render } from "solid-js/web"
import { App } from "./components/App.tsx"
import { makeStore } from "./Store.ts"
import "./tokens.css"
import "./window.css"
import type { WindowOptions } from "./Window.ts"

/**
 * Shows the Connections window in an element, which it fills, and starts to
 * follow the bridge. The returned function takes everything away again: the
 * window, its streams, its timers.
 *
 * **Gotchas**
 *
 * The host's bundler must know CSS imports and Solid's JSX (vite-plugin-solid);
 * one instance of solid-js in the page is enough for several windows.
 */
export const mount = (element: HTMLElement, options: WindowOptions): () => void => {
  element.classList.add("oc-window")
  if (options.scheme !== undefined) element.dataset["scheme"] = options.scheme
  const dispose = render(() => <App store={makeStore(options)} />, element)
  return () => {
    dispose()
    element.classList.remove("oc-window")
    delete element.dataset["scheme"]
  }
}
