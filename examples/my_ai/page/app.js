// The page keeps the conversation, for as long as its tab is open; its server keeps nothing.
import { ask, at, follow, json, make, turns } from "/kit/kit.js";

const LAST = 50; // exchanges that the server is sent
const personas = await json(await fetch("personas.json"));
const talk = JSON.parse(sessionStorage.getItem("talk"))
  ?? { name: personas[0].name, character: personas[0].character, exchanges: [] };
const turn = turns();
const persona = () => personas.find((one) => one.name === talk.name);

function save() {
  sessionStorage.setItem("talk", JSON.stringify(talk));
}

function radio(one) {
  const label = make("label", one.name);
  const input = Object.assign(make("input"), { type: "radio", name: "persona", value: one.name, checked: one === persona() });
  label.prepend(input);
  label.append(make("small", one.about));
  return label;
}

function card(who, style, ...lines) {
  const made = make("div", "", `card ${style}`);
  made.append(make("b", who), ...lines);
  return made;
}

/** Show what was said, and what was answered so far; `draw()` shows what was answered since. */
function show(exchange) {
  const shown = make("article");
  const answer = make("span", "", /\bhaiku\b/i.test(exchange.text) ? "haiku" : "");
  const memory = make("small");
  shown.append(card("You", "mine", make("span", exchange.text)), card(exchange.name, "answer", answer, memory));
  at("talk").append(shown);
  const draw = () => {
    answer.textContent = exchange.answer;
    memory.textContent = exchange.reminded.length ? `Remembered: ${exchange.reminded.join(" ")}` : "";
  };
  draw();
  shown.scrollIntoView({ block: "end" });
  return { shown, answer, draw };
}

async function send(text) {
  const { exchanges, character } = talk;
  const { name, example, character: usual } = persona();
  const exchange = { name, text, answer: "", reminded: [] };
  const { shown, answer, draw } = show(exchange);
  const handle = (event) => {
    exchange.answer = event.text ?? exchange.answer;
    exchange.reminded = event.reminded ?? exchange.reminded;
    draw();
    follow(shown);
  };
  const said = { text, character, example: character === usual ? example : [], before: exchanges.slice(-LAST) };
  at("text").value = "";
  answer.classList.add("writing");
  const well = await turn.run(`${name} is answering …`, (signal) => ask("chat", said, handle, signal));
  answer.classList.remove("writing");
  if (exchange.answer) exchanges.push(exchange);
  else shown.remove();
  if (!well || !exchange.answer) at("text").value ||= text;
  save();
  at("text").focus();
}

at("personas").append(...personas.map(radio));
at("personas").addEventListener("change", (event) => {
  talk.name = event.target.value;
  talk.character = at("character").value = persona().character;
  save();
});
at("character").value = talk.character;
at("character").addEventListener("input", (event) => {
  talk.character = event.target.value;
  save();
});
at("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = at("text").value.trim();
  if (text && !turn.busy) send(text);
});
at("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  at("composer").requestSubmit();
});
at("empty").addEventListener("click", (event) => {
  if (event.target.matches("button") && !turn.busy) send(event.target.textContent);
});
at("anew").addEventListener("click", () => {
  turn.stop();
  talk.exchanges = [];
  at("talk").replaceChildren();
  at("problem").hidden = true;
  save();
});
talk.exchanges.forEach(show);
