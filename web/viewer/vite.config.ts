import { defineConfig } from "vite";

export default defineConfig({
  base: "./", // the page is served at / and /viewer/
  build: {
    target: "es2022",
    assetsInlineLimit: 0, // the Content-Security-Policy forbids data: URLs
    modulePreload: { polyfill: false }, // the polyfill is an inline script
    // three.js is a separate chunk that only the floor page loads.
    chunkSizeWarningLimit: 800,
    rollupOptions: {
      output: {
        // A separate file with its original export names, so that a test can replace it.
        manualChunks: (id) => (id.endsWith("/src/teardown.ts") ? "teardown" : undefined),
        minifyInternalExports: false,
      },
    },
  },
  server: { proxy: { "^/(renders|sensors|operations|healthz|metrics)": "http://127.0.0.1:8080" } },
});
