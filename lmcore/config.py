"""What a run is: every setting with its default, its bounds and one line of meaning.

A config is plain data: eight sections of settings, read from TOML, changed by `section.key=value`, and written out
complete into the run directory. The descriptions below are what `lm presets show` and the Presets screen print. A
setting that has an effect only together with others says so in its annotation, by `when` and `unless`.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args, get_origin

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo

from lmcore.applies import AnyOf, Condition, any_of, unless, when
from lmcore.errors import UsageError, did_you_mean
from lmcore.registry import ARCHITECTURES, CHOICES, OPTIMIZERS

Probability = Annotated[float, Field(ge=0.0, lt=1.0)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
NonNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
AboveZero = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


CELL = when("model.architecture", "cell")
ATTENTION = when("model.architecture", "attention")
MLP = when("model.architecture", "mlp")
NORM = when("model.architecture", "norm")


class UnknownNameError(ValueError):
    """A value that is not the name of anything; carries the two sentences for the user."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def _known(what: str, name: object, known: Mapping[str, object]) -> str:
    """`name`, if it is one of the `known`; `what` is what it names."""
    if not isinstance(name, str) or name not in known:
        hint = did_you_mean(str(name), known, f"Choose one of {', '.join(known)}.")
        raise UnknownNameError(f"There is no {what} '{name}'.", hint)
    return name


