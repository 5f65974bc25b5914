// From Transformers' page on Mistral: "Pipeline", a chat in one call.
import { pipeline, torch } from "../../src/index.ts";

const messages = [
  { role: "user", content: "What is your favourite condiment?" },
  {
    role: "assistant",
    content:
      "Well, I'm quite partial to a good squeeze of fresh lemon juice. It adds just the right amount of zesty flavour to whatever I'm cooking up in the kitchen!",
  },
  { role: "user", content: "Do you have mayonnaise recipes?" },
];

const chatbot = await pipeline("text-generation", "mistralai/Mistral-7B-Instruct-v0.3", {
  dtype: torch.bfloat16,
  device: 0,
});
console.log(JSON.stringify(await chatbot(messages)));

await chatbot.dispose();
