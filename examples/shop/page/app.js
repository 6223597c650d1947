import { ask, at, make, turns } from "/kit/kit.js";

const turn = turns();
let last = Promise.resolve();
let wish = "";
let filters = [];

/** The first filter is the shelf; each of the others can be taken away. */
function showFilters() {
  at("chips").replaceChildren(...filters.map((filter, place) => {
    const chip = make(place ? "button" : "span", place ? `${filter} ×` : filter, "set");
    if (place) {
      chip.setAttribute("aria-label", `Remove ${filter}`);
      chip.addEventListener("click", () => search(wish, filters.filter((other) => other !== filter), true));
    }
    const item = make("li");
    item.append(chip);
    return item;
  }));
}

function card({ name, category, colour, material, brand, features, price, stars }) {
  const made = make("li", "", "card");
  const title = make("h2", name);
  title.prepend(make("span", "", `swatch ${colour}`));
  const figures = make("p", "", "figures");
  figures.append(make("span", `${price} €`, "price"), make("span", `★ ${stars.toFixed(1)} of 5`, "quiet"));
  const about = `${category} in ${colour} ${material} by ${brand}: ${features.replaceAll(",", ", ")}.`;
  made.append(title, figures, make("p", about[0].toUpperCase() + about.slice(1), "about quiet"));
  return made;
}

function showProducts({ products, left_out: leftOut, milliseconds }) {
  const count = products.length === 12 ? "The best 12" : `${products.length} found`;
  const without = leftOut.length ? ` Nothing is all of that, so this was left out: ${leftOut.join(", ")}.` : "";
  const none = "Nothing found. Take a filter away, or say it in other words.";
  at("count").textContent = products.length ? `${count}, in ${milliseconds} ms.${without}` : none;
  at("products").replaceChildren(...products.map(card));
}

/** A reason as far as it is written; it is the last of its product's card. */
function showReason({ reason, of, settled }) {
  const product = at("products").children[of];
  let shown = product.querySelector(".reason");
  if (!shown) product.append(shown = make("p", "", "reason"));
  shown.ariaLive = "polite";
  shown.ariaBusy = !settled;
  shown.textContent = reason || "The assistant found no words that hold to the data.";
  shown.classList.toggle("writing", !settled);
  shown.classList.toggle("none", !reason);
}

function show(event) {
  if (event.filters) {
    filters = event.filters;
    showFilters();
    at("found").hidden = false;
  } else if (event.products) {
    showProducts(event);
    at("state").textContent = "Saying why…";
  } else {
    showReason(event);
  }
}

/** Search for a wish after filters, or for the filters as they are; what is still being answered ends. */
function search(words, before, asIs = false) {
  turn.stop();
  last = last.then(async () => {
    wish = words;
    at("empty").hidden = true;
    const body = { wish, filters: before.join("\n"), as_is: asIs };
    await turn.run("Reading your wish…", (signal) => ask("/api/wish", body, show, signal));
    for (const reason of document.querySelectorAll(".writing")) reason.remove();
  });
}

at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  search(at("wish").value.trim(), filters);
});
at("examples").addEventListener("click", (event) => {
  if (event.target.tagName !== "BUTTON") return;
  at("wish").value = event.target.textContent;
  at("form").requestSubmit();
});
