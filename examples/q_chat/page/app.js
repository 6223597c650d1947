// The page: sends what the student does, and shows the events that come back, one JSON object a line.

const $ = (id) => document.getElementById(id);
const LEVELS = ["", "Recognise", "Fill in", "In your own words"];
const VERDICTS = { right: "Right", partly: "Partly right", wrong: "Not right" };
let section = null; // the one to be asked about alone
let running = null; // what Stop ends

function element(name, text = "", kind = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function card(kind = "") {
  const made = element("article", "", `card ${kind}`);
  $("log").append(made);
  $("hint").hidden = true;
  return made;
}

function problem(text) {
  $("problem").textContent = text;
  $("problem").hidden = !text;
}

function busy(text) {
  $("status").textContent = text;
  $("stop").hidden = !text;
  $("next").disabled = Boolean(text);
}

// Post, and hand over each event as it comes. False if that ended early: an error is shown, and nothing is cleared.
async function events(path, body, status, handle) {
  if (running) return false;
  running = new AbortController();
  problem("");
  busy(status);
  try {
    const signal = running.signal;
    const answer = await fetch(`api/${path}`, { method: "POST", body: JSON.stringify(body), signal });
    if (!answer.ok) throw new Error((await answer.json()).error);
    let rest = "";
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      const lines = (rest + (value ?? "")).split("\n");
      rest = lines.pop();
      for (const event of lines.map((line) => JSON.parse(line))) {
        if (event.error) throw new Error(event.error);
        handle(event);
      }
      if (done) return true;
    }
  } catch (error) {
    if (error.name !== "AbortError") problem(error.message);
    return false;
  } finally {
    running = null;
    busy("");
  }
}

function passages(found, open) {
  return found.map(({ number, section: name, text }) => {
    const details = element("details");
    details.open = open;
    details.append(element("summary", `Passage ${number}: ${name}`), element("blockquote", text));
    return details;
  });
}

async function next() {
  // A question that is open is left: its answer could not be graded any more.
  document.querySelectorAll(".open").forEach((form) => (form.disabled = true));
  await events("question", { section }, "Writing a question…", (event) => {
    const shown = card();
    shown.append(element("p", `${LEVELS[event.level]} · ${event.section}`, "meta"), element("h2", event.asked, "question"));
    if (event.choices.length && !event.gapped) {
      shown.append(element("p", "Choose the sentence that says it; the term itself is left out.", "meta"));
    }
    if (event.gapped) shown.append(element("p", event.gapped, "gapped"));
    shown.append(event.choices.length ? choices(shown, event) : written(shown, event));
    shown.scrollIntoView({ block: "nearest" });
  });
}

function choices(shown, event) {
  const group = element("fieldset", "", "choices open");
  group.setAttribute("aria-label", "Choose one");
  event.choices.forEach((choice, number) => {
    const button = element("button", choice);
    button.type = "button";
    button.addEventListener("click", () => grade(shown, group, String(number), button));
    group.append(button);
  });
  return group;
}

function written(shown, event) {
  const form = element("form");
  const group = element("fieldset", "", "written open");
  const label = element("label", event.gapped ? "What belongs in the gap?" : "Your answer");
  const field = element(event.gapped ? "input" : "textarea");
  field.maxLength = 2000;
  label.append(field);
  group.append(label, element("button", "Answer"));
  form.append(group);
  form.addEventListener("submit", (submitted) => {
    submitted.preventDefault();
    if (field.value.trim()) grade(shown, group, field.value);
  });
  setTimeout(() => field.focus());
  return form;
}

async function grade(shown, group, said, chosen) {
  const feedback = element("p");
  group.disabled = !running;
  const graded = await events("answer", { said }, "Reading your answer…", (event) => {
    if (event.verdict) {
      shown.append(element("p", VERDICTS[event.verdict], `verdict ${event.verdict}`), feedback);
      if (chosen) {
        chosen.classList.add("missed");
        group.children[event.right].className = "right";
      } else if (event.verdict !== "right") {
        shown.append(element("p", `The term asked for: ${event.expected}`, "meta"));
      }
      progress(event.progress);
    }
    feedback.textContent += event.text ?? "";
    if (event.passages) shown.append(...passages(event.passages, false));
  });
  if (!graded && !feedback.isConnected) group.disabled = false; // it was not graded: the answer can be sent again
  else $("next").focus({ preventScroll: true });
}

async function ask(said) {
  let shown = null;
  const text = element("p");
  const done = await events("ask", { said }, "Looking it up…", (event) => {
    if (!shown) {
      card("mine").append(element("p", said));
      shown = card();
      shown.append(text);
    }
    text.textContent += event.text ?? event.notice ?? "";
    if (event.supported === false) {
      shown.append(element("p", "This keeps away from the words of the material. The closest passage is:", "meta"));
    }
    if (event.passages) shown.append(...passages(event.passages, true));
  });
  if (done) $("asked").value = "";
}

function progress(sections) {
  $("sections").replaceChildren(...sections.map((one, number) => {
    const item = element("li");
    const button = element("button");
    const bar = element("progress", "");
    bar.value = one.known;
    bar.setAttribute("aria-label", `${one.name}: known`);
    const figures = one.empty ? "nothing to ask" : one.answered ? `${one.right} of ${one.answered} right` : "not asked yet";
    button.type = "button";
    button.disabled = one.empty;
    button.setAttribute("aria-pressed", String(section === number));
    button.append(one.name, element("span", `${Math.round(one.known * 100)} % known · ${figures}`, "note"));
    button.append(element("span", one.answered ? `Next: ${LEVELS[one.level].toLowerCase()}` : "", "note"));
    button.addEventListener("click", () => {
      section = section === number ? null : number;
      progress(sections);
      $("sections").children[number].firstChild.focus();
    });
    item.append(button, bar);
    return item;
  }));
}

function opened(material) {
  const here = Boolean(material.title);
  $("title").textContent = material.title ?? "";
  $("choose").hidden = here;
  for (const id of ["study", "progress", "change"]) $(id).hidden = !here;
  if (here) progress(material.progress);
}

async function take(name, body) {
  problem("");
  try {
    const bundled = body ? "" : "&bundled=1";
    const answer = await fetch(`api/material?name=${encodeURIComponent(name)}${bundled}`, { method: "POST", body });
    const material = await answer.json();
    if (!answer.ok) throw new Error(material.error);
    section = null;
    $("log").replaceChildren();
    $("hint").hidden = false;
    opened(material);
    $("next").focus();
  } catch (error) {
    problem(error.message);
  }
}

$("file").addEventListener("change", ({ target }) => target.files[0] && take(target.files[0].name, target.files[0]));
for (const kind of ["dragover", "dragleave", "drop"]) {
  $("drop").addEventListener(kind, (dragged) => {
    dragged.preventDefault();
    $("drop").classList.toggle("over", kind === "dragover");
    const file = kind === "drop" && dragged.dataTransfer.files[0];
    if (file) take(file.name, file);
  });
}
$("next").addEventListener("click", next);
$("stop").addEventListener("click", () => running?.abort());
$("change").addEventListener("click", () => {
  running?.abort();
  $("file").value = "";
  opened({});
});
$("ask").addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  if ($("asked").value.trim()) ask($("asked").value.trim());
});

const state = await (await fetch("api/state")).json();
$("texts").replaceChildren(...state.texts.map((name) => {
  const button = element("button", name, "quiet");
  button.type = "button";
  button.addEventListener("click", () => take(name));
  return button;
}));
opened(state);
