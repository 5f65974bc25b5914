// Options that users of Transformers pass to from_pretrained although they belong elsewhere here, or have another name: what to write
// instead. Knows the names only.

import { fieldNames } from "../../generate/generation-fields.ts";
import { BitsAndBytesConfig } from "../quantization/bits-and-bytes-config.ts";

/** Names of other libraries and of older versions, with what to write instead. */
const renamed: Readonly<Record<string, string>> = {
  use_flash_attention_2: 'write attn_implementation: "flash_attention_2"',
  use_auth_token: "its name is token",
  max_memory: "use memoryLimit (bytes)",
  adapter_name: "adapters are not supported yet; merge the adapter into the checkpoint",
  adapter_kwargs: "adapters are not supported yet; merge the adapter into the checkpoint",
  state_dict: "load from a folder",
  key_mapping: "rename the tensors in the file",
  from_tf: "only safetensors and GGUF files are read",
  from_flax: "only safetensors and GGUF files are read",
  progress_callback: "its name is onProgress",
  model_file_name: "its name is variant (the middle of the weights' file name)",
};

const quantisation: ReadonlySet<string> = new Set(Object.keys(new BitsAndBytesConfig()));

/** Where a name that from_pretrained of a model does not take belongs; undefined: nobody knows. */
export function placeOfOption(name: string, value: unknown): string | undefined {
  if (Object.hasOwn(renamed, name)) return renamed[name];
  if (quantisation.has(name)) {
    const how = name.startsWith("load_in_") ? "" : "load_in_4bit: true, ";
    return `it is a field of BitsAndBytesConfig; write quantization_config: new BitsAndBytesConfig({ ${how}${name}: ${JSON.stringify(value)} })`;
  }
  if (fieldNames.has(name)) return "it is an option of generate(), and a field of GenerationConfig";
  return undefined;
}
