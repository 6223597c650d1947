// What is known of the model that is chosen, and said below it.
import { byId } from "/console/dom.js";
import { dollars } from "/console/money.js";

export const chosen = () => byId("model").selectedOptions[0].dataset;

// `price` gives the words for what the shared service costs.
export function explain(price) {
  const { snapshot, context } = chosen();
  const alias = snapshot !== byId("model").value && `answered by ${snapshot}`;
  const long = Number(context) > 0 && `reads ${Number(context).toLocaleString("en")} tokens`;
  byId("meaning").textContent = [alias, long, paid(chosen(), price)].filter(Boolean).join(" · ");
}

function paid(one, price) {
  if (!one.instance) return price(one);
  const own = `on your own ${one.instance}, for ${dollars(one.hour)} an hour and nothing more`;
  return "spills" in one ? `${own}; what finds no place there, ${price(one)}` : own;
}

export function priceOfTokens({ input, output }) {
  if (input === "0" && output === "0") return "free";
  return `${dollars(input)} in and ${dollars(output)} out for 1,000 tokens`;
}

export function priceOfSound({ second }) {
  return second === "0" ? "free" : `${dollars(second)} a second of sound`;
}
