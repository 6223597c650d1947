// A conversation through the Vercel AI SDK, over the provider that is named; what came of it as one line of JSON.
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateObject, generateText, isStepCount, jsonSchema, streamText, tool } from "ai";
import { z } from "zod";

const address = { baseURL: process.env.OPENAI_BASE_URL, apiKey: process.env.OPENAI_API_KEY };
const providers = {
  compatible: () =>
    createOpenAICompatible({ name: "antiphon", includeUsage: true, supportsStructuredOutputs: true, ...address }),
  openai: () => createOpenAI(address).chat,
};
const settings = {
  model: providers[process.argv[2]]()("gpt-3.5-turbo"),
  maxOutputTokens: 48,
  temperature: 0,
  maxRetries: 0,
  // One call at a time, as each provider has it.
  providerOptions: { openai: { parallelToolCalls: false }, antiphon: { parallel_tool_calls: false } },
};

const City = z.object({ city: z.enum(["Paris", "Oslo"]), days: z.number().int().min(1).max(9) });
const asking = {
  ...settings,
  system: "You know the weather.",
  prompt: "What is the weather in Paris for the next 3 days?",
  tools: {
    forecast: tool({
      description: "The weather of the next days.",
      inputSchema: City,
      execute: async ({ city, days }) => ({ sky: `clear in ${city} for ${days} days` }),
    }),
  },
  toolChoice: "required",
  // First the function is called, then its result is told of.
  prepareStep: ({ stepNumber }) => (stepNumber > 0 ? { toolChoice: "none" } : {}),
  stopWhen: isStepCount(2),
};

const told = (steps) =>
  steps.map(({ finishReason, text, toolCalls, toolResults, usage }) => ({
    finishReason,
    text,
    calls: toolCalls.map(({ toolCallId, toolName, input }) => ({ id: toolCallId, name: toolName, input })),
    results: toolResults.map(({ toolCallId, output }) => ({ id: toolCallId, output })),
    tokens: usage.outputTokens,
  }));

async function refusal() {
  const nowhere = jsonSchema({ type: "object", properties: { a: { $ref: "#/nowhere" } } });
  try {
    await generateText({ ...asking, tools: { forecast: tool({ inputSchema: nowhere }) } });
    return null;
  } catch (problem) {
    if (!APICallError.isInstance(problem)) throw problem;
    return { status: problem.statusCode, ...JSON.parse(problem.responseBody).error };
  }
}

const whole = await generateText(asking);
const streamed = streamText(asking);
let pieces = 0;
for await (const _ of streamed.textStream) pieces += 1;
const { object } = await generateObject({ ...settings, schema: City, prompt: "Where is it sunny?" });
console.log(
  JSON.stringify({
    whole: told(whole.steps),
    streamed: told(await streamed.steps),
    pieces,
    object,
    refusal: await refusal(),
  }),
);
