const at = (id) => document.getElementById(id);
const names = {
  price_min: (value) => `from ${value} €`, price_max: (value) => `up to ${value} €`,
  stars: (value) => `at least ${value} stars`, sort: () => "cheapest first",
};
let filters = {};
let wish = "";
let running = null;

/** An element with a class and a text. */
function element(tag, style, text) {
  const made = document.createElement(tag);
  if (style) made.className = style;
  if (text !== undefined) made.textContent = text;
  return made;
}

function chip(text, label, style, act) {
  const button = element("button", `plain ${style}`, text);
  button.type = "button";
  button.setAttribute("aria-label", label);
  button.addEventListener("click", act);
  const item = element("li");
  item.append(button);
  at("chips").append(item);
}

/** Search again with filters that were changed by hand. */
function changed(change) {
  const next = structuredClone(filters);
  change(next);
  search(wish, next, true);
}

function showFilters(offers) {
  at("chips").replaceChildren();
  for (const [name, value] of Object.entries(filters)) {
    if (!value || value === "rating") continue;
    if (name === "category") {
      chip(value, `${value}: look on every shelf`, "set", () => changed((next) => { next.category = ""; }));
      continue;
    }
    for (const one of Array.isArray(value) ? value : [value]) {
      const text = names[name]?.(one) ?? (name === "without" ? `not ${one}` : one);
      chip(`${text} ×`, `Remove ${text}`, "set", () => changed((next) => {
        if (Array.isArray(value)) next[name] = value.filter((other) => other !== one);
        else next[name] = name === "sort" ? "rating" : 0;
      }));
    }
  }
  for (const [name, value] of offers) {
    chip(`+ ${value}`, `The assistant suggests ${value}: add it`, "offer", () => changed((next) => next[name].push(value)));
  }
}

function showProducts({ products, left_out: leftOut, milliseconds, reasoned }) {
  const count = products.length === 12 ? "The best 12" : `${products.length} found`;
  const without = leftOut.length ? ` Nothing has all of it, so this was left out: ${leftOut.join(", ")}.` : "";
  const none = "Nothing found. Remove a filter, or say it in other words.";
  at("status").textContent = products.length ? `${count}, in ${milliseconds} ms.${without}` : none;
  at("products").replaceChildren(...products.map((product, index) => {
    const card = element("li");
    card.id = `product-${product.id}`;
    const title = element("h2");
    title.append(element("span", `swatch ${product.colour}`), product.name);
    title.firstChild.setAttribute("aria-hidden", "true");
    const figures = element("p", "figures");
    figures.append(element("span", "price", `${product.price} €`));
    figures.append(element("span", "rating", `★ ${product.stars.toFixed(1)} of 5 · ${product.reviews} reviews`));
    card.append(title, figures, element("p", "about", product.description));
    if (index < reasoned) {
      const reason = element("p", "reason checking", "…");
      reason.setAttribute("aria-live", "polite");
      reason.setAttribute("aria-busy", "true");
      card.append(reason);
    }
    return card;
  }));
}

const reasonOf = (id) => document.querySelector(`#product-${id} .reason`);

function settle(id) {
  const reason = reasonOf(id);
  reason.classList.remove("checking");
  reason.setAttribute("aria-busy", "false");
  return reason;
}

function show(event) {
  if (event.filters) {
    filters = event.filters;
    at("found").hidden = false;
    showFilters(event.offers);
  } else if (event.products) {
    showProducts(event);
  } else if (event.reason) {
    const reason = reasonOf(event.reason);
    reason.textContent = (reason.textContent === "…" ? "" : reason.textContent) + event.text;
  } else if (event.taken_back) {
    reasonOf(event.taken_back).textContent = "…";
  } else if (event.kept) {
    settle(event.kept);
  } else if (event.given_up) {
    settle(event.given_up).replaceWith(element("p", "note", "The assistant found no words that hold to the data."));
  } else if (event.error) {
    fail(event.error);
  }
}

function fail(message) {
  at("error").textContent = message;
  at("error").hidden = false;
}

function busy(on) {
  at("send").hidden = on;
  at("stop").hidden = !on;
  if (on) return;
  for (const reason of document.querySelectorAll(".reason.checking")) {
    reason.replaceWith(element("p", "note", "Stopped before this reason was checked."));
  }
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

async function search(words, before, asIs) {
  running?.abort();
  const own = running = new AbortController();
  wish = words;
  at("error").hidden = at("empty").hidden = true;
  at("found").hidden = false;
  at("status").textContent = "Reading your wish…";
  busy(true);
  try {
    const body = JSON.stringify({ wish: words, filters: before, as_is: asIs });
    const headers = { "content-type": "application/json" };
    const response = await fetch("api/wish", { method: "POST", headers, body, signal: own.signal });
    if (!response.ok) throw new Error((await response.json()).error);
    for await (const event of lines(response)) show(event);
  } catch (error) {
    if (error.name !== "AbortError") fail(`The shop does not answer: ${error.message}`);
  }
  if (running !== own) return;
  running = null;
  busy(false);
  if (at("status").textContent.endsWith("…")) at("status").textContent = "";
}

at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  search(at("wish").value.trim(), filters, false);
});
at("stop").addEventListener("click", () => running?.abort());
at("examples").addEventListener("click", (event) => {
  if (event.target.tagName !== "BUTTON") return;
  at("wish").value = event.target.textContent;
  at("form").requestSubmit();
});
