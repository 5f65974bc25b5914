// The public names, and the names of the web that their types need.

// It runs before everything else.
// oxlint-disable-next-line import/no-unassigned-import
import "./platform/require-node.ts";

export { AutoConfig, GenerationConfig, MistralConfig } from "./api/auto-config.ts";
export { AutoTokenizer } from "./api/tokenizer/auto-tokenizer.ts";
export {
  AutoModel,
  AutoModelForCausalLM,
  AutoModelForQuestionAnswering,
  AutoModelForSequenceClassification,
  AutoModelForTokenClassification,
} from "./api/model/auto.ts";
export { BatchEncoding } from "./api/tokenizer/batch-encoding.ts";
export {
  BitsAndBytesConfig,
  type BitsAndBytesOptions,
} from "./api/quantization/bits-and-bytes-config.ts";
export { type CacheOptions, DynamicCache } from "./api/model/cache.ts";
export { type CausalLMInputs, MistralForCausalLM } from "./api/model/causal-lm.ts";
export { defaultModel } from "./api/default-model.ts";
export type { Device, DeviceMap } from "./api/device.ts";
export { env } from "./api/env.ts";
export {
  downloadModel,
  hf_hub_download,
  planDownload,
  removeCachedModel,
  scan_cache_dir,
  snapshot_download,
  verifyCachedModel,
} from "./api/hub.ts";
export type { DownloadPlan, PlannedFile } from "./api/model-files.ts";
export type { GenerateInputs, GenerateOptions } from "./api/model/generate.ts";
export { type KlDivergence, klDivergence } from "./api/measurement/kl-divergence.ts";
export type { LoadOptions } from "./api/model/load-options.ts";
export type { WithLoadingInfo } from "./api/model/load.ts";
export {
  type FIMRequest,
  MistralCommonBackend,
  type MistralCommonOptions,
  type MistralDecodeOptions,
  type SpecialTokenPolicy,
  type Tokenized,
} from "./api/tokenizer/mistral-common-backend.ts";
export { MistralModel } from "./api/model/mistral-model.ts";
export type {
  BaseModelOutputWithPast,
  CausalLMOutputWithPast,
  GenerateDecoderOnlyOutput,
  QuestionAnsweringModelOutput,
  SequenceClassifierOutputWithPast,
  TokenClassifierOutput,
} from "./api/model/outputs.ts";
export { type Perplexity, perplexity } from "./api/measurement/perplexity.ts";
export { pipeline, type PipelineOptions, type PipelineTask } from "./api/pipeline.ts";
export {
  FeatureExtractionPipeline,
  type FeatureExtractionOptions,
  type PooledFeaturesPipeline,
} from "./api/pipelines/feature-extraction.ts";
export {
  type Answer,
  type Question,
  QuestionAnsweringPipeline,
  type QuestionAnsweringOptions,
} from "./api/pipelines/question-answering.ts";
export {
  type LabelScore,
  TextClassificationPipeline,
  type TextClassificationOptions,
} from "./api/pipelines/text-classification.ts";
export type { ChatMessage } from "./api/tokenizer/apply-chat-template.ts";
export {
  type AnswerPipeline,
  type Generated,
  TextGenerationPipeline,
  type TextGenerationOptions,
} from "./api/pipelines/text-generation.ts";
export type { AggregationStrategy, Entity } from "./api/pipelines/entities.ts";
export {
  TokenClassificationPipeline,
  type TokenClassificationOptions,
} from "./api/pipelines/token-classification.ts";
export {
  type ZeroShotClassification,
  ZeroShotClassificationPipeline,
  type ZeroShotClassificationOptions,
} from "./api/pipelines/zero-shot-classification.ts";
export { type ForwardInputs, PreTrainedModel } from "./api/model/pretrained-model.ts";
export type { QuantizationMethod } from "./api/quantization/quantization-methods.ts";
export type { OwnQuantization, QuantizationConfig } from "./api/quantization/quantization.ts";
export {
  quantize,
  type Quantized,
  type QuantizeOptions,
  type QuantizeProgress,
} from "./api/quantization/quantize.ts";
export {
  MistralForQuestionAnswering,
  type QuestionAnsweringInputs,
} from "./api/model/question-answering.ts";
export {
  MistralForSequenceClassification,
  type SequenceClassificationInputs,
} from "./api/model/sequence-classification.ts";
export type { EvaluationOptions } from "./api/measurement/sliding-windows.ts";
export {
  MistralForTokenClassification,
  type TokenClassificationInputs,
} from "./api/model/token-classification.ts";
export { TextStreamer } from "./api/tokenizer/text-streamer.ts";
export {
  type NestedArray,
  type NestedInput,
  type Slice,
  Tensor,
  type TensorData,
  type TensorDType,
} from "./api/tensor/tensor.ts";
export { PreTrainedTokenizer } from "./api/tokenizer/tokenizer.ts";
export { torch } from "./api/tensor/torch.ts";
export type {
  CachedFileInfo,
  CachedRepoInfo,
  CachedRevisionInfo,
  HFCacheInfo,
  VerifiedFile,
} from "./hub/cached-models.ts";
export type { DownloadProgress } from "./hub/meter.ts";
export type { DownloadOptions, SnapshotOptions } from "./hub/snapshot.ts";
export { CheckpointError, EngineError, InputError, MemoryError, TemplateError } from "./errors.ts";
export { type IndexedText, TextIteratorStreamer } from "./generate/streamers.ts";
export { Float } from "./text/chat-template.ts";
export type { ChatCompletionRequest } from "./text/mistral-common/chat-request.ts";
export type { ValidationMode } from "./text/mistral-common/validate.ts";
export type { EncodingVersion } from "./text/mistral-common/version.ts";

// Projects have these from TypeScript's DOM types or from those of Node. The declarations merge with them, and let a project that has
// neither, or an older `lib`, read the types of this package.
declare global {
  interface AbortSignal {
    readonly aborted: boolean;
  }
  interface ReadableStream<R> {
    readonly locked: boolean;
  }
  interface URL {
    toString(): string;
  }
  interface SymbolConstructor {
    readonly asyncDispose: unique symbol;
  }
}
