// The body of a chat request, from what is filled in: the one that is sent is the one that is shown as code.
const NUMBERS = ["temperature", "top_p", "max_tokens", "presence_penalty", "frequency_penalty", "seed"];

// A field that cannot be sent as it is.
export class Unfit extends Error {
  constructor(field, message) {
    super(message);
    this.field = field;
  }
}

// `said` as `values` gives it. Throws Unfit.
export function request(said, messages) {
  const body = { model: said.model, messages };
  for (const name of NUMBERS) if (said[name]) body[name] = Number(said[name]);
  const stop = said.stop.split("\n").map((line) => line.replaceAll("\\n", "\n")).filter(Boolean);
  if (stop.length > 4) throw new Unfit("stop_at", "At most four texts can be stopped at.");
  if (stop.length) body.stop = stop;
  if (said.logprobs) Object.assign(body, { logprobs: true, top_logprobs: 3 });
  const functions = tools(said.tools);
  if (functions.length) body.tools = functions;
  if (functions.length && said.tool_choice) body.tool_choice = said.tool_choice;
  if (said.format === "json_object") body.response_format = { type: "json_object" };
  if (said.format === "json_schema") {
    body.response_format = { type: "json_schema", json_schema: schema(said.schema) };
  }
  return { ...body, stream: true, stream_options: { include_usage: true } };
}

// A function may stand there as it is, or as a tool.
function tools(text) {
  const found = parsed("tools", text || "[]");
  if (!Array.isArray(found)) throw new Unfit("tools", 'Functions stand in an array: [{"name": …}].');
  return found.map((one) => (one?.type === "function" ? one : { type: "function", function: one }));
}

// A schema may stand there alone, or with a name.
function schema(text) {
  const found = parsed("schema", text || "null");
  if (typeof found !== "object" || found === null) {
    throw new Unfit("schema", 'A schema is an object: {"type": …}.');
  }
  return "schema" in found ? found : { name: "answer", schema: found };
}

function parsed(field, text) {
  try {
    return JSON.parse(text);
  } catch (problem) {
    throw new Unfit(field, `This is not JSON: ${problem.message}.`);
  }
}