class Section(BaseModel):
    """A group of settings. Unknown names and values of the wrong type are refused."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, frozen=True)


class DataConfig(Section):
    """Which text, how it is split, and in what order a model sees it."""

    corpus: str = Field(
        "python-docs", description="A corpus by name (see `lm data list`), or a file, folder or glob.", min_length=1
    )
    field: str = Field("text", description="The field that holds the text (JSONL files only).")
    val_fraction: Annotated[float, Field(gt=0.0, lt=0.5)] = Field(
        0.05, description="Fraction of the text used for validation, if the corpus has no splits of its own."
    )
    test_fraction: Annotated[float, Field(ge=0.0, lt=0.5)] = Field(
        0.05, description="Fraction of the text used for the test, if the corpus has no splits of its own."
    )
    batching: Literal["streams", "windows", "documents"] = Field(
        "windows",
        description="streams: contiguous parallel streams, recurrent state carried (truncated BPTT); "
        "windows: shuffled windows; documents: one document per row.",
    )
    random_offset: Annotated[bool, when("data.batching", "windows")] = Field(
        False, description="Start the windows of each epoch at a random token, so that they differ between epochs."
    )
    stream_shift: Annotated[Count, when("data.batching", "streams")] = Field(
        0, description="Tokens by which the streams are shifted from one epoch to the next (0: none)."
    )


class TokenizerConfig(Section):
    """How text becomes tokens. A corpus that is already tokenized brings its own tokenizer."""

    kind: Literal["char", "word", "bpe", "gpt1", "gpt2", "file"] = Field(
        "bpe",
        description="char, word, bpe (byte-level, trained on the corpus), gpt1 or gpt2 (the published BPE), "
        "or file (a tokenizer.json).",
    )
    path: Annotated[str, when("tokenizer.kind", "file", "gpt1", "gpt2")] = Field(
        "", description="The tokenizer.json (file), or a folder with the two BPE files (gpt1, gpt2)."
    )
    vocab_size: Annotated[Count, when("tokenizer.kind", "bpe", "word")] = Field(
        0, description="Vocabulary size of a BPE (0: 8192); largest vocabulary of a word tokenizer (0: no limit)."
    )
    min_frequency: Annotated[Positive, when("tokenizer.kind", "word", "char", "bpe")] = Field(
        1, description="Rarer words or characters become <unk>; rarer pairs are not merged (bpe)."
    )
    lowercase: bool = Field(False, description="Convert the text to lowercase first (gpt1 always does).")
    pad_first: Annotated[bool, when("tokenizer.kind", "gpt1")] = Field(
        False, description="Use id 0 for <pad> and shift every other id up by one, as experiments 1 to 12 did."
    )
    special_tokens: Annotated[tuple[str, ...], when("tokenizer.kind", "bpe")] = Field(
        (), description="Special tokens, which get the first ids."
    )


class ModelConfig(Section):
    """The network. Names are those of GPT-2 and PyTorch."""

    architecture: str = Field("transformer", description="rnn (Elman, tanh), gru, lstm, or a decoder-only transformer.")
    vocab_size: Count = Field(0, description="Rows of the token embedding (0: the tokenizer's vocabulary size).")
    n_layer: Positive = Field(4, description="Number of layers (of a transformer: blocks).")
    n_embd: Positive = Field(128, description="Width of the embeddings and of a transformer's residual stream.")
    block_size: Positive = Field(
        64, description="Tokens in a training window: a transformer's context, a recurrent model's BPTT length."
    )
    tied: bool = Field(True, description="Tie the weights of the output layer to the token embedding.")
    head_bias: bool = Field(False, description="Add a bias to the output layer.")
    init: Literal["gpt2", "xavier", "torch"] = Field(
        "gpt2",
        description="Initialization: gpt2 (normal, std 0.02, residual projections scaled down), xavier (uniform), "
        "or torch (PyTorch's defaults).",
    )
    embedding: str = Field(
        "random",
        description="random, or a pretrained table: a Hugging Face Hub id, a .safetensors or .npz file, "
        "or a GloVe text file.",
        min_length=1,
    )
    freeze_embedding: bool = Field(False, description="Do not train the token embedding.")
    freeze_positions: Annotated[bool, when("model.position", "learned")] = Field(
        False,
        description="Do not train the position embedding; it is read from the file of model.embedding, if it has one.",
    )
    dropout: Probability = Field(0.0, description="Dropout between layers (recurrent) or on residual branches.")
    dropout_embedding: Probability = Field(
        0.0,
        description="Dropout on the embedded input; of recurrent models: on whole words of the embedding (AWD-LSTM).",
    )
    # Recurrent models.
    n_hidden: Annotated[Count, CELL] = Field(0, description="Hidden size of the recurrent layers (0: n_embd).")
    projection: Annotated[Literal["none", "linear", "relu"], CELL] = Field(
        "none", description="Layer that maps n_hidden to n_embd before the output layer."
    )
    locked_dropout: Annotated[bool, CELL] = Field(
        False, description="Use one dropout mask for all time steps (variational dropout; Gal & Ghahramani)."
    )
    dropout_input: Annotated[Probability, CELL] = Field(
        0.0, description="Dropout on the input of the first recurrent layer."
    )
    dropout_output: Annotated[Probability, CELL] = Field(
        0.0, description="Dropout on the output of the last recurrent layer."
    )
    weight_drop: Annotated[Probability, CELL] = Field(
        0.0, description="DropConnect on the hidden-to-hidden weights (AWD-LSTM)."
    )
    # Transformers.
    n_head: Annotated[Positive, ATTENTION] = Field(4, description="Number of attention heads.")
    n_inner: Annotated[Count, MLP] = Field(
        0, description="Width of the MLP's hidden layer (0: 4 x n_embd; swiglu: 8/3 x n_embd)."
    )
    activation: Annotated[Literal["gelu", "gelu_tanh", "relu", "swiglu"], MLP] = Field(
        "gelu", description="Activation function of the MLP."
    )
    norm: Annotated[Literal["layernorm", "rmsnorm", "annotated"], NORM] = Field(
        "layernorm", description="LayerNorm, RMSNorm, or annotated: a (x - mean) / (unbiased std + eps) + b."
    )
    norm_position: Annotated[Literal["pre", "post"], NORM] = Field(
        "pre", description="Normalize before each sublayer (GPT-2) or after each residual sum (GPT-1)."
    )
    norm_eps: Annotated[AboveZero, NORM] = Field(1e-5, description="Epsilon of the norms.")
    final_norm: Annotated[bool, NORM] = Field(True, description="Add one more norm after the last block.")
    position: Annotated[Literal["learned", "sinusoidal", "sinusoidal_published", "rotary", "none"], ATTENTION] = Field(
        "learned",
        description="Position encoding; sinusoidal_published has exponent 2c/d at column c, as in the hw1 study.",
    )
    rope_theta: Annotated[AboveZero, when("model.position", "rotary")] = Field(
        10_000.0, description="Base of the rotary wavelengths."
    )
    attention: Annotated[Literal["dot", "euclidean", "euclidean_published", "euclidean_squared"], ATTENTION] = Field(
        "dot",
        description="Score: q.k/sqrt(d); euclidean -|q-k|/sqrt(d); euclidean_published +|q-k| (favors far keys); "
        "euclidean_squared -|q-k|^2/sqrt(d).",
    )
    dropout_attention: Annotated[Probability, ATTENTION] = Field(0.0, description="Dropout on the attention weights.")
    dropout_mlp: Annotated[Probability, MLP] = Field(0.0, description="Dropout after the activation of the MLP.")
    bias: Annotated[bool, when("model.architecture", "attention", "mlp", "norm")] = Field(
        True, description="Use biases in linear layers and norms."
    )
    scale_embedding: Annotated[bool, ATTENTION] = Field(
        False, description="Multiply the token embeddings by sqrt(n_embd) (Vaswani et al., 2017)."
    )

    @field_validator("architecture", mode="before")
    @classmethod
    def _known_architecture(cls, value: object) -> str:
        return _known("architecture", value, ARCHITECTURES)

    @field_validator("norm", mode="before")
    @classmethod
    def _no_batchnorm(cls, value: object) -> object:
        if value in ("batchnorm", "batch_norm"):
            raise ValueError(
                "BatchNorm averages over the batch and the time steps, so a position would see its future and other "
                "texts, and its statistics break at batch size 1 when generating; use layernorm or rmsnorm"
            )
        return value

    @model_validator(mode="after")
    def _shapes_fit(self) -> Self:
        parts = ARCHITECTURES[self.architecture].parts
        if "attention" in parts:
            if self.n_embd % self.n_head:
                raise ValueError(f"n_embd {self.n_embd} is not a multiple of n_head {self.n_head}")
            if self.position == "rotary" and (self.n_embd // self.n_head) % 2:
                raise ValueError(f"rotary positions need an even head width, not {self.n_embd // self.n_head}")
            if self.position.startswith("sinusoidal") and self.n_embd % 2:
                raise ValueError(f"sinusoidal positions need an even n_embd, not {self.n_embd}")
        if "cell" in parts and self.tied and self.projection == "none" and self.hidden != self.n_embd:
            raise ValueError(
                f"a tied output layer needs n_hidden ({self.hidden}) = n_embd ({self.n_embd}), "
                "or projection = 'linear' or 'relu'"
            )
        return self

    @property
    def hidden(self) -> int:
        """Hidden size of the recurrent layers."""
        return self.n_hidden or self.n_embd

    @property
    def mlp_width(self) -> int:
        """Width of the MLP's hidden layer: `n_inner`, or 4 n_embd, or for SwiGLU 8/3 n_embd rounded up to a multiple
        of 8 (as many weights as 4 n_embd).
        """
        if self.n_inner:
            return self.n_inner
        return -(-8 * self.n_embd // 24) * 8 if self.activation == "swiglu" else 4 * self.n_embd


class OptimizerConfig(Section):
    """How a gradient becomes a step."""

    name: str = Field(
        "adamw",
        description="sgd, momentum, nesterov, adam, adam_l2 (weight decay added to the gradient; prefer adamw), adamw, "
        "or muon (orthogonalized momentum for matrices, adamw for the rest).",
    )
    lr: AboveZero = Field(1e-3, description="Peak learning rate.")
    momentum: Annotated[Fraction, when("optimizer.name", "momentum")] = Field(
        0.9, description="Momentum: the share of the previous step that is kept."
    )
    beta1: Annotated[Probability, when("optimizer.name", "betas")] = Field(
        0.9, description="Decay rate of the running mean of gradients (Adam)."
    )
    beta2: Annotated[Probability, when("optimizer.name", "betas")] = Field(
        0.95, description="Decay rate of the running mean of squared gradients (Adam)."
    )
    eps: Annotated[AboveZero, when("optimizer.name", "betas")] = Field(
        1e-8, description="Added to the denominator for numerical stability (Adam)."
    )
    weight_decay: Annotated[NonNegative, when("optimizer.name", "decay")] = Field(
        0.0,
        description="Weight decay: decoupled for adamw and muon; added to the gradient for sgd, momentum, nesterov "
        "and adam_l2.",
    )
    decay_all: Annotated[bool, unless("optimizer.weight_decay", 0)] = Field(
        False, description="Also decay norms, biases and embeddings (the default behavior of torch.optim)."
    )
    muon_lr: Annotated[AboveZero, when("optimizer.name", "muon")] = Field(
        0.02, description="Peak learning rate of the matrices (Muon)."
    )
    muon_momentum: Annotated[Probability, when("optimizer.name", "muon")] = Field(
        0.95, description="Nesterov momentum of the matrices (Muon)."
    )
    grad_clip: NonNegative = Field(0.0, description="Clip gradients to this global norm (0: off).")

    @field_validator("name", mode="before")
    @classmethod
    def _known_optimizer(cls, value: object) -> str:
        return _known("optimizer", value, OPTIMIZERS)

    @model_validator(mode="after")
    def _decay_fits(self) -> Self:
        if "decay" not in OPTIMIZERS[self.name].parts and self.weight_decay > 0:
            raise ValueError(
                f"{self.name} has no weight decay; use adamw (decoupled, recommended) "
                "or adam_l2 (added to the gradient)"
            )
        return self


class ScheduleConfig(Section):
    """The learning rate as a multiplier of its peak, by step."""

    name: Literal[
        "constant", "linear", "cosine", "step", "exponential", "one_cycle", "wsd", "plateau", "cosine_restarts"
    ] = Field("constant", description="Shape of the schedule after the warm-up.")
    warmup_steps: Count = Field(0, description="Steps over which the rate rises linearly from 0 to its peak.")
    decay_steps: Annotated[Count, when("schedule.name", "linear", "cosine", "one_cycle", "wsd")] = Field(
        0, description="Step at which the decay ends (0: the last step of the run)."
    )
    min_lr_ratio: Annotated[Fraction, unless("schedule.name", "constant")] = Field(
        0.0, description="Lowest rate, as a fraction of the peak."
    )
    step_size: Annotated[Positive, when("schedule.name", "step", "exponential")] = Field(
        1000, description="Steps in which the rate is multiplied by gamma (exponential: smoothly)."
    )
    gamma: Annotated[Fraction, when("schedule.name", "step", "exponential", "plateau")] = Field(
        0.5, description="Factor by which the rate is multiplied."
    )
    decay_fraction: Annotated[Fraction, when("schedule.name", "wsd")] = Field(
        0.2, description="Fraction of the run, at its end, over which the rate decays."
    )
    rise_fraction: Annotated[Fraction, when("schedule.name", "one_cycle")] = Field(
        0.3, description="Fraction of the run over which the rate rises."
    )
    restart_steps: Annotated[Positive, when("schedule.name", "cosine_restarts")] = Field(
        1000, description="Length of the first cycle, in steps."
    )
    restart_factor: Annotated[float, Field(ge=1.0), when("schedule.name", "cosine_restarts")] = Field(
        1.0, description="Factor by which each cycle is longer than the one before."
    )
    plateau_patience: Annotated[Positive, when("schedule.name", "plateau")] = Field(
        2, description="Evaluations without improvement before the rate is reduced."
    )


class TrainingConfig(Section):
    """How long, how often, on what, and what is kept."""

    batch_size: Positive = Field(12, description="Windows (or streams) in a micro-batch.")
    accumulate: Positive = Field(1, description="Micro-batches whose gradients are averaged into one step.")
    epochs: NonNegative = Field(0.0, description="Passes over the training split (0: no limit).")
    max_steps: Count = Field(0, description="Optimizer steps, counted from step 0 (0: no limit).")
    max_minutes: NonNegative = Field(0.0, description="Minutes of training, summed over all resumes (0: no limit).")
    eval_every: Count = Field(0, description="Steps between evaluations (0: once per epoch).")
    checkpoint_every: Count = Field(0, description="Steps between checkpoints (0: at each evaluation).")
    log_every: Positive = Field(10, description="Steps between points of the training curve.")
    keep_checkpoints: Positive = Field(1, description="Checkpoints kept besides the best and the last one.")
    seed: Count = Field(42, description="Random seed for initialization, batch order and dropout.")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N or mps.", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="auto: fp32 on the CPU; on a GPU bf16 if it is supported, else fp16 with loss scaling."
    )
    compile: Literal["auto", "on", "off"] = Field(
        "auto", description="Use torch.compile; auto: on CUDA, for runs that are long enough to benefit."
    )
    threads: Count = Field(0, description="CPU threads (0: PyTorch's default).")
    label_smoothing: Probability = Field(
        0.0, description="Probability mass of the target that is spread over the vocabulary (training only)."
    )
    l1: NonNegative = Field(0.0, description="Weight of the L1 penalty, on the weights that weight decay applies to.")
    activation_reg: Annotated[NonNegative, CELL] = Field(
        0.0, description="Activation regularization: L2 on the dropped output (AWD-LSTM, alpha)."
    )
    temporal_reg: Annotated[NonNegative, CELL] = Field(
        0.0, description="Temporal activation regularization: L2 on the change of the output (AWD-LSTM, beta)."
    )
    patience: Count = Field(
        0, description="Stop early after this many evaluations without a lower validation loss (0: off)."
    )
    min_delta: Annotated[NonNegative, unless("training.patience", 0)] = Field(
        0.0, description="Smallest decrease of the validation loss that counts as an improvement for patience."
    )
    average: Literal["none", "ema", "asgd"] = Field(
        "none",
        description="Weights that are evaluated and saved: the current ones, an exponential moving average (ema), "
        "or their mean since NT-ASGD was triggered (asgd).",
    )
    ema_decay: Annotated[float, Field(gt=0.0, lt=1.0), when("training.average", "ema")] = Field(
        0.999, description="Decay rate of the exponential moving average, per step."
    )
    asgd_patience: Annotated[Positive, when("training.average", "asgd")] = Field(
        5, description="Start averaging after this many evaluations without a lower validation loss."
    )
    max_bad_steps: Positive = Field(
        10, description="Stop the run as diverged after this many non-finite steps in a row; each is skipped."
    )
    unfreeze_every: Count = Field(
        0, description="Gradual unfreezing: train only the top layer, then one more every so many steps (0: off)."
    )


class EvalConfig(Section):
    """How a split is scored: every token exactly once."""

    batch_size: Count = Field(0, description="Windows scored at once (0: training.batch_size).")
    stride: Annotated[Count, any_of(unless("model.architecture", "state"), when("eval.carry_state", False))] = Field(
        0, description="Tokens scored in each window; the rest of the window is context (0: block_size)."
    )
    carry_state: Annotated[bool, when("model.architecture", "state")] = Field(
        True, description="Carry the recurrent state through the whole split; false: start each window from zero."
    )
    max_tokens: Count = Field(
        0, description="Tokens of the split scored during training (0: all). Final figures always use all."
    )
    published_mean: bool = Field(
        False,
        description="Also report perplexity as the study published it: a mean over batches that counts a short last "
        "batch as full.",
    )


class GenerationConfig(Section):
    """How text is drawn from a model."""

    prompts: tuple[str, ...] = Field((), description="Sampled at each evaluation.")
    max_new_tokens: Positive = Field(100, description="Tokens to write.")
    temperature: AboveZero = Field(0.8, description="Below 1: safer; above 1: wilder.")
    top_k: Count = Field(0, description="Keep the k likeliest tokens (0: all).")
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        1.0, description="Keep the likeliest tokens that together have this probability."
    )
    min_p: Fraction = Field(0.0, description="Drop tokens below this share of the likeliest one's probability.")
    repetition_penalty: AboveZero = Field(1.0, description="Above 1: tokens already written become less likely (CTRL).")
    no_repeat_ngram: Count = Field(0, description="No n-gram of this length twice (0: off).")
    greedy: bool = Field(False, description="Always the likeliest token.")
    seed: Count = Field(0, description="Same seed, same text.")
    stop: tuple[str, ...] = Field((), description="Stop before this text.")


class Config(Section):
    """A whole run."""

    data: DataConfig = DataConfig()
    tokenizer: TokenizerConfig = TokenizerConfig()
    model: ModelConfig = ModelConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    training: TrainingConfig = TrainingConfig()
    eval: EvalConfig = EvalConfig()
    generation: GenerationConfig = GenerationConfig()

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """All settings as plain values, lists instead of tuples: ready for JSON and TOML."""
        return self.model_dump(mode="json")

    def to_toml(self) -> str:
        """All settings as TOML; `from_toml` gives the same config back."""
        return tomli_w.dumps(self.to_dict())

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Config:
        """A config from nested values; what is left out takes its default.

        Raises:
            UsageError: an unknown section or setting (with the nearest known name), or a value out of bounds.
        """
        _refuse_unknown(values)
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise _explain(error) from None

    @classmethod
    def from_toml(cls, text: str, source: str = "The config") -> Config:
        """Like `from_dict`, from TOML text; `source` names it in errors."""
        try:
            values = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{source} is not valid TOML: {error}.", "Correct that line.") from None
        return cls.from_dict(values)

    @classmethod
    def from_file(cls, path: Path) -> Config:
        """Like `from_toml`, from a file."""
        return cls.from_toml(path.read_text(encoding="utf-8"), str(path))

    def with_settings(self, settings: dict[str, Any]) -> Config:
        """A copy with `{"section.key": value}` changed; text values are read as TOML where the setting is not text."""
        values = self.to_dict()
        for name, value in settings.items():
            section, _, key = name.partition(".")
            _refuse_unknown({section: {key: None}} if key else {name: None})
            values[section][key] = _parse(section, key, value) if isinstance(value, str) else value
        return Config.from_dict(values)


def parse_assignments(assignments: list[str]) -> dict[str, str]:
    """`["model.n_layer=2"]` to `{"model.n_layer": "2"}`.

    Raises:
        UsageError: one has no `=`.
    """
    settings = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not name.strip():
            raise UsageError(
                f"'{assignment}' is not a setting.", "Write section.key=value, for example training.batch_size=64."
            )
        settings[name.strip()] = value.strip()
    return settings


def setting_names() -> list[str]:
    """Every `section.key`, in order."""
    return [
        f"{section}.{key}"
        for section, field in Config.model_fields.items()
        for key in _section(field.annotation).model_fields
    ]


def setting_help(name: str) -> str:
    """One line on what `section.key` means."""
    return _field(name).description or ""


def setting_choices(name: str) -> list[str]:
    """What `section.key` can be, where it is one of a few words; else nothing."""
    annotation = _field(name).annotation
    if annotation is bool:
        return ["false", "true"]
    if get_origin(annotation) is Literal:
        return [str(value) for value in get_args(annotation)]
    return list(CHOICES.get(name, ()))


def setting_value(config: Config, name: str) -> Any:
    """The value of `section.key`."""
    section, _, key = name.partition(".")
    return getattr(getattr(config, section), key)


def setting_applies(config: Config, name: str) -> bool:
    """Whether `section.key` has an effect in this config."""
    return why_ignored(config, name) is None


def why_ignored(config: Config, name: str) -> str | None:
    """The setting that keeps `section.key` from having an effect, as "model.position = learned"; None if it has one."""
    for condition in _field(name).metadata:
        if isinstance(condition, (Condition, AnyOf)):
            reason = condition.unmet(
                lambda other: setting_value(config, other), lambda other: why_ignored(config, other)
            )
            if reason is not None:
                return reason
    return None


def differences(a: Config, b: Config) -> dict[str, tuple[Any, Any]]:
    """Settings that differ, as `{"section.key": (in a, in b)}`."""
    left, right = a.to_dict(), b.to_dict()
    return {
        f"{section}.{key}": (value, right[section][key])
        for section, values in left.items()
        for key, value in values.items()
        if value != right[section][key]
    }


def _field(name: str) -> FieldInfo:
    section, _, key = name.partition(".")
    return _section(Config.model_fields[section].annotation).model_fields[key]


def _section(annotation: Any) -> type[Section]:
    assert isinstance(annotation, type)
    assert issubclass(annotation, Section)
    return annotation


def _parse(section: str, key: str, text: str) -> Any:
    """A setting's value from the command line: text stays text, the rest is TOML (`true`, `0.1`, `["a", "b"]`)."""
    annotation = _field(f"{section}.{key}").annotation
    if annotation is str or "Literal" in str(annotation):
        return text
    if "tuple" in str(annotation) and not text.startswith("["):
        return [text] if text else []
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _refuse_unknown(values: dict[str, Any]) -> None:
    for section, settings in values.items():
        if section not in Config.model_fields:
            raise UsageError(
                f"There is no setting '{section}'.", _nearest(section, [*Config.model_fields, *setting_names()])
            )
        if not isinstance(settings, dict):
            raise UsageError(
                f"'{section}' is a section, not a setting.",
                f"Set one of its settings, for example {setting_names_of(section)[0]}.",
            )
        for key in settings:
            if key not in _section(Config.model_fields[section].annotation).model_fields:
                raise UsageError(
                    f"There is no setting '{section}.{key}'.", _nearest(f"{section}.{key}", setting_names())
                )


