import { defineConfig } from "vite"
import solid from "vite-plugin-solid"

/**
 * The window as one page of static files: no inline script, no inline style, nothing from elsewhere, so that the
 * strictest content security policy fits it.
 */
export default defineConfig({
  root: import.meta.dirname,
  base: "./",
  plugins: [solid({ hot: false })],
  logLevel: "warn",
  // Our scripts never read it from the page's environment.
  envPrefix: "OPENCODE_SSH_WINDOW_",
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2023",
    // A data: address would need a hole in the policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: { checks: { pluginTimings: false } }
  }
})
