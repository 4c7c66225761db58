import { defineConfig } from "vite";

export default defineConfig({
  base: "./", // the page is served at / and at /viewer/
  build: {
    target: "es2022",
    assetsInlineLimit: 0, // the Content-Security-Policy takes no data: URL
    modulePreload: { polyfill: false }, // it would be a script inside the page
    // three.js comes with the floor alone: everybody else never loads it.
    chunkSizeWarningLimit: 800,
    rollupOptions: {
      output: {
        // A file of its own, under its own names: a test puts another one in its place.
        manualChunks: (id) => (id.endsWith("/src/teardown.ts") ? "teardown" : undefined),
        minifyInternalExports: false,
      },
    },
  },
  server: { proxy: { "^/(renders|sensors|operations|healthz|metrics)": "http://127.0.0.1:8080" } },
});
