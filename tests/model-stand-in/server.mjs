// A stand-in for the model APIs that coding agents speak, for tests without a network.
//
//   node server.mjs [--port N]        listens on 127.0.0.1 and prints {"port":N}
//
// It speaks what real agents use, and refuses the rest with a 4xx that it remembers:
//   POST /v1/messages, /v1/messages/count_tokens   Anthropic Messages (Claude Code)
//   POST /v1/responses                             OpenAI Responses (Codex)
//   HEAD /                                         Claude Code's look whether anybody is there
//
// A test scripts it and watches it:
//   POST /control/script    a list of replies; each request of an agent's main loop takes the next.
//                           {"say": TEXT} {"run": COMMAND, "say": TEXT} {"hold": TEXT, "then": TEXT} {"lines": N}
//                           {"error": STATUS}; "ask": TEXT beside "run" asks for leave where that is the model's to
//                           do (Codex; Claude Code asks by itself); when the list is empty, the answer is "All done."
//   POST /control/release   lets one held reply go on, or the next that will be held
//   GET  /control/wait?held=N&requests=N&replies=N   answers once so many replies are held now, requests came in,
//                           replies were finished
//   GET  /control/log       {"requests": [...], "refused": [...], "held": N, "left": N}
//   POST /control/reset     forgets all of it

import http from "node:http";
import * as anthropic from "./anthropic.mjs";
import * as openai from "./openai.mjs";
import { Refused } from "./refused.mjs";

const LARGEST_BODY = 32 << 20;
const REPLIES = ["say", "run", "ask", "hold", "then", "lines", "error"];

let script, requests, refused, releases, holding, waiters, finished, serial;

function reset() {
  script = [];
  requests = [];
  refused = [];
  releases = 0;
  holding = [];
  waiters = [];
  finished = 0;
  serial = 0;
}
reset();

/** Takes the next reply of the script as steps: text, hold, tool, error. */
function next_reply(main) {
  const reply = main ? (script.shift() ?? { say: "All done." }) : { say: "A title" };
  const steps = [];
  if (reply.error) return [{ error: reply.error }];
  if (reply.hold !== undefined) steps.push({ text: reply.hold }, { hold: true });
  if (reply.then !== undefined) steps.push({ text: reply.then });
  if (reply.say !== undefined) steps.push({ text: reply.say });
  for (let i = 1; i <= (reply.lines ?? 0); i++) steps.push({ text: `line ${i} of ${reply.lines}\n` });
  if (reply.run !== undefined) steps.push({ run: reply.run, ask: reply.ask });
  return steps;
}

function check_script(list) {
  if (!Array.isArray(list)) throw new Refused(400, "a script is a list of replies");
  for (const reply of list) {
    const keys = Object.keys(reply ?? {});
    const odd = keys.find((key) => !REPLIES.includes(key));
    if (keys.length === 0 || odd) throw new Refused(400, `no such reply: ${JSON.stringify(reply)}`);
  }
  return list;
}

/** Resolves once the test lets it, or once the agent has gone. */
function hold(gone) {
  if (releases > 0) {
    releases -= 1;
    return Promise.resolve();
  }
  return new Promise((resolve) => {
    const go = () => {
      holding = holding.filter((h) => h !== go);
      resolve();
    };
    holding.push(go);
    gone.addEventListener("abort", go, { once: true });
    wake();
  });
}

function wake() {
  const done = (w) =>
    holding.length >= w.held && requests.length >= w.requests && finished >= w.replies;
  for (const waiter of waiters.filter(done)) waiter.resolve();
  waiters = waiters.filter((w) => !done(w));
}

async function body_of(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > LARGEST_BODY) throw new Refused(413, "the body is too large");
    chunks.push(chunk);
  }
  if (size === 0) throw new Refused(400, "there is no body");
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch (error) {
    throw new Refused(400, `the body is no JSON: ${error.message}`);
  }
}

function send(response, status, value) {
  const text = JSON.stringify(value);
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  response.end(text);
}

async function control(request, response, url) {
  const what = `${request.method} ${url.pathname}`;
  switch (what) {
    case "POST /control/script":
      script.push(...check_script(await body_of(request)));
      return send(response, 200, { left: script.length });
    case "POST /control/release":
      if (holding.length > 0) holding[0]();
      else releases += 1;
      return send(response, 200, { held: holding.length });
    case "POST /control/reset":
      for (const go of [...holding]) go();
      reset();
      return send(response, 200, {});
    case "GET /control/log":
      return send(response, 200, { requests, refused, held: holding.length, left: script.length, finished });
    case "GET /control/wait": {
      const number = (name) => Number(url.searchParams.get(name) ?? 0);
      await new Promise((resolve) => {
        waiters.push({ held: number("held"), requests: number("requests"), replies: number("replies"), resolve });
        wake();
      });
      return send(response, 200, { held: holding.length, requests: requests.length, replies: finished });
    }
    default:
      throw new Refused(404, `no such control: ${what}`);
  }
}

/** Answers a model request: checks it, then streams the next reply. */
async function model(dialect, request, response) {
  const body = await body_of(request);
  const main = dialect.check(request, body);
  requests.push({ path: request.url, main, model: body.model, last: dialect.last(body), said: dialect.said(body) });
  wake();
  const steps = next_reply(main);
  if (steps[0]?.error) return send(response, steps[0].error, dialect.error(steps[0].error));
  const gone = new AbortController();
  response.on("close", () => gone.abort());
  if (body.stream !== true) return send(response, 200, dialect.whole(body, steps, ++serial));
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  for await (const [event, data] of dialect.stream(body, steps, ++serial, () => hold(gone.signal))) {
    if (gone.signal.aborted) return;
    if (!response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)) {
      await new Promise((resolve) => {
        response.once("drain", resolve);
        gone.signal.addEventListener("abort", resolve, { once: true });
      });
    }
  }
  response.end();
  finished += 1;
  wake();
}

async function answer(request, response) {
  const url = new URL(request.url, "http://stand-in");
  if (url.pathname.startsWith("/control/")) return control(request, response, url);
  switch (`${request.method} ${url.pathname}`) {
    case "HEAD /":
      return response.writeHead(200).end();
    case "POST /v1/messages":
      return model(anthropic, request, response);
    case "POST /v1/messages/count_tokens":
      anthropic.check(request, await body_of(request), { counting: true });
      return send(response, 200, { input_tokens: 10 });
    case "POST /v1/responses":
      return model(openai, request, response);
    default:
      throw new Refused(404, `no such path: ${request.method} ${request.url}`);
  }
}

const server = http.createServer((request, response) => {
  answer(request, response).catch((error) => {
    const status = error.status ?? 500;
    refused.push({ method: request.method, path: request.url, status, why: error.message });
    if (response.headersSent) response.destroy();
    else send(response, status, { type: "error", error: { type: "invalid_request_error", message: error.message } });
  });
});

const at = process.argv.indexOf("--port");
server.listen(at > 0 ? Number(process.argv[at + 1]) : 0, "127.0.0.1", () => {
  console.log(JSON.stringify({ port: server.address().port }));
});
