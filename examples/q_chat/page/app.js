// The page: the material, questions about it and how they were answered, and the progress.

import { ask, at, json, make, turns } from "/kit/kit.js";

const LEVELS = ["", "Choose", "Fill in", "In your own words"];
const VERDICTS = { right: "Right", partly: "Partly right", wrong: "Not right" };
const turn = turns();

function card(style, ...parts) {
  const made = make("article", "", `card ${style}`);
  made.append(...parts);
  at("log").append(made);
  at("hint").hidden = true;
  return made;
}

// Post what is said; the model's words go into `text`, other events are handled. Whether it went well.
async function written(state, path, said, text, handle) {
  text.classList.add("writing");
  const went = await turn.run(state, (signal) => ask(path, { said }, (event) => {
    text.textContent = event.text ?? text.textContent;
    handle(event);
  }, signal));
  text.classList.remove("writing");
  return went;
}

function cited({ section, text }, open) {
  const details = Object.assign(make("details"), { open });
  details.append(make("summary", `From “${section}”`), make("blockquote", text));
  return details;
}

async function next() {
  for (const open of document.querySelectorAll("#log fieldset")) open.disabled = true;
  const question = make("h2", "", "question");
  const shown = card("", make("small"), question);
  await written("Writing a question…", "/api/question", "", question, (event) => {
    if (event.level) shown.firstChild.textContent = `${LEVELS[event.level]} · ${event.section}`;
    if (event.choices) shown.append(form(shown, event));
    shown.scrollIntoView({ block: "nearest" });
  });
  if (!shown.querySelector("form")) shown.remove(); // it ended early: there is nothing to answer
  shown.querySelector("input, textarea")?.focus();
}

function form(shown, { choices, gapped }) {
  const made = make("form");
  const fields = make("fieldset");
  const field = make(gapped ? "input" : "textarea");
  const label = make("label", gapped ? "What belongs in the gap?" : "Your answer");
  Object.assign(field, { required: true, maxLength: 2000, autocomplete: "off" });
  label.append(field);
  fields.ariaLabel = "Your answer";
  fields.append(...choices.map((choice) => Object.assign(make("button", choice), { value: choice })));
  if (!choices.length) fields.append(label, make("button", "Answer", "main"));
  made.append(...(gapped ? [make("blockquote", gapped)] : []), fields);
  made.addEventListener("submit", (event) => {
    event.preventDefault();
    grade(shown, fields, event.submitter?.value || field.value);
  });
  return made;
}

async function grade(shown, fields, said) {
  const feedback = make("p");
  await written("Reading your answer…", "/api/answer", said, feedback, (event) => {
    if (event.verdict) {
      fields.disabled = true;
      for (const button of fields.querySelectorAll("button[value]")) {
        if (button.value === event.expected) button.className = "right";
        else if (button.value === said) button.className = "wrong";
      }
      shown.append(make("strong", VERDICTS[event.verdict], event.verdict), feedback);
      progress(event.progress);
    }
    if (event.passage) shown.append(cited(event.passage, false));
  });
  if (fields.disabled) at("send").focus({ preventScroll: true });
}

async function answer(said) {
  const text = make("p");
  const cards = [card("mine", make("p", said)), card("", text)];
  const went = await written("Looking it up…", "/api/ask", said, text, (event) => {
    if (event.passage) cards[1].append(cited(event.passage, true));
  });
  if (went) at("asked").value = "";
  else for (const one of cards) one.remove();
}

function progress(sections) {
  at("sections").replaceChildren(...sections.map(({ name, known, terms, level }) => {
    const item = make("li", name);
    const bar = Object.assign(make("progress"), { value: known, max: terms, ariaLabel: `Known of ${name}` });
    item.append(make("small", `${known} of ${terms} known · ${LEVELS[level].toLowerCase()}`), bar);
    return item;
  }));
}

function opened({ title, progress: sections }) {
  at("title").textContent = title ?? "";
  at("choose").hidden = Boolean(title);
  for (const id of ["study", "progress", "change"]) at(id).hidden = !title;
  progress(sections ?? []);
}

async function study(name, body) {
  await turn.run("Reading…", async (signal) => {
    const path = `/api/study?name=${encodeURIComponent(name)}`;
    opened(await json(await fetch(path, { method: "POST", body, signal })));
    at("log").replaceChildren();
  });
  at("send").focus();
}

at("file").addEventListener("change", ({ target }) => target.files[0] && study(target.files[0].name, target.files[0]));
at("send").addEventListener("click", next);
at("change").addEventListener("click", () => {
  turn.stop();
  at("file").value = "";
  opened({});
});
at("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  answer(at("asked").value.trim());
});

for (const button of at("texts").children) {
  button.addEventListener("click", async () => {
    study(button.textContent, await (await fetch(`texts/${button.textContent}`)).blob());
  });
}
opened(await json(await fetch("/api/state")));
