import { ask, at, json, make, turns } from "/kit/kit.js";

const talk = turns();
const items = (lines) => lines.map((line) => make("li", line));

function showBasket({ place, lines, total, stores }) {
  at("place").value = place;
  at("nothing").hidden = lines.length > 0;
  at("filled").hidden = lines.length === 0;
  at("lines").replaceChildren(...items(lines));
  at("total").textContent = `Together ${total}`;
  at("stores").replaceChildren(...items(stores));
}

/** The basket, at the place that is chosen. */
async function refresh() {
  const body = JSON.stringify({ place: at("place").value });
  const basket = await json(await fetch("/api/basket", { method: "POST", body }));
  if (!at("place").length) at("place").append(...basket.places.map((place) => new Option(place)));
  showBasket(basket);
}

/** What came of a call. */
function card(call, { title, lines, note }) {
  const made = make("div", "", "card");
  const list = make("ul");
  list.append(...items(lines));
  made.append(make("code", call), make("h3", title), list, make("p", note));
  return made;
}

async function send(words) {
  const turn = make("li");
  const answer = make("p", "", "writing");
  let kept = false;
  turn.append(make("p", words, "card mine"), answer);
  at("turns").append(turn);
  at("empty").hidden = true;
  at("request").value = "";
  const handle = (event) => {
    if (event.card) {
      answer.before(card(event.call, event.card));
      showBasket(event.basket);
    } else {
      answer.textContent = event.text;
      kept = event.kept;
    }
    turn.scrollIntoView({ block: "nearest" });
  };
  const well = await talk.run("Looking it up …", (signal) => ask("/api/ask", { request: words }, handle, signal));
  answer.className = "";
  if (!kept) answer.replaceWith(make("p", "The answer was not finished, or did not hold to the result.", "quiet"));
  if (!well) at("request").value = words;
}

at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!talk.busy) send(at("request").value.trim());
});
at("ideas").addEventListener("click", ({ target }) => {
  if (target.tagName === "BUTTON" && !talk.busy) send(target.textContent);
});
at("place").addEventListener("change", () => talk.run("Looking at the stores …", refresh));
talk.run("Opening …", refresh);
