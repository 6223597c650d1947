// The playground: what is typed becomes a request, and what is answered a conversation.
import { tell } from "/console/api.js";
import { ask, blank } from "/console/chat.js";
import { Conversation } from "/console/conversation.js";
import { byId } from "/console/dom.js";
import { EXAMPLES } from "/console/examples.js";
import { Messages } from "/console/messages.js";
import { chosen, explain, priceOfTokens } from "/console/model.js";
import { cost, ofTokens } from "/console/money.js";
import { Unfit, request } from "/console/request.js";
import { showCode, showPrompt } from "/console/showing.js";
import { fill, keep, restore, values } from "/console/stored.js";

const { owner, address } = byId("playground").dataset;
const settings = byId("settings");
const system = byId("system");
const draft = byId("draft");
const problem = byId("problem");
const kept = restore("playground", owner);
const conversation = new Conversation(kept?.entries);
const messages = new Messages(byId("messages"), { edit, remove, retry, typed: save, send });
let answering = null; // what aborts the answer that is being written

// --- what is kept ----------------------------------------------------------------------------------------

function save() {
  const { entries } = conversation;
  const typed = { system: system.value, draft: draft.value, settings: values(settings) };
  const fits = keep("playground", owner, { entries, ...typed });
  byId("note").textContent = fits ? "" : "This conversation is too long to be kept when the page is left.";
}

function show() {
  messages.show(conversation, answering !== null);
  byId("welcome").hidden = conversation.entries.length > 0;
  byId("send").disabled = answering !== null;
  byId("send").textContent = conversation.waiting ? "Send results" : "Send";
  byId("stop").hidden = answering === null;
  byId("clear").disabled = conversation.entries.length === 0 || answering !== null;
  byId("schema-field").hidden = settings.elements.format.value !== "json_schema";
  explain(priceOfTokens);
  save();
}

// --- asking ----------------------------------------------------------------------------------------------

// The request that would be sent now, or null if something has to be put right first, which is said there.
function current(text) {
  problem.hidden = true;
  for (const name of ["tools", "schema", "stop_at"]) byId(name).removeAttribute("aria-invalid");
  for (const name of ["tools", "schema"]) byId(`${name}-problem`).textContent = "";
  if (!settings.reportValidity()) return null;
  const said = conversation.next(system.value.trim(), text);
  if (!said.some((message) => message.role !== "system")) {
    tell(problem, { message: "Write a message first." });
    draft.focus();
    return null;
  }
  try {
    return request(values(settings), said);
  } catch (unfit) {
    if (!(unfit instanceof Unfit)) throw unfit;
    point(unfit.field, unfit.message);
    return null;
  }
}

function point(name, message) {
  const field = byId(name);
  const place = byId(`${name}-problem`);
  field.closest("details").open = true;
  field.setAttribute("aria-invalid", "true");
  if (place) place.textContent = message;
  else tell(problem, { message });
  field.focus();
}

async function send() {
  if (answering) return;
  const text = draft.value.trim();
  const open = conversation.open;
  if (open >= 0) {
    tell(problem, { message: `Type what ${conversation.entries[open].name} gives back first.` });
    byId("messages").children[open].querySelector("textarea").focus();
  } else if (!text && conversation.entries.at(-1)?.message.role === "assistant") {
    draft.focus();
  } else if (current(text)) {
    if (text) conversation.say(text);
    draft.value = "";
    await answer();
  }
}

async function answer() {
  const body = current("");
  if (!body) return;
  const written = blank();
  const price = { ...chosen() };
  answering = new AbortController();
  conversation.add(written);
  show();
  byId("live").textContent = "The model is answering.";
  try {
    await ask(body, settings.elements.project.value, answering.signal, written, () => messages.grow(written));
  } catch (error) {
    written.about.stopped = true;
    delete written.message.tool_calls; // half a call cannot be sent back
    if (error.name !== "AbortError") tell(problem, error);
  }
  answering = null;
  if (written.about.usage) written.about.cost = cost(price, ofTokens(price, written.about.usage));
  finish(written);
}

function finish({ message, about }) {
  if (message.tool_calls) conversation.await();
  else if (!message.content && about.stopped) conversation.entries.pop();
  show();
  const said = `The model answered: ${message.content || "it calls a function."}`;
  byId("live").textContent = problem.hidden ? said : "";
  if (document.activeElement !== document.body && !document.activeElement.closest("#composer")) return;
  const open = conversation.open;
  if (open >= 0) byId("messages").children[open].querySelector("textarea").focus();
  else draft.focus({ preventScroll: true });
}

// --- changing what was said ------------------------------------------------------------------------------

function edit(index, text) {
  conversation.entries[index].message.content = text;
  show();
}

function remove(index) {
  conversation.remove(index);
  show();
  draft.focus({ preventScroll: true });
}

async function retry(index) {
  const later = conversation.entries.length - Math.max(conversation.keptBy(index), index + 1);
  const answered = conversation.entries[index + 1]?.message.role === "assistant" && later === 1;
  if (!current("")) return;
  const question = "Ask again from here? What was said after it is removed.";
  if (later && !answered && !window.confirm(question)) return;
  conversation.rewind(index);
  await answer();
}

// --- what is pressed -------------------------------------------------------------------------------------

byId("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
document.addEventListener("keydown", (event) => {
  const sends = event.key === "Enter" && (event.ctrlKey || event.metaKey);
  if (sends && event.target.closest("#composer, #settings, #system")) {
    event.preventDefault();
    send();
  }
  if (event.key === "Escape") answering?.abort();
});
byId("stop").addEventListener("click", () => answering?.abort());
byId("clear").addEventListener("click", () => {
  if (!window.confirm("Begin anew? This conversation is removed.")) return;
  conversation.clear();
  problem.hidden = true;
  show();
  draft.focus();
});
for (const button of document.querySelectorAll("[data-example]")) {
  button.addEventListener("click", () => {
    draft.value = button.textContent;
    send();
  });
}
for (const button of document.querySelectorAll("[data-insert]")) {
  button.addEventListener("click", () => {
    const field = byId(button.dataset.insert);
    const filled = field.value.trim() && !window.confirm("Put the example in place of what stands there?");
    if (!filled) field.value = JSON.stringify(EXAMPLES[button.dataset.insert], null, 2);
    save();
  });
}
byId("show-code").addEventListener("click", () => {
  const body = current(draft.value.trim());
  if (body) showCode(address, body);
});
byId("show-prompt").addEventListener("click", async () => {
  const body = current(draft.value.trim());
  if (!body) return;
  await showPrompt(settings.elements.project.value, body).catch((error) => tell(problem, error));
});
settings.addEventListener("submit", (event) => event.preventDefault());
settings.addEventListener("change", show);
for (const field of [settings, system, draft]) field.addEventListener("input", save);
settings.addEventListener("invalid", (event) => { event.target.closest("details").open = true; }, true);

// --- as it was left --------------------------------------------------------------------------------------

if (kept) {
  fill(settings, kept.settings);
  system.value = kept.system;
  draft.value = kept.draft;
}
const narrow = matchMedia("(max-width: 66rem)").matches;
for (const part of document.querySelectorAll("[data-filled]")) {
  part.open = byId(part.dataset.filled).value !== "";
}
for (const part of document.querySelectorAll("[data-narrow]")) part.open = !narrow;
show();