def setting_names_of(section: str) -> list[str]:
    """The `section.key` of one section."""
    return [name for name in setting_names() if name.startswith(f"{section}.")]


def _nearest(name: str, known: list[str]) -> str:
    matches = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if not matches:
        tail = name.rpartition(".")[2]
        matches = [k for k in known if k.rpartition(".")[2] == tail] or difflib.get_close_matches(
            tail, [k.rpartition(".")[2] for k in known], n=1
        )
    return f"Did you mean '{matches[0]}'?" if matches else "`lm presets show quick` lists every setting."


def _explain(error: ValidationError) -> UsageError:
    """The first thing wrong, in two sentences."""
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"] if not isinstance(part, int))
    if first["type"] == "value_error":
        if isinstance(first["ctx"]["error"], UnknownNameError):
            return UsageError(str(first["ctx"]["error"]), first["ctx"]["error"].hint)
        return UsageError(f"[{name}] does not fit: {first['ctx']['error']}.", "Change one of these settings.")
    context = first.get("ctx", {})
    bounds = {
        "ge": "at least {}",
        "gt": "above {}",
        "le": "at most {}",
        "lt": "below {}",
        "expected": "one of {}",
        "min_length": "not empty",
    }
    said = [text.format(context[key]) for key, text in bounds.items() if key in context]
    if first["type"] == "string_pattern_mismatch":
        return UsageError(f"{name} = {first['input']!r} is not possible.", f"It can be: {setting_help(name)}")
    wanted = " and ".join(said) if said else first["msg"].removeprefix("Input should be ").rstrip(".")
    return UsageError(
        f"{name} = {first['input']!r} is not possible: it must be {wanted}.", setting_help(name) if "." in name else ""
    )
