// The dialogs of the playground: a request as code, and the prompt that it becomes.
import { call } from "/console/api.js";
import { curl, node, python } from "/console/code.js";
import { byId } from "/console/dom.js";
import { chosen } from "/console/model.js";

const WRITERS = { curl, python, node };
const HINTS = { curl: "", python: "Needs pip install openai.", node: "Needs npm install openai." };

export function showCode(address, body) {
  const write = () => {
    const language = document.querySelector('input[name="language"]:checked').value;
    byId("code-text").textContent = WRITERS[language](address, body);
    byId("code-hint").textContent = HINTS[language];
  };
  for (const one of document.querySelectorAll('input[name="language"]')) one.onchange = write;
  write();
  byId("code").showModal();
}

export async function showPrompt(project, body) {
  const answer = await call("/v1/chat/completions/render", { project, body });
  const { prompt, token_count: count } = await answer.json();
  const whole = Number(chosen().context);
  const of = whole ? ` of the ${whole.toLocaleString("en")} that the model reads` : "";
  byId("prompt-count").textContent = `${count.toLocaleString("en")} tokens${of}.`;
  byId("prompt-text").textContent = prompt;
  byId("prompt").showModal();
}
