// Conversations for chat templates: with a system prompt, tools and their results, reasoning, parts of content, and what a template
// must refuse.

const TOOLS = [
  {
    type: "function",
    function: {
      name: "get_weather",
      description: 'The weather now <in> a "city" & more.',
      parameters: {
        type: "object",
        properties: {
          city: { type: "string", description: "A city, such as 서울 or Zürich" },
          days: { type: ["integer", "null"], minimum: 0.5 },
        },
        required: ["city"],
      },
      return: { type: "string" },
    },
  },
  {
    type: "function",
    function: { name: "now", description: "", parameters: { type: "object", properties: {} } },
  },
];

const user = (content: unknown): object => ({ role: "user", content });
const assistant = (content: unknown, more: object = {}): object => ({
  role: "assistant",
  content,
  ...more,
});
const system = (content: unknown): object => ({ role: "system", content });
const called = (args: unknown, id = "call00001"): object => ({
  role: "assistant",
  tool_calls: [{ id, type: "function", function: { name: "get_weather", arguments: args } }],
});
const result = (content: unknown, id = "call00001"): object => ({
  role: "tool",
  name: "get_weather",
  content,
  tool_call_id: id,
});

export const CONVERSATIONS: Readonly<Record<string, Record<string, unknown>>> = {
  "one turn": { messages: [user("Hi")] },
  "one turn, open": { messages: [user("  Hi there\n")], add_generation_prompt: true },
  "three turns": {
    messages: [user("Hi"), assistant("Hello!"), user('What is 2 < 3 & "why"?')],
    add_generation_prompt: true,
  },
  system: { messages: [system("Be brief."), user("Hi"), assistant(" Yo. "), user("Bye 👋")] },
  "only system": { messages: [system("Be brief.")], add_generation_prompt: true },
  "two users": { messages: [user("a"), user("b")] },
  "assistant first": { messages: [assistant("Hello"), user("Hi")] },
  tools: { messages: [system("Use tools."), user("Weather?")], tools: TOOLS },
  "tool call, object": {
    messages: [
      user("Weather?"),
      called({ city: "Zürich", days: 2 }),
      result('{"t": 21.5}'),
      assistant("21 °C"),
      user("Thanks"),
    ],
    tools: TOOLS,
    add_generation_prompt: true,
  },
  "tool call, text": {
    messages: [user("Weather?"), called('{"city": "Oslo"}'), result("cold")],
    tools: TOOLS,
  },
  "two results": {
    messages: [user("Both?"), called({ city: "a" }), result("1"), result("2"), user("and?")],
  },
  "a call without an id of nine": { messages: [user("x"), called({}, "1"), result(5, "1")] },
  reasoning: {
    messages: [
      user("2+2?"),
      assistant("4", { reasoning_content: "easy\n" }),
      user("3+3?"),
      assistant("<think>\nhm\n</think>\n\n6"),
    ],
    enable_thinking: false,
  },
  "no thinking": { messages: [user("Hi")], add_generation_prompt: true, enable_thinking: false },
  parts: {
    messages: [
      user([
        { type: "text", text: "What is this?" },
        { type: "image", url: "x" },
      ]),
    ],
  },
  documents: {
    messages: [user("Read")],
    documents: [
      { title: "A", text: "one" },
      { title: "B", text: "two\nthree" },
    ],
  },
};
