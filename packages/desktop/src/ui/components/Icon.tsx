/** The window's icons: drawn here, 16 × 16, in the colour of their text. */
import type { JSX } from "solid-js"

const shapes = {
  circle: () => <circle cx="8" cy="8" r="4.25" />,
  check: () => (
    <>
      <circle cx="8" cy="8" r="6" fill="currentColor" stroke="none" />
      <path class="oc-icon-knockout" d="m5.4 8.2 1.8 1.8 3.4-3.8" />
    </>
  ),
  cross: () => (
    <>
      <circle cx="8" cy="8" r="6" fill="currentColor" stroke="none" />
      <path class="oc-icon-knockout" d="m6 6 4 4m0-4-4 4" />
    </>
  ),
  spinner: () => (
    <>
      <circle cx="8" cy="8" r="5" opacity="0.3" />
      <path class="oc-icon-spin" d="M8 3a5 5 0 0 1 5 5" />
    </>
  ),
  retry: () => (
    <>
      <path d="M13 8a5 5 0 1 1-1.5-3.6" />
      <path d="M13 2.5v2.6h-2.6" />
    </>
  ),
  warning: () => (
    <>
      <path d="M8 2.6 14 13H2z" />
      <path d="M8 6.6v3m0 1.5v.4" />
    </>
  ),
  danger: () => (
    <>
      <path d="M5.5 2h5L14 5.5v5L10.5 14h-5L2 10.5v-5z" />
      <path d="M8 5v3.8m0 1.7v.4" />
    </>
  ),
  skipped: () => <path d="M5 8h6" />,
  plus: () => <path d="M8 3v10M3 8h10" />,
  more: () => (
    <g fill="currentColor" stroke="none">
      <circle cx="3.5" cy="8" r="1.1" />
      <circle cx="8" cy="8" r="1.1" />
      <circle cx="12.5" cy="8" r="1.1" />
    </g>
  ),
  search: () => (
    <>
      <circle cx="7" cy="7" r="4.25" />
      <path d="m10.2 10.2 3.3 3.3" />
    </>
  ),
  close: () => <path d="m4 4 8 8m0-8-8 8" />,
  chevron: () => <path d="m6 4 4 4-4 4" />,
  back: () => <path d="M10 3.5 5.5 8l4.5 4.5" />,
  keyboard: () => (
    <>
      <rect x="1.75" y="4" width="12.5" height="8" rx="1.5" />
      <path d="M4.3 6.6h.4m2 0h.4m2 0h.4m2 0h.4M5 9.4h6" />
    </>
  ),
  connect: () => <path d="M8 2v5.5M4.8 4.3a5 5 0 1 0 6.4 0" />,
  stop: () => <rect x="4.5" y="4.5" width="7" height="7" rx="1" />,
  open: () => (
    <>
      <path d="M9.5 2.5h4v4M13 3 7.5 8.5" />
      <path d="M11.5 9.5v3a1 1 0 0 1-1 1h-7a1 1 0 0 1-1-1v-7a1 1 0 0 1 1-1h3" />
    </>
  ),
  copy: () => (
    <>
      <rect x="5.5" y="5.5" width="8" height="8" rx="1.2" />
      <path d="M10.5 5.5v-2a1 1 0 0 0-1-1h-6a1 1 0 0 0-1 1v6a1 1 0 0 0 1 1h2" />
    </>
  ),
  laptop: () => (
    <>
      <rect x="3" y="3" width="10" height="7.5" rx="1" />
      <path d="M1.5 13h13" />
    </>
  ),
  hop: () => (
    <>
      <path d="M2.5 12V9a4 4 0 0 1 4-4h6" />
      <path d="m10 2.5 2.8 2.5L10 7.5" />
    </>
  ),
  host: () => (
    <>
      <rect x="2.5" y="2.5" width="11" height="4.5" rx="1" />
      <rect x="2.5" y="9" width="11" height="4.5" rx="1" />
      <path d="M5 4.75h.3M5 11.25h.3" />
    </>
  ),
  server: () => (
    <>
      <rect x="2" y="2.5" width="12" height="11" rx="1.2" />
      <path d="m4.8 6 2 2-2 2M8.5 10.2h2.8" />
    </>
  )
} satisfies { readonly [name: string]: () => JSX.Element }

export type IconName = keyof typeof shapes

/** Decoration: what it means also stands beside it as a word, or as its button's label. */
export const Icon = (props: { readonly name: IconName; readonly class?: string }): JSX.Element => (
  <svg
    class={`oc-icon ${props.class ?? ""}`}
    viewBox="0 0 16 16"
    width="16"
    height="16"
    fill="none"
    stroke="currentColor"
    stroke-width="1.3"
    stroke-linecap="round"
    stroke-linejoin="round"
    aria-hidden="true"
  >
    {shapes[props.name]()}
  </svg>
)
