// The page keeps the conversation, for as long as its tab is open; the server of the page keeps nothing.
const at = (id) => document.getElementById(id);
const EMPTY = { persona: "robin", notes: [], turns: [] };
let talk = JSON.parse(sessionStorage.getItem("talk") ?? "null") ?? structuredClone(EMPTY);
let personas = [];
let running = null;

function make(tag, className, text) {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

function save() {
  sessionStorage.setItem("talk", JSON.stringify(talk));
  at("notes").replaceChildren(...talk.notes.map((note) => make("li", "", note)));
  at("count").textContent = `${talk.notes.length} ${talk.notes.length === 1 ? "note" : "notes"}`;
  at("no-notes").hidden = talk.notes.length > 0;
}

function show(element) {
  at("empty").hidden = true;
  at("talk").append(element);
  element.scrollIntoView({ block: "end" });
  return element;
}

// Keeps what is being written in sight, unless somebody has scrolled up to read.
function follow(turn) {
  const page = document.scrollingElement;
  if (page.scrollHeight - page.scrollTop - page.clientHeight < 200) turn.scrollIntoView({ block: "end" });
}

const nameOf = () => personas.find((one) => one.id === talk.persona)?.name ?? at("own-name").value;

function bubble(role, content, name) {
  const turn = make("div", `turn ${role}`, "");
  const text = make("span", "", content);
  turn.append(make("b", "", role === "user" ? "You" : name), text);
  return { turn: show(turn), text };
}

const CARE = "If you are not well, please talk to somebody you trust, or call your local emergency number.";

function notice(categories) {
  const care = categories.some((one) => one.startsWith("self-harm")) ? ` ${CARE}` : "";
  const names = categories.map((one) => one.replaceAll("/", ", ")).join("; ");
  const words = `This was not sent to the model, since the check of messages found: ${names}. You can put it differently.${care}`;
  show(make("p", "notice", words));
}

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}

function haiku(answer, event) {
  answer.text.className = "haiku writing";
  answer.text.textContent = event.lines.join("\n");
  answer.turn.querySelector("small")?.remove();
  answer.turn.append(make("small", "", `${event.syllables.join(" · ")} syllables, as code counts them`));
}

async function ask(text, answer) {
  const own = talk.persona === "own" && { name: at("own-name").value, instructions: at("own-instructions").value };
  const response = await fetch("chat", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...talk, own: own || null, text }),
    signal: running.signal,
  });
  if (!response.ok) throw new Error((await response.json()).message);
  for await (const event of events(response)) {
    if (event.type === "error") throw new Error(event.message);
    if (event.type === "notice") return event.categories;
    if (event.type === "delta") answer.text.textContent += event.text;
    if (event.type === "haiku") haiku(answer, event);
    follow(answer.turn);
    if (event.type === "memory") {
      talk.notes = event.notes;
      talk.turns.splice(0, event.forgotten);
      save();
    }
  }
  return [];
}

function busy(is) {
  at("send").hidden = is;
  at("stop").hidden = !is;
  at("state").textContent = is ? `${nameOf()} is answering …` : "";
  if (!is) at("text").focus();
}

async function send(text) {
  running = new AbortController();
  const question = bubble("user", text, "You");
  const answer = bubble("assistant", "", nameOf());
  answer.text.className = "writing";
  at("text").value = "";
  busy(true);
  try {
    const categories = await ask(text, answer);
    if (categories.length) {
      notice(categories);
      at("text").value = text;
    }
  } catch (problem) {
    if (problem.name !== "AbortError") {
      show(make("p", "error", `The server says: ${problem.message}`));
      at("text").value = text;
    }
  }
  answer.text.classList.remove("writing");
  const written = answer.text.textContent.trim();
  if (written) talk.turns.push({ role: "user", content: text }, { role: "assistant", content: written });
  else answer.turn.remove();
  if (!written && at("text").value) question.turn.classList.add("unsent");
  save();
  busy(false);
}

async function start() {
  personas = await (await fetch("personas")).json();
  const all = [...personas, { id: "own", name: "Your own", about: "write who it is" }];
  at("personas").append(...all.map((one) => {
    const label = make("label", "", one.name);
    const radio = Object.assign(make("input", "", ""), { type: "radio", name: "persona", value: one.id });
    radio.checked = one.id === talk.persona;
    label.append(make("small", "", one.about));
    label.prepend(radio);
    return label;
  }));
  at("own").hidden = talk.persona !== "own";
  for (const turn of talk.turns) bubble(turn.role, turn.content, nameOf());
  save();
}

at("personas").addEventListener("change", (event) => {
  talk.persona = event.target.value;
  at("own").hidden = talk.persona !== "own";
  save();
});
at("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = at("text").value.trim();
  if (text && at("stop").hidden) send(text);
});
at("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  at("composer").requestSubmit();
});
at("stop").addEventListener("click", () => running.abort());
at("ideas").addEventListener("click", (event) => {
  if (event.target.matches(".idea")) send(event.target.textContent);
});
at("anew").addEventListener("click", () => {
  running?.abort();
  talk = { ...structuredClone(EMPTY), persona: talk.persona };
  at("talk").replaceChildren();
  at("empty").hidden = false;
  save();
});
at("who").addEventListener("submit", (event) => event.preventDefault());
await start();
