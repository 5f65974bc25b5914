// Reads the settings of compressed-tensors: `config_groups` say how weights are packed and which layers they target, `ignore` names
// layers that are not packed. A target is a layer's name, "re:" and a regular expression, or a class ("Linear": every packed layer).
// If several match, a name wins over an expression, and an expression over a class. Settings that would change the numbers and are
// not supported are refused. Does not know the tensors.

import { CheckpointError } from "../../errors.ts";
import { type Settings, SettingsReader } from "./packed-settings.ts";
import { targetPattern } from "./target-pattern.ts";

/** How the weights of a layer are packed. */
export type CompressedScheme = {
  /** How many inputs share a scale; -1: all of a row. */
  readonly groupSize: number;
  readonly symmetric: boolean;
};

/** How a target matches a layer: 0 by its name, 1 by an expression, 2 by its class; undefined: not at all. */
type Target = (layer: string) => number | undefined;

type Targeted = { readonly target: Target; readonly scheme: CompressedScheme };

/**
 * Reads the settings; the result finds the scheme of a packed layer by its name.
 * @throws CheckpointError settings that are not read; later, a layer that is ignored, or that no group targets
 */
export function compressedSchemes(
  dir: string,
  settings: Settings,
): (layer: string) => CompressedScheme {
  const where = `${dir}: settings of compressed-tensors`;
  const reader = new SettingsReader(where, settings);
  reader.only("kv_cache_scheme", [{}], "a quantised cache");
  reader.only("transform_config", [{}], "weights that were rotated");
  reader.object("sparsity_config")?.only("format", ["dense"], "sparse weights");
  const format = reader.value("format");
  const groups = reader.object("config_groups");
  if (groups === undefined) throw reader.refuse("config_groups", undefined, "groups of settings");
  const targeted = groups.names().flatMap((name): Targeted[] => {
    const group = groups.object(name);
    if (group === undefined) throw groups.refuse(name, undefined, "settings of a group");
    const scheme = readScheme(group, format);
    return group.words("targets").map((target) => ({ target: targetOf(where, target), scheme }));
  });
  const ignored = reader.words("ignore").map((target) => targetOf(where, target));

  const contradiction = (what: string, layer: string): CheckpointError =>
    new CheckpointError(
      `${where}: ${what} ${layer}, but the file holds packed weights of it; are the settings the ones of these weights?`,
    );
  return (layer) => {
    if (ignored.some((target) => target(layer) !== undefined)) {
      throw contradiction("ignore names", layer);
    }
    let best: CompressedScheme | undefined;
    let closest = Infinity;
    for (const { target, scheme } of targeted) {
      const rank = target(layer) ?? Infinity;
      if (rank < closest) [closest, best] = [rank, scheme];
    }
    if (best === undefined) throw contradiction("no group of config_groups targets", layer);
    return best;
  };
}

function readScheme(group: SettingsReader, format: unknown): CompressedScheme {
  if ((group.value("format") ?? format) !== "pack-quantized") {
    throw group.refuse("format", group.value("format") ?? format, '"pack-quantized"');
  }
  group.only("input_activations", [{}], "quantised activations");
  group.only("output_activations", [{}], "quantised activations");
  const weights = group.object("weights");
  if (weights === undefined) throw group.refuse("weights", undefined, "how weights are packed");
  weights.fourBits("num_bits");
  weights.word(["int"], "type");
  weights.only("dynamic", [false], "scales made while computing");
  weights.only("block_structure", [], "scales of blocks");
  const size = weights.whole("group_size");
  const strategy = weights.word(
    size === undefined || size === -1 ? ["channel", "group"] : ["group", "channel"],
    "strategy",
  );
  return {
    groupSize: strategy === "channel" ? -1 : weights.groupSize(undefined, "group_size"),
    symmetric: weights.flag("symmetric") ?? true,
  };
}

function targetOf(where: string, target: string): Target {
  const expression = target.startsWith("re:") ? pattern(where, target.slice(3)) : undefined;
  return (layer) => {
    if (target === layer) return 0;
    if (expression !== undefined) return expression(layer) ? 1 : undefined;
    return target === "Linear" ? 2 : undefined;
  };
}

function pattern(where: string, source: string): (text: string) => boolean {
  const found = targetPattern(source);
  if (found !== undefined) return found;
  throw new CheckpointError(
    `${where}: the target ${JSON.stringify(`re:${source}`)} is no regular expression that is read here; name the layers instead`,
  );
}
