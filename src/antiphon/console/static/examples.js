// What "Insert an example" inserts.
export const EXAMPLES = {
  tools: [
    {
      name: "get_weather",
      description: "The weather in a city right now.",
      parameters: {
        type: "object",
        properties: {
          city: { type: "string", description: "Name of the city" },
          unit: { type: "string", enum: ["celsius", "fahrenheit"] },
        },
        required: ["city", "unit"],
        additionalProperties: false,
      },
    },
  ],
  schema: {
    name: "recipe",
    strict: true,
    schema: {
      type: "object",
      properties: {
        title: { type: "string", maxLength: 60 },
        minutes: { type: "integer", minimum: 1, maximum: 240 },
        ingredients: { type: "array", items: { type: "string", maxLength: 40 }, minItems: 1, maxItems: 6 },
      },
      required: ["title", "minutes", "ingredients"],
      additionalProperties: false,
    },
  },
};
