// One streamed answer of a chat model, put together as it comes.
import { call } from "/console/api.js";
import { events } from "/console/sse.js";

// Nothing of an answer yet: the message as it will be sent back, and what is known about it.
export function blank() {
  return { message: { role: "assistant", content: "" }, about: { finish: null, logprobs: [] } };
}

// Fills `answer`, and calls `show` after each piece. Throws what `call` and `events` throw: the answer keeps
// what came.
export async function ask(body, project, signal, answer, show) {
  const { about } = answer;
  const began = performance.now();
  const response = await call("/v1/chat/completions", { project, body, signal });
  for await (const chunk of events(response)) {
    about.model = chunk.model;
    about.usage = chunk.usage ?? about.usage;
    const [choice] = chunk.choices;
    if (!choice) continue;
    if (add(answer, choice)) about.first ??= (performance.now() - began) / 1000;
    about.seconds = (performance.now() - began) / 1000;
    show();
  }
}

// Whether the model wrote something.
function add({ message, about }, { delta, logprobs, finish_reason: finish }) {
  about.finish = finish ?? about.finish;
  if (logprobs) about.logprobs.push(...logprobs.content);
  message.content += delta.content ?? "";
  for (const piece of delta.tool_calls ?? []) {
    const calls = (message.tool_calls ??= []);
    const begun = { id: piece.id, type: "function", function: { name: "", arguments: "" } };
    const call = (calls[piece.index] ??= begun);
    call.function.name += piece.function.name ?? "";
    call.function.arguments += piece.function.arguments;
  }
  return Boolean(delta.content || delta.tool_calls);
}

// Tokens a second, from the first to the last: none where there is nothing to divide by.
export function speed({ usage, first, seconds }) {
  const rest = (usage?.completion_tokens ?? 0) - 1;
  return rest > 0 && seconds > first ? rest / (seconds - first) : null;
}
