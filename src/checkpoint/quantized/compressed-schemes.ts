// The settings of compressed-tensors: `config_groups` say how weights are packed and which layers they target, `ignore` names the
// layers that are not. A target is a layer's name, a regular expression after "re:", or a class, of which packed layers have one:
// Linear. Names come first, then expressions, then the class. Refuses what would change the numbers and is not read here.

import { CheckpointError } from "../../errors.ts";
import { type Settings, SettingsReader } from "./packed-settings.ts";

/** How the weights of a layer are packed. */
export type CompressedScheme = {
  /** Inputs that share a scale, or -1: one scale a row. */
  readonly groupSize: number;
  readonly symmetric: boolean;
};

type Group = { readonly targets: readonly string[]; readonly scheme: CompressedScheme };

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
  const named = reader.object("config_groups");
  if (named === undefined) throw reader.refuse("config_groups", undefined, "groups of settings");
  const groups = named.names().map((name): Group => {
    const group = named.object(name);
    if (group === undefined) throw named.refuse(name, undefined, "settings of a group");
    return readGroup(group, format);
  });
  const ignored = reader.words("ignore");
  return (layer) => {
    if (ignored.some((target) => meets(where, target, layer) !== undefined)) {
      throw new CheckpointError(
        `${where}: ignore names ${layer}, but the file holds packed weights of it; are the settings the ones of these weights?`,
      );
    }
    const best = groups
      .flatMap(({ targets, scheme }) =>
        targets.map((target) => ({ rank: meets(where, target, layer), scheme })),
      )
      .reduce<{ rank: number; scheme: CompressedScheme } | undefined>(
        (found, { rank, scheme }) =>
          rank !== undefined && rank < (found?.rank ?? Infinity) ? { rank, scheme } : found,
        undefined,
      );
    if (best !== undefined) return best.scheme;
    throw new CheckpointError(
      `${where}: no group of config_groups targets ${layer}, but the file holds packed weights of it; are the settings the ones of these weights?`,
    );
  };
}

function readGroup(group: SettingsReader, format: unknown): Group {
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
    targets: group.words("targets"),
    scheme: {
      groupSize: strategy === "channel" ? -1 : weights.groupSize(undefined, "group_size"),
      symmetric: weights.flag("symmetric") ?? true,
    },
  };
}

/** How closely a target meets a layer: 0 by name, 1 by expression, 2 by class; undefined: not at all. */
function meets(where: string, target: string, layer: string): number | undefined {
  if (target === layer) return 0;
  if (!target.startsWith("re:")) return target === "Linear" ? 2 : undefined;
  return expression(where, target.slice("re:".length)).test(layer) ? 1 : undefined;
}

// As Python's re.match has it: from the beginning, not to the end. A file must not make matching take forever: nothing that repeats
// stands inside of what repeats, and few things repeat.
function expression(where: string, source: string): RegExp {
  try {
    const repeated = source.match(/[*+}]/g)?.length ?? 0;
    const nested = /[*+}][^()]*\)+[*+{]/.test(source);
    if (repeated <= MAX_REPEATED && !nested) return new RegExp(`^(?:${source})`);
  } catch {
    // No expression at all: the same error.
  }
  throw new CheckpointError(
    `${where}: the target ${JSON.stringify(`re:${source}`)} is no regular expression that is read here; name the layers instead`,
  );
}

const MAX_REPEATED = 8;
