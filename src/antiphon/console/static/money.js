// What requests cost, as the ledger computes it: whole nano-dollars, each part rounded down, a begun second
// whole.
const NANO = 1e9;
const PER = 1000n;

// Two decimals, or as many as the first two digits take.
const currency = { style: "currency", currency: "USD", minimumFractionDigits: 2 };
const amount = new Intl.NumberFormat("en-US", {
  ...currency, maximumFractionDigits: 2, maximumSignificantDigits: 2, roundingPriority: "morePrecision",
});
const exactly = new Intl.NumberFormat("en-US", { ...currency, maximumFractionDigits: 9 });

// `price` holds nano-dollars as text: `input`, `cached` and `output` for 1,000 tokens.
export function ofTokens(price, usage) {
  const cached = usage.prompt_tokens_details?.cached_tokens ?? 0;
  const fresh = usage.prompt_tokens - cached;
  const input = BigInt(fresh) * BigInt(price.input) + BigInt(cached) * BigInt(price.cached);
  return input / PER + (BigInt(usage.completion_tokens) * BigInt(price.output)) / PER;
}

export function ofSound(price, seconds) {
  return BigInt(Math.ceil(seconds)) * BigInt(price.second);
}

// What a request cost, in words; `nanos` is what the shared service asks for it. An instance of the
// organization's own is paid by time, and which of both has answered is in the log alone.
export function cost(price, nanos) {
  const shared = nanos ? amount.format(Number(nanos) / NANO) : "free";
  if (!price.instance) return shared;
  const own = `paid by the hour of ${price.instance}`;
  return "spills" in price ? `${own}, or ${shared} if that had no place` : own;
}

// A price in nano-dollars as dollars, exactly: `$0.002`, and `$1.50`.
export const dollars = (nanos) => exactly.format(Number(nanos) / NANO);
