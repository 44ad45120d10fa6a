// How the page is built: one script and one style sheet, named by their content, beside index.html.
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  root: fileURLToPath(new URL(".", import.meta.url)),
  build: {
    target: "es2022",
    assetsDir: "assets",
    modulePreload: false,
    // Nothing inline: the content security policy of the collector forbids it.
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    reportCompressedSize: false,
    // The licences of the libraries in the script require to be passed on with it. A JSON file, because the collector serves those.
    license: { fileName: "assets/licences.json" },
  },
  // npm run dev: everything but the page is the collector's.
  server: {
    proxy: { "^/(?!web|src|node_modules|@|index.html).+": process.env.COLLECTOR ?? "http://127.0.0.1:8080" },
  },
  test: { include: ["src/**/*.test.ts"] },
});
