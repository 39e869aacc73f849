// The OpenAI Responses API, as Codex uses it.

import { Refused } from "./refused.mjs";

const ITEMS = [
  "message", "function_call", "function_call_output", "reasoning", "custom_tool_call", "custom_tool_call_output",
  "additional_tools",
];

function need(true_, why) {
  if (!true_) throw new Refused(400, why);
}

/** Refuses what the real API would refuse; says whether the request belongs to the agent's main loop. */
export function check(request, body) {
  const { headers } = request;
  if (!/^Bearer .+/.test(headers.authorization ?? "")) throw new Refused(401, "there is no key");
  need(/^application\/json/.test(headers["content-type"] ?? ""), "content-type is not application/json");
  need(typeof body.model === "string" && body.model, "model is missing");
  need(Array.isArray(body.input) && body.input.length > 0, "input is empty");
  need(body.stream === true, "only streams are understood");
  const calls = new Set();
  for (const [i, item] of body.input.entries()) {
    need(ITEMS.includes(item.type), `input.${i} is of type ${item.type}`);
    if (item.type === "function_call") calls.add(item.call_id);
    if (item.type === "function_call_output") need(calls.has(item.call_id), `input.${i}: no call has the id ${item.call_id}`);
  }
  return shell(body) !== undefined;
}

/** The tool with which this Codex runs a command. */
function shell(body) {
  const names = ["exec_command", "shell_command", "shell"];
  return names.find((name) => (body.tools ?? []).some((tool) => tool.name === name));
}

export function last(body) {
  const item = body.input.at(-1);
  if (item.type === "function_call_output") {
    const { output } = item;
    return { tool_result: typeof output === "string" ? output : JSON.stringify(output) };
  }
  return { text: (item.content ?? []).map?.((c) => c.text).at(-1) };
}

/** Every text of the conversation so far, with who said it. */
export function said(body) {
  const messages = body.input.filter((item) => item.type === "message");
  return messages.flatMap(({ role, content }) => (content ?? []).map?.(({ text }) => ({ role, text })) ?? []);
}

export function error(status) {
  return { error: { type: "server_error", message: `the script says ${status}` } };
}

export function whole() {
  throw new Refused(400, "only streams are understood");
}

/** A call of the shell. `ask` is how Codex's model asks for leave to go beyond the sandbox. */
function call(body, { run: command, ask }, serial) {
  const name = shell(body);
  const input = { exec_command: { cmd: command }, shell_command: { command }, shell: { command: ["bash", "-c", command] } };
  if (ask) Object.assign(input[name], { sandbox_permissions: "require_escalated", justification: ask });
  return { type: "function_call", id: `fc_${serial}`, call_id: `call_${serial}`, name, arguments: JSON.stringify(input[name]) };
}

export async function* stream(body, steps, serial, hold) {
  const event = (type, data) => [type, { type, ...data }];
  const id = `resp_${serial}`;
  const item_id = `msg_${serial}`;
  yield event("response.created", { response: { id } });
  let text = "";
  const message = () => ({ type: "message", role: "assistant", id: item_id, content: [{ type: "output_text", text }] });
  for (const step of steps) {
    if (step.hold) {
      await hold();
    } else if (step.run) {
      if (text) yield event("response.output_item.done", { output_index: 0, item: message() });
      text = "";
      yield event("response.output_item.done", { output_index: 1, item: call(body, step, serial) });
    } else {
      if (!text) yield event("response.output_item.added", { output_index: 0, item: { ...message(), content: [] } });
      text += step.text;
      yield event("response.output_text.delta", { output_index: 0, item_id, content_index: 0, delta: step.text });
    }
  }
  if (text) yield event("response.output_item.done", { output_index: 0, item: message() });
  const usage = {
    input_tokens: 7, input_tokens_details: { cached_tokens: 0 },
    output_tokens: 3, output_tokens_details: { reasoning_tokens: 0 }, total_tokens: 10,
  };
  yield event("response.completed", { response: { id, usage } });
}
