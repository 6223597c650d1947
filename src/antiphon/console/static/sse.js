// Server-sent events of the API: one JSON value each, and the mark of a stream that is whole.
import { ApiError, unreachable } from "/console/api.js";

const DONE = "[DONE]";

// The values of a response's body as they come. Throws ApiError for an error event, and for a stream that
// breaks off.
export async function* events(response) {
  const request = response.headers.get("x-request-id") ?? "";
  for await (const data of datas(response.body)) {
    if (data === DONE) return;
    const value = JSON.parse(data);
    if (value.error) throw new ApiError(response.status, value.error, request);
    yield value;
  }
  throw new ApiError(0, { message: "The answer broke off before its end.", code: "incomplete" }, request);
}

async function* datas(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read().catch(unreachable);
      if (done) return;
      const parts = (rest + value).split("\n\n");
      rest = parts.pop();
      for (const part of parts) {
        const lines = part.split("\n").filter((line) => line.startsWith("data:"));
        if (lines.length) yield lines.map((line) => line.slice(5).trimStart()).join("\n");
      }
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}
