/** The example for Django as its one command starts it, and nginx in front of it. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createServer, connect } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { BINARY, folder, until } from "./support.js";

const HERE = fileURLToPath(new URL("../../examples/django/", import.meta.url));

/** Ends programs at the test's end, or at the run's, and then takes their folder away. */
function stage(t) {
  const children = [];
  const end = () => { for (const child of children) child.kill("SIGTERM"); };
  process.once("exit", end);
  t.after(async () => {
    process.off("exit", end);
    end();
    await Promise.all(children.map((child) => child.ended));
  });
  // What is asked for first is done first.
  const dir = folder(t);
  const start = (command, args, options) => {
    const child = spawn(command, args, options);
    child.ended = new Promise((resolve) => child.once("exit", resolve));
    children.push(child);
    return child;
  };
  return { dir, start };
}

/** memcached, gunicorn with the project, Dumbwaiter; `env` is the project's, `flags` are Dumbwaiter's. */
export async function example(t, { env = {}, flags = [] } = {}) {
  const { dir: data, start } = stage(t);
  const options = { cwd: HERE, stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, ...env, EXAMPLE_DATA: data, DUMBWAITER_BIN: BINARY } };
  const child = start("python3", ["start.py", "--listen", "127.0.0.1:0", "--trusted-proxy", "127.0.0.1", ...flags], options);
  const lines = createInterface({ input: child.stdout });
  let app;
  for await (const line of lines) {
    app ??= / --app (\S+) /.exec(line)?.[1];
    const address = /^Dumbwaiter is at (http:\/\/[^/]+)/.exec(line)?.[1];
    if (!address) continue;
    child.stdout.resume();
    const list = (name) => readdirSync(join(data, name)).sort();
    return { address, app, data, pictures: () => list("pictures"), read: (name) => readFileSync(join(data, "pictures", name)) };
  }
  throw new Error("the example ended before it named its address");
}

/** Has the project's Python do something, and gives what it prints. */
export function python(server, code) {
  const venv = fileURLToPath(new URL("../../target/django-app/bin/python", import.meta.url));
  const { status, stdout, stderr } = spawnSync(venv, ["manage.py", "shell", "-c", code], { cwd: HERE, encoding: "utf8", env: { ...process.env, EXAMPLE_DATA: server.data } });
  assert.equal(status, 0, stderr);
  return stdout.trim().split("\n").at(-1);
}

/** nginx in front, which a visitor reaches at ::1: an address that is not the one from which the app is asked. */
export async function nginx(t, server) {
  const { dir, start } = stage(t);
  const port = await freePort();
  writeFileSync(join(dir, "nginx.conf"), `daemon off; master_process off; pid ${dir}/pid; error_log ${dir}/error.log;
events { }
http {
    access_log off; client_body_temp_path ${dir}/body; proxy_temp_path ${dir}/proxy;
    fastcgi_temp_path ${dir}/f; uwsgi_temp_path ${dir}/u; scgi_temp_path ${dir}/s;
    server {
        listen [::1]:${port};
        client_max_body_size 0;
        location / {
            proxy_pass ${server.address};
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_buffering off;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
        }
    }
}
`);
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };
  start("nginx", ["-e", join(dir, "error.log"), "-c", join(dir, "nginx.conf")], { stdio: "inherit", env });
  await until(() => reached(port), (is) => is);
  return { ...server, url: `http://[::1]:${port}/` };
}

function freePort() {
  const server = createServer();
  return new Promise((resolve) => server.listen(0, "::1", () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  }));
}

function reached(port) {
  return new Promise((resolve) => {
    const socket = connect(port, "::1", () => resolve(true));
    socket.on("connect", () => socket.destroy()).on("error", () => resolve(false));
  });
}

/** Asks the project's own view again and again until it says that the upload has ended; gives all that it said. */
export async function asked(url, id) {
  const said = [];
  for (;;) {
    const answer = await (await fetch(`${url}get_upload_progress?X-Progress-ID=${id}`)).json();
    if (answer === null && said.length > 0) return said;
    if (answer !== null) said.push(answer);
    assert.ok(said.length < 100_000);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
