const at = (id) => document.getElementById(id);
let state = {};
let running = null;

/** An element with a class and a text. */
function element(tag, style, text) {
  const made = document.createElement(tag);
  if (style) made.className = style;
  if (text !== undefined) made.textContent = text;
  return made;
}

function showBasket({ lines, total, offers }) {
  at("nothing").hidden = lines.length > 0;
  at("total").hidden = at("stores-title").hidden = lines.length === 0;
  at("total").replaceChildren(element("span", "", "Together"), element("span", "", total));
  at("lines").replaceChildren(...lines.map(({ food, packs, pack, price }) => {
    const item = element("li");
    const name = element("span", "food", `${packs} × ${food}`);
    name.append(element("small", "", `${pack} · ${price}`));
    const remove = element("button", "plain", "×");
    remove.setAttribute("aria-label", `Take ${food} out`);
    remove.addEventListener("click", () => {
      delete state.basket[food];
      refresh();
    });
    item.append(name, remove);
    return item;
  }));
  at("stores").replaceChildren(...offers.map(({ store, kilometres, missing }) => {
    const lacks = Object.keys(missing);
    const item = element("li", lacks.length ? "" : "full", `${store}, ${kilometres} km`);
    item.append(element("small", "", lacks.length ? `lacks ${lacks.join(", ")}` : "has everything"));
    return item;
  }));
}

/** What the basket costs and who can fill it, after a change by hand. */
async function refresh() {
  const headers = { "content-type": "application/json" };
  const response = await fetch("api/basket", { method: "POST", headers, body: JSON.stringify({ state }) });
  const answer = await response.json();
  state = answer.state;
  if (!at("place").options.length) at("place").replaceChildren(...answer.places.map((place) => new Option(place)));
  at("place").value = state.place;
  showBasket(answer.basket);
}

function card({ title, lines, note }, call) {
  const made = element("div", "card");
  made.append(element("p", "called", call), element("h3", "", title));
  const list = element("ul");
  list.append(...lines.map((line) => element("li", "", line)));
  if (lines.length) made.append(list);
  if (note) made.append(element("p", "", note));
  return made;
}

/** One turn of the conversation: its events change it. */
function turn(words) {
  const item = element("li");
  const answer = element("p", "answer checking", "…");
  answer.setAttribute("aria-busy", "true");
  item.append(element("p", "asked", words), answer);
  at("turns").append(item);
  item.scrollIntoView({ block: "nearest" });
  let call = "";
  const settle = (note) => {
    answer.setAttribute("aria-busy", "false");
    answer.classList.remove("checking");
    if (note) answer.replaceWith(element("p", "note", note));
  };
  return {
    show(event) {
      if (event.call) call = `${event.call}(${JSON.stringify(event.arguments).slice(1, -1)})`;
      else if (event.card) {
        answer.before(card(event.card, call));
        state = event.state;
        showBasket(event.basket);
      } else if (event.text) answer.textContent = (answer.textContent === "…" ? "" : answer.textContent) + event.text;
      else if (event.taken_back) answer.textContent = "…";
      else if (event.kept) settle();
      else if (event.given_up) settle("The assistant found no words that hold to this result.");
      else if (event.error) fail(event.error);
    },
    end() {
      if (answer.getAttribute("aria-busy") === "true") settle("Stopped before this answer was checked.");
    },
  };
}

function fail(message) {
  at("error").textContent = message;
  at("error").hidden = false;
}

/** Each line of JSON of an answer, as it comes. */
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

async function ask(words) {
  running = new AbortController();
  at("error").hidden = at("empty").hidden = true;
  at("send").hidden = true;
  at("stop").hidden = false;
  const shown = turn(words);
  try {
    const body = JSON.stringify({ request: words, state });
    const headers = { "content-type": "application/json" };
    const response = await fetch("api/ask", { method: "POST", headers, body, signal: running.signal });
    if (!response.ok) throw new Error((await response.json()).error);
    at("request").value = "";
    for await (const event of lines(response)) {
      shown.show(event);
      if (event.error) at("request").value = words;
    }
  } catch (error) {
    if (!at("request").value) at("request").value = words;
    if (error.name !== "AbortError") fail(`The counter does not answer: ${error.message}`);
  }
  shown.end();
  running = null;
  at("send").hidden = false;
  at("stop").hidden = true;
}

at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!running) ask(at("request").value.trim());
});
at("stop").addEventListener("click", () => running?.abort());
at("place").addEventListener("change", () => {
  state.place = at("place").value;
  refresh();
});
at("examples").addEventListener("click", (event) => {
  if (event.target.tagName === "BUTTON" && !running) ask(event.target.textContent);
});
refresh();
