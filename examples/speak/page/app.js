// One turn: record, have it heard, show how it was said, and let the partner answer.
import { record } from "./recorder.js";

const at = (id) => document.getElementById(id);
const READY = "Press the button, speak, and press it again.";
let turns = [];
let current = null; // the recording that runs
let last = null; // the one before, to try again with
let running = null; // what the Stop button ends
let sentences = [];
let next = 0;

function make(tag, className, text) {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

function bubble(role, text) {
  const turn = make("div", `turn ${role}`, "");
  const words = make("span", "", text);
  turn.append(make("b", "", role === "user" ? "You" : "Sam"), words);
  at("empty").hidden = true;
  at("talk").append(turn);
  turn.scrollIntoView({ block: "nearest" });
  return words;
}

function state(text, { busy = false, answering = false } = {}) {
  at("state").textContent = text;
  at("record").disabled = busy || answering;
  at("stop").hidden = !answering;
}

function complain(problem) {
  at("problem").textContent = problem.name === "NotAllowedError"
    ? "The microphone may not be used. Allow it for this page, and try again." : problem.message;
  at("problem").hidden = false;
}

const count = (number, one) => `${number} ${number === 1 ? one : `${one}s`}`;

function difference({ kind, wanted, said }) {
  const parts = [];
  if (kind === "same") parts.push(make("span", "", wanted));
  if (kind === "different" || kind === "missing") parts.push(make("del", "", wanted));
  if (kind === "different") parts.push(" ");
  if (kind === "different" || kind === "extra") parts.push(make("ins", "", said));
  return [...parts, " "];
}

function showHow({ pace, verdict, pauses, fillers, words }) {
  at("how").hidden = false;
  at("diff").replaceChildren(...words.flatMap(difference));
  const wanted = words.filter((word) => word.wanted).length;
  const same = words.filter((word) => word.kind === "same").length;
  at("score").textContent = wanted ? `${same} of ${count(wanted, "word")} as in the sentence` : "";
  at("pace").replaceChildren(pace === null ? "–" : count(pace, "word"), make("small", "", pace === null ? "" : `a minute: ${verdict}`));
  const where = pauses.map((pause) => `${pause.seconds} s after “${pause.after}”`).join(", ");
  at("pauses").replaceChildren(pauses.length ? String(pauses.length) : "none", make("small", "", where));
  at("fillers").replaceChildren(fillers.length ? String(fillers.length) : "none", make("small", "", fillers.join(", ")));
  at("latency").textContent = "…";
}

async function hear({ blob }) {
  const response = await fetch(`hear?target=${encodeURIComponent(at("target").value)}`, {
    method: "POST", headers: { "content-type": blob.type }, body: blob, signal: running.signal,
  });
  const heard = await response.json();
  if (!response.ok) throw new Error(`The server says: ${heard.message}`);
  if (!heard.text) throw new Error("Nothing was heard. Is the right microphone chosen, and loud enough?");
  return heard;
}

async function* lines(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const whole = (rest + value).split("\n");
    rest = whole.pop();
    for (const line of whole) yield JSON.parse(line);
  }
}

async function answer(text, first) {
  const response = await fetch("answer", {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ turns, text }),
    signal: running.signal,
  });
  if (!response.ok) throw new Error((await response.json()).message);
  const words = bubble("assistant", "");
  words.className = "writing";
  try {
    for await (const { delta, error } of lines(response)) {
      if (error) throw new Error(`The server says: ${error}`);
      if (delta.trim() && !words.textContent) first();
      words.textContent += delta;
    }
  } finally {
    words.className = "";
    if (words.textContent) turns.push({ role: "user", content: text }, { role: "assistant", content: words.textContent });
    else words.parentElement.remove();
  }
}

const since = (moment) => ((performance.now() - moment) / 1000).toFixed(1);

async function turn(recording) {
  running = new AbortController();
  last = recording;
  at("problem").hidden = at("again").hidden = true;
  const from = performance.now();
  try {
    state("Listening to what you said …", { busy: true });
    const heard = await hear(recording);
    const took = since(from);
    bubble("user", heard.text);
    showHow(heard.feedback);
    state("Sam is answering …", { answering: true });
    await answer(heard.text, () => {
      const words = make("small", "", `after you stopped; ${took} s of it to hear you`);
      at("latency").replaceChildren(`${since(from)} s`, words);
    });
  } catch (problem) {
    if (problem.name !== "AbortError") {
      complain(problem);
      at("again").hidden = false;
    }
  }
  state(READY);
}

function pressed(is) {
  at("record").setAttribute("aria-pressed", String(is));
  at("record-text").textContent = is ? "Stop speaking" : "Start speaking";
  at("level").hidden = !is;
}

at("record").addEventListener("click", async () => {
  if (current) return current.stop();
  at("problem").hidden = true;
  try {
    current = await record((loudness) => { at("level").value = loudness; });
    pressed(true);
    state("Speak now …");
    const recording = await current.recording;
    current = null;
    pressed(false);
    await turn(recording);
  } catch (problem) {
    current = null;
    pressed(false);
    complain(problem);
  }
});
at("again").addEventListener("click", () => turn(last));
at("stop").addEventListener("click", () => running.abort());
at("another").addEventListener("click", () => { at("target").value = sentences[next++ % sentences.length]; });
at("free").addEventListener("click", () => { at("target").value = ""; });
at("anew").addEventListener("click", () => {
  running?.abort();
  turns = [];
  at("talk").replaceChildren();
  at("how").hidden = true;
  at("empty").hidden = false;
});
sentences = await (await fetch("sentences")).json();
at("target").value = sentences[next++];
