// The official JavaScript client of today; speaks the lines that ../protocol.py describes.
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import OpenAI, { APIError } from "openai";

let requests = 0;
const client = new OpenAI({
  fetch: (url, options) => {
    requests += 1;
    return fetch(url, options);
  },
});

const actions = {
  chat: (api, { body }) => api.chat.completions.create(body),
  stream: async (api, { body }) => all(await api.chat.completions.create({ ...body, stream: true })),
  complete: (api, { body }) => api.completions.create(body),
  stream_completion: async (api, { body }) => all(await api.completions.create({ ...body, stream: true })),
  embed: (api, { body }) => api.embeddings.create(body),
  gather: (api, { body }) => api.chat.completions.stream(body).finalChatCompletion(),
  transcribe: (api, { file, body }) => api.audio.transcriptions.create({ file: createReadStream(file), ...body }),
  translate: (api, { file, body }) => api.audio.translations.create({ file: createReadStream(file), ...body }),
  models: async (api) => (await api.models.list()).body,
  model: (api, { id }) => api.models.retrieve(id),
};

async function all(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

async function answer({ do: action, key, ...request }) {
  requests = 0;
  const api = key ? client.withOptions({ apiKey: key }) : client;
  try {
    return { result: await actions[action](api, request), requests };
  } catch (problem) {
    if (!(problem instanceof APIError)) throw problem;
    const { status, type, code, param, message } = problem;
    return { error: { class: problem.constructor.name, status, type, code, param, message }, requests };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await answer(JSON.parse(line))));
}
