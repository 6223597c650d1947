// One recording, understood by the API: its segments with their words, as they come.
import { call } from "/console/api.js";
import { events } from "/console/sse.js";

export const PATHS = { transcribe: "/v1/audio/transcriptions", translate: "/v1/audio/translations" };

// `told` hears of the length in seconds once it is known (`begins`) and of each segment (`segment`). Gives
// the transcript in the shape of `verbose_json`, segments and words. Throws what `call` and `events` throw.
export async function transcribe(task, file, fields, project, signal, told) {
  const response = await call(PATHS[task], { project, signal, body: form(task, file, fields) });
  told.begins(Number(response.headers.get("antiphon-audio-seconds")));
  const segments = [];
  const words = [];
  for await (const { type, ...event } of events(response)) {
    if (type === "transcript.text.segment") {
      const { words: spoken = [], ...segment } = event;
      segments.push(segment);
      words.push(...spoken);
      told.segment(segment, spoken);
    } else if (type === "transcript.text.done") {
      const { text, language, duration, usage } = event;
      return { task, language, duration, text, segments, ...(words.length && { words }), usage };
    }
  }
}

function form(task, file, fields) {
  const body = new FormData();
  const own = { model: fields.model, prompt: fields.prompt, temperature: fields.temperature };
  if (task === "transcribe") own.language = fields.language;
  for (const [name, value] of Object.entries(own)) if (value) body.append(name, value);
  body.append("response_format", "verbose_json");
  body.append("stream", "true");
  const fine = task === "transcribe" ? ["segment", "word"] : [];
  for (const one of fine) body.append("timestamp_granularities[]", one);
  body.append("file", file, file.name);
  return body;
}
