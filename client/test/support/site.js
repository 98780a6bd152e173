/** A site that is not ours: a page on an origin of its own, with a client of tus in it, whose uploads go to our server. */
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const PAGE = `<!doctype html><meta charset="utf-8"><title>A site</title><link rel="icon" href="data:,">
<input type="file" id="file" multiple><script type="module" src="/site.js"></script>`;

/** Serves the page with the script at `path` (beside this file, bundled with what it imports); `url` is the page's. */
export async function site(t, path) {
  const entry = fileURLToPath(new URL(path, import.meta.url));
  const { outputFiles: [{ contents }] } = await build({ entryPoints: [entry], bundle: true, format: "esm", write: false });
  const server = createServer((request, response) => {
    const script = request.url === "/site.js";
    response.writeHead(200, { "content-type": script ? "text/javascript" : "text/html" }).end(script ? contents : PAGE);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const origin = `http://127.0.0.1:${server.address().port}`;
  return { url: `${origin}/`, origin };
}
