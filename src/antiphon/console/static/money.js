// What requests cost, as the ledger computes it: whole nano-dollars, each part rounded down, a begun second
// whole.
const NANO = 1_000_000_000n;
const PER = 1000n;

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
  const shared = nanos ? dollars(nanos) : "free";
  if (!price.instance) return shared;
  const own = `paid by the hour of ${price.instance}`;
  return "spills" in price ? `${own}, or ${shared} if that had no place` : own;
}

// Nano-dollars as dollars, exactly: `$0.0015`.
export function dollars(nanos) {
  const amount = BigInt(nanos);
  const parts = (amount % NANO).toString().padStart(9, "0").replace(/0+$/, "");
  return `$${amount / NANO}${parts && `.${parts}`}`;
}
