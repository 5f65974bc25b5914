// The streamer that prints. Does not know how text is cut into pieces: generate/streamers.ts.

import { printText } from "#platform";
import { TextStream } from "../../generate/streamers.ts";

/**
 * Prints the text of one sequence while it is generated, or passes it to `callback_function`.
 *
 * `generate({ ...inputs, streamer: new TextStreamer(tokenizer, { skip_prompt: true, skip_special_tokens: true }) })`.
 * A derived class gets each piece by overriding `on_finalized_text(text, stream_end)`.
 * @see Transformers 5.23 `TextStreamer`: the same pieces, each printed when it can no longer change
 */
export class TextStreamer extends TextStream {
  override on_finalized_text(text: string, stream_end: boolean = false): void {
    const { callback_function } = this.options;
    if (callback_function === undefined) printText(stream_end ? `${text}\n` : text);
    else if (text !== "") callback_function(text);
  }
}
