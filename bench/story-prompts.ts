// Ordinary prompts, as people type them who do not know the embedded model, and how much of a text repeats itself.

/** Forty: greetings, names of things, beginnings of sentences, questions, requests, tests. */
export const prompts: readonly string[] = [
  "Hi",
  "Hello",
  "Good morning",
  "Hello, how are you?",
  "Who are you?",
  "My name is Anna",
  "I am sad",
  "Test",
  "a",
  "The dragon",
  "A dog",
  "The cat",
  "The sun",
  "Snow",
  "The robot",
  "Christmas",
  "Tom and Lily",
  "Max the dog",
  "A princess in a castle",
  "A boat, a moon and a key",
  "Once upon a time",
  "It was a dark and stormy night",
  "There was a",
  "In 1969",
  "On Monday",
  "Yesterday I went to",
  "The King said",
  "Dear diary",
  "Paris is",
  "The best way to learn",
  "the quick brown fox",
  "The weather today",
  "Happy birthday",
  "What is the capital of France?",
  "Why is the sky blue?",
  "2 + 2 =",
  "def main():",
  "Tell me a story",
  "Tell me a joke",
  "Write a poem about the sea",
];

/**
 * The share of four words in a row that the text has said before: 1 − distinct ÷ all (seq-rep-4 of Welleck et al. 2019,
 * arXiv:1908.04319, over words). 0 for texts of fewer than four words.
 */
export function repeatedShare(text: string): number {
  const words = text.split(/\s+/).filter((word) => word !== "");
  const grams = words.slice(3).map((_, i) => words.slice(i, i + 4).join(" "));
  return grams.length === 0 ? 0 : 1 - new Set(grams).size / grams.length;
}
