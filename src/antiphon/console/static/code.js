// A chat request as code that sends it: `address` is the server's, `body` what is sent. The key stays in the
// environment.

export function curl(address, body) {
  const data = JSON.stringify(body, null, 2).replaceAll("'", "'\\''");
  return `curl --no-buffer ${address}/v1/chat/completions \\
  -H "Authorization: Bearer $OPENAI_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '${data}'
`;
}

export function python(address, body) {
  const named = Object.entries(body).map(([name, value]) => `    ${name}=${literal(value, 1, PYTHON)},\n`);
  return `from openai import OpenAI

client = OpenAI(base_url="${address}/v1")

stream = client.chat.completions.create(
${named.join("")})
for chunk in stream:
    for choice in chunk.choices:
        print(choice.delta.content or "", end="", flush=True)
        for call in choice.delta.tool_calls or []:
            print(call.function.name or "", call.function.arguments or "", end="", flush=True)
print()
`;
}

export function node(address, body) {
  return `import OpenAI from "openai";

const client = new OpenAI({ baseURL: "${address}/v1" });

const stream = await client.chat.completions.create(${literal(body, 0, JAVASCRIPT)});
for await (const chunk of stream) {
  for (const choice of chunk.choices) {
    process.stdout.write(choice.delta.content ?? "");
    for (const call of choice.delta.tool_calls ?? []) {
      process.stdout.write(\`\${call.function.name ?? ""} \${call.function.arguments ?? ""}\`);
    }
  }
}
console.log();
`;
}

// Texts are written as JSON writes them, which both languages read alike.
const WORDS = new Map([[true, "True"], [false, "False"], [null, "None"]]);
const PYTHON = { indent: 4, words: WORDS, key: JSON.stringify };
const JAVASCRIPT = { indent: 2, words: new Map(), key: named };

// Computed where it is no plain name: `"__proto__": …` would mean something else.
function named(key) {
  return /^[A-Za-z]\w*$/.test(key) ? key : `[${JSON.stringify(key)}]`;
}

function literal(value, depth, language) {
  if (value === null || typeof value !== "object") return language.words.get(value) ?? JSON.stringify(value);
  const list = Array.isArray(value);
  const parts = Object.entries(value).map(([name, one]) => {
    const written = literal(one, depth + 1, language);
    return list ? written : `${language.key(name)}: ${written}`;
  });
  const [open, close] = list ? "[]" : "{}";
  if (!parts.length) return open + close;
  const outer = " ".repeat(language.indent * depth);
  const inner = outer + " ".repeat(language.indent);
  return `${open}\n${parts.map((part) => `${inner}${part},\n`).join("")}${outer}${close}`;
}
