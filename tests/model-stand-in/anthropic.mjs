// The Anthropic Messages API, as Claude Code uses it.

import { Refused } from "./refused.mjs";

const BLOCKS = ["text", "tool_use", "tool_result", "image", "document", "thinking", "redacted_thinking"];

function need(true_, why) {
  if (!true_) throw new Refused(400, why);
}

/** Refuses what the real API would refuse; says whether the request belongs to the agent's main loop. */
export function check(request, body, { counting = false } = {}) {
  const { headers } = request;
  if (!headers["x-api-key"] && !headers.authorization) throw new Refused(401, "there is no key");
  need(headers["anthropic-version"], "anthropic-version is missing");
  need(/^application\/json/.test(headers["content-type"] ?? ""), "content-type is not application/json");
  need(typeof body.model === "string" && body.model, "model is missing");
  need(counting || Number.isInteger(body.max_tokens), "max_tokens is missing");
  need(Array.isArray(body.messages) && body.messages.length > 0, "messages is empty");
  let asked = new Set();
  for (const [i, { role, content }] of body.messages.entries()) {
    need(["user", "assistant", "system"].includes(role), `messages.${i}.role is ${role}`);
    const blocks = typeof content === "string" ? [{ type: "text", text: content }] : content;
    need(Array.isArray(blocks) && blocks.length > 0, `messages.${i}.content is empty`);
    for (const block of blocks) need(BLOCKS.includes(block.type), `messages.${i} has a block of type ${block.type}`);
    const answered = blocks.filter((b) => b.type === "tool_result").map((b) => b.tool_use_id);
    if (role === "user") {
      for (const id of answered) need(asked.has(id), `messages.${i}: no tool_use has the id ${id}`);
      for (const id of asked) need(answered.includes(id), `messages.${i}: the tool_use ${id} has no result`);
      asked = new Set();
    } else if (role === "assistant") {
      asked = new Set(blocks.filter((b) => b.type === "tool_use").map((b) => b.id));
    }
  }
  return shell(body) !== undefined;
}

/** The tool with which this agent runs a command: Claude Code's, OpenCode's. */
function shell(body) {
  return ["Bash", "bash"].find((name) => (body.tools ?? []).some((tool) => tool.name === name));
}

/** What the person or the tools said last, for a test's eyes. */
export function last(body) {
  const { content } = body.messages.findLast((message) => message.role === "user") ?? body.messages.at(-1);
  const blocks = typeof content === "string" ? [{ type: "text", text: content }] : content;
  const result = blocks.find((b) => b.type === "tool_result");
  if (result) {
    const text = typeof result.content === "string" ? result.content : (result.content ?? []).map((c) => c.text).join("");
    return { tool_result: text, is_error: result.is_error === true };
  }
  return { text: blocks.filter((b) => b.type === "text").map((b) => b.text).at(-1) };
}

/** Every text of the conversation so far, with who said it. */
export function said(body) {
  return body.messages.flatMap(({ role, content }) => {
    const blocks = typeof content === "string" ? [{ type: "text", text: content }] : content;
    return blocks.filter((b) => b.type === "text").map((b) => ({ role, text: b.text }));
  });
}

export function error(status) {
  const type = status === 401 ? "authentication_error" : status === 529 ? "overloaded_error" : "api_error";
  return { type: "error", error: { type, message: `the script says ${status}` } };
}

function tool(body, command, serial) {
  return { type: "tool_use", id: `toolu_${serial}`, name: shell(body), input: { command, description: "A command of the test" } };
}

export function whole(body, steps, serial) {
  const content = steps.filter((s) => !s.hold).map((s) => (s.run ? tool(body, s.run, serial) : { type: "text", text: s.text }));
  const stop_reason = steps.some((s) => s.run) ? "tool_use" : "end_turn";
  return {
    id: `msg_${serial}`, type: "message", role: "assistant", model: body.model, content, stop_reason,
    stop_sequence: null, usage: { input_tokens: 5, output_tokens: 7 },
  };
}

export async function* stream(body, steps, serial, hold) {
  const event = (type, data) => [type, { type, ...data }];
  const message = { ...whole(body, [], serial), stop_reason: null, usage: { input_tokens: 5, output_tokens: 1 } };
  yield event("message_start", { message });
  let index = -1;
  let open = false;
  for (const step of steps) {
    if (step.hold) {
      await hold();
    } else if (step.run) {
      if (open) yield event("content_block_stop", { index });
      open = false;
      const { input, ...block } = tool(body, step.run, serial);
      yield event("content_block_start", { index: ++index, content_block: { ...block, input: {} } });
      yield event("content_block_delta", { index, delta: { type: "input_json_delta", partial_json: JSON.stringify(input) } });
      yield event("content_block_stop", { index });
    } else {
      if (!open) yield event("content_block_start", { index: ++index, content_block: { type: "text", text: "" } });
      open = true;
      yield event("content_block_delta", { index, delta: { type: "text_delta", text: step.text } });
    }
  }
  if (open) yield event("content_block_stop", { index });
  const stop_reason = steps.some((s) => s.run) ? "tool_use" : "end_turn";
  yield event("message_delta", { delta: { stop_reason, stop_sequence: null }, usage: { output_tokens: 7 } });
  yield event("message_stop", {});
}
