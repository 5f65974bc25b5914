// A plugin of TypeDoc: docstrings write shapes as [B, S], and Markdown would read "[B, S]: …" as the target of a link and leave it out.
import { Converter } from "typedoc";

/** @param {import("typedoc").Application} app */
export function load(app) {
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, (context) => {
    for (const reflection of Object.values(context.project.reflections)) {
      const { comment } = reflection;
      const parts = [comment?.summary, ...(comment?.blockTags ?? []).map(({ content }) => content)];
      for (const part of parts.flatMap((list) => list ?? [])) {
        if (part.kind === "text") part.text = part.text.replace(/\[([^\][]*)\](?!\()/g, "\\[$1\\]");
      }
    }
  });
}
