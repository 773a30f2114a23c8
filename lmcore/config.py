"""What a run is: every setting with its default, its bounds and one line of meaning.

A config is plain data: eight sections of settings, read from TOML, changed by `section.key=value`, and written out
    complete into the run directory. The descriptions below are what `lm presets show` and the Presets screen print.
"""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lmcore.errors import UsageError

Probability = Annotated[float, Field(ge=0.0, lt=1.0)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
NonNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
AboveZero = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


class Section(BaseModel):
    """A group of settings. Unknown names and values of the wrong type are refused."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, frozen=True)


class DataConfig(Section):
    """Which text, how it is split, and in what order a model sees it."""

    corpus: str = Field(
        "python-docs", description="A corpus by name (`lm data list`), or a path: file, folder, glob.", min_length=1
    )
    field: str = Field("text", description="JSONL only: the field that holds the text.")
    val_fraction: Annotated[float, Field(gt=0.0, lt=0.5)] = Field(
        0.05, description="Share cut for validation when the corpus has no splits."
    )
    test_fraction: Annotated[float, Field(ge=0.0, lt=0.5)] = Field(
        0.05, description="Share cut for the test when the corpus has no splits."
    )
    batching: Literal["streams", "windows", "documents"] = Field(
        "windows",
        description="streams: parallel contiguous streams, state carried (BPTT); windows: shuffled windows; documents: one text a row.",
    )
    random_offset: bool = Field(
        False,
        description="windows: start each epoch's windows at a random token, so that they differ from epoch to epoch.",
    )


class TokenizerConfig(Section):
    """How text becomes tokens. A corpus that is already tokenized brings its own tokenizer."""

    kind: Literal["char", "word", "bpe", "gpt1", "gpt2", "file"] = Field(
        "bpe",
        description="char, word, bpe (byte-level, trained on the corpus), gpt1, gpt2 (their published BPE), file (a tokenizer.json).",
    )
    path: str = Field(
        "",
        description="file: the tokenizer.json; gpt1, gpt2: a folder with the two BPE files, if they are not in $LM_DATA.",
    )
    vocab_size: Count = Field(0, description="bpe: the vocabulary's size (0: 8192); word: its limit (0: none).")
    min_frequency: Positive = Field(
        1, description="word, char: rarer ones become <unk>; bpe: rarer pairs are not merged."
    )
    lowercase: bool = Field(False, description="Lowercase the text first (gpt1 always does).")
    pad_first: bool = Field(
        False, description="gpt1: put <pad> at id 0 and move every other id up by one, as the seed study did."
    )
    special_tokens: tuple[str, ...] = Field((), description="bpe: tokens that take the first ids.")


class ModelConfig(Section):
    """The network. Names are those of GPT-2 and PyTorch."""

    architecture: Literal["rnn", "gru", "lstm", "transformer"] = Field(
        "transformer", description="rnn (Elman, tanh), gru, lstm, or a decoder transformer."
    )
    vocab_size: Count = Field(0, description="Rows of the embedding (0: the tokenizer's vocabulary).")
    n_layer: Positive = Field(4, description="Layers or blocks.")
    n_embd: Positive = Field(128, description="Width of the embeddings, and of a transformer's residual stream.")
    block_size: Positive = Field(
        64, description="Tokens in a training window: a transformer's context, a recurrent model's BPTT length."
    )
    tied: bool = Field(True, description="The output layer shares the embedding's weights.")
    head_bias: bool = Field(False, description="The output layer has a bias.")
    init: Literal["gpt2", "xavier", "torch"] = Field(
        "gpt2", description="gpt2: normal 0.02, residual projections scaled; xavier; torch: each layer's own."
    )
    embedding: str = Field(
        "random",
        description="random, or a pretrained table: a Hub id, a .safetensors, or a GloVe text file.",
        min_length=1,
    )
    freeze_embedding: bool = Field(False, description="The token embedding is not trained.")
    freeze_positions: bool = Field(False, description="Learned positions are not trained.")
    dropout: Probability = Field(0.0, description="Dropout on layer outputs and residual branches.")
    dropout_embedding: Probability = Field(
        0.0,
        description="transformer: dropout on the embedded input; recurrent: whole words dropped from the embedding (AWD-LSTM).",
    )
    # Recurrent models.
    n_hidden: Count = Field(0, description="recurrent: hidden width (0: n_embd).")
    projection: Literal["none", "linear", "relu"] = Field(
        "none", description="recurrent: map n_hidden to n_embd before the output layer."
    )
    locked_dropout: bool = Field(
        False, description="recurrent: one dropout mask for all time steps (Gal & Ghahramani; AWD-LSTM)."
    )
    dropout_input: Probability = Field(0.0, description="recurrent: dropout on the embedded input.")
    dropout_output: Probability = Field(0.0, description="recurrent: dropout after the last layer.")
    weight_drop: Probability = Field(
        0.0, description="recurrent: DropConnect on the hidden-to-hidden weights (AWD-LSTM)."
    )
    # Transformers.
    n_head: Positive = Field(4, description="transformer: attention heads.")
    n_inner: Count = Field(0, description="transformer: width of the MLP (0: 4 x n_embd; swiglu: 8/3 x n_embd).")
    activation: Literal["gelu", "gelu_tanh", "relu", "swiglu"] = Field(
        "gelu", description="transformer: the MLP's nonlinearity."
    )
    norm: Literal["layernorm", "rmsnorm", "annotated"] = Field(
        "layernorm", description="transformer: LayerNorm, RMSNorm, or annotated: a(x-mean)/(unbiased std + eps)+b."
    )
    norm_position: Literal["pre", "post"] = Field(
        "pre", description="transformer: normalize before (GPT-2) or after (GPT-1) the residual sum."
    )
    norm_eps: AboveZero = Field(1e-5, description="transformer: the norm's epsilon.")
    final_norm: bool = Field(True, description="transformer: one more norm after the last block.")
    position: Literal["learned", "sinusoidal", "rotary", "none"] = Field(
        "learned", description="transformer: how it knows the order."
    )
    rope_theta: AboveZero = Field(10_000.0, description="rotary: the base of the wavelengths.")
    attention: Literal["dot", "euclidean", "euclidean_published", "euclidean_squared"] = Field(
        "dot",
        description="transformer: q.k/sqrt(d); -|q-k|/sqrt(d); +|q-k| (as published; favours far keys); -|q-k|^2/sqrt(d).",
    )
    dropout_attention: Probability = Field(0.0, description="transformer: dropout on attention weights.")
    bias: bool = Field(True, description="transformer: biases in linear layers and norms.")
    scale_embedding: bool = Field(
        False, description="transformer: multiply token embeddings by sqrt(n_embd) (Vaswani et al.)."
    )

    @field_validator("norm", mode="before")
    @classmethod
    def _no_batchnorm(cls, value: object) -> object:
        if value in ("batchnorm", "batch_norm"):
            raise ValueError(
                "BatchNorm averages over the batch and the time steps, so a position would see its future and other texts, "
                "and its statistics break at batch 1 when generating; use layernorm or rmsnorm"
            )
        return value

    @model_validator(mode="after")
    def _shapes_fit(self) -> Self:
        if self.architecture == "transformer":
            if self.n_embd % self.n_head:
                raise ValueError(f"n_embd {self.n_embd} is not a multiple of n_head {self.n_head}")
            if self.position == "rotary" and (self.n_embd // self.n_head) % 2:
                raise ValueError(f"rotary positions need an even head width, not {self.n_embd // self.n_head}")
            if self.position == "sinusoidal" and self.n_embd % 2:
                raise ValueError(f"sinusoidal positions need an even n_embd, not {self.n_embd}")
        elif self.tied and self.projection == "none" and self.hidden not in (0, self.n_embd):
            raise ValueError(
                f"a tied output needs n_hidden ({self.hidden}) = n_embd ({self.n_embd}), or projection = 'linear' or 'relu'"
            )
        return self

    @property
    def hidden(self) -> int:
        """Hidden width of a recurrent model."""
        return self.n_hidden or self.n_embd


class OptimizerConfig(Section):
    """How a gradient becomes a step."""

    name: Literal["sgd", "momentum", "nesterov", "adam", "adam_l2", "adamw", "muon"] = Field(
        "adamw",
        description="adam_l2 adds weight decay to the gradient (prefer adamw); muon: orthogonalized momentum for matrices, adamw for the rest.",
    )
    lr: AboveZero = Field(1e-3, description="Peak learning rate.")
    momentum: Fraction = Field(0.9, description="momentum, nesterov: share of the last step kept.")
    beta1: Probability = Field(0.9, description="adam, adamw: decay of the mean of gradients.")
    beta2: Probability = Field(0.95, description="adam, adamw: decay of the mean of squared gradients.")
    eps: AboveZero = Field(1e-8, description="adam, adamw: keeps the division finite.")
    weight_decay: NonNegative = Field(
        0.0, description="Decoupled for adamw and muon; added to the gradient for sgd, momentum, nesterov, adam_l2."
    )
    decay_all: bool = Field(False, description="Decay norms, biases and embeddings too (PyTorch's default behaviour).")
    muon_lr: AboveZero = Field(0.02, description="muon: peak learning rate of the matrices.")
    muon_momentum: Probability = Field(0.95, description="muon: momentum of the matrices (Nesterov).")
    grad_clip: NonNegative = Field(0.0, description="Scale gradients down to this global norm (0: off).")

    @model_validator(mode="after")
    def _decay_fits(self) -> Self:
        if self.name == "adam" and self.weight_decay > 0:
            raise ValueError(
                "adam has no weight decay; use adamw (decoupled, advised) or adam_l2 (added to the gradient)"
            )
        return self


class ScheduleConfig(Section):
    """The learning rate as a multiplier of its peak, by step."""

    name: Literal[
        "constant", "linear", "cosine", "step", "exponential", "one_cycle", "wsd", "plateau", "cosine_restarts"
    ] = Field("constant", description="Shape after the warm-up.")
    warmup_steps: Count = Field(0, description="Steps of linear rise from 0.")
    decay_steps: Count = Field(0, description="Step at which the decay ends (0: the last step of the run).")
    min_lr_ratio: Fraction = Field(0.0, description="The lowest rate, as a share of the peak.")
    step_size: Positive = Field(1000, description="step, exponential: steps between two cuts (exponential: smoothly).")
    gamma: Fraction = Field(0.5, description="step, exponential, plateau: factor of a cut.")
    decay_fraction: Fraction = Field(
        0.2, description="wsd: share of the run, at its end, that decays; one_cycle: unused."
    )
    rise_fraction: Fraction = Field(0.3, description="one_cycle: share of the run that rises.")
    restart_steps: Positive = Field(1000, description="cosine_restarts: length of the first cycle.")
    restart_factor: Annotated[float, Field(ge=1.0)] = Field(
        1.0, description="cosine_restarts: each cycle is this much longer."
    )
    plateau_patience: Positive = Field(2, description="plateau: evaluations without improvement before a cut.")


class TrainingConfig(Section):
    """How long, how often, on what, and what is kept."""

    batch_size: Positive = Field(12, description="Windows (or streams) in a micro-batch.")
    accumulate: Positive = Field(1, description="Micro-batches averaged into one step.")
    epochs: NonNegative = Field(0.0, description="Passes over the training split (0: no limit).")
    max_steps: Count = Field(0, description="Optimizer steps, counted from step 0 (0: no limit).")
    max_minutes: NonNegative = Field(0.0, description="Minutes of training, over all resumes (0: no limit).")
    eval_every: Count = Field(0, description="Steps between evaluations (0: once an epoch).")
    checkpoint_every: Count = Field(0, description="Steps between checkpoints (0: with each evaluation).")
    log_every: Positive = Field(10, description="Steps between train events.")
    keep_checkpoints: Positive = Field(1, description="Checkpoints kept beside the best and the last.")
    seed: Count = Field(42, description="Of weights, order of batches and dropout.")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N, mps.", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="auto: bf16 where the GPU has it, else fp16 with loss scaling, fp32 on CPU."
    )
    compile: Literal["auto", "on", "off"] = Field(
        "auto", description="torch.compile: auto on CUDA for runs long enough to repay it."
    )
    threads: Count = Field(0, description="CPU threads (0: PyTorch's choice).")
    label_smoothing: Probability = Field(
        0.0, description="Share of the target spread over the vocabulary (training only)."
    )
    l1: NonNegative = Field(0.0, description="Weight of the L1 penalty on weights.")
    activation_reg: NonNegative = Field(0.0, description="recurrent: AR, L2 on the dropped output (AWD-LSTM, alpha).")
    temporal_reg: NonNegative = Field(0.0, description="recurrent: TAR, L2 on its change in time (AWD-LSTM, beta).")
    patience: Count = Field(
        0, description="Stop after this many evaluations without a better validation perplexity (0: off)."
    )
    min_delta: NonNegative = Field(
        0.0, description="An improvement of validation loss smaller than this does not count."
    )
    average: Literal["none", "ema", "asgd"] = Field(
        "none", description="Weights that are evaluated and saved: raw, moving average, or NT-ASGD."
    )
    ema_decay: Annotated[float, Field(gt=0.0, lt=1.0)] = Field(
        0.999, description="ema: share of the average kept at each step."
    )
    asgd_patience: Positive = Field(
        5, description="asgd: averaging starts when validation has not improved for this many evaluations."
    )
    max_bad_steps: Positive = Field(
        10, description="Non-finite steps in a row that are skipped before the run stops as diverged."
    )
    unfreeze_every: Count = Field(
        0, description="Gradual unfreezing: train only the top layer first, then one more each so many steps (0: off)."
    )


class EvalConfig(Section):
    """How a split is scored: every token exactly once."""

    batch_size: Count = Field(0, description="Windows scored at once (0: training.batch_size).")
    stride: Count = Field(
        0, description="transformer: tokens scored per window; the rest of it is context (0: block_size)."
    )
    max_tokens: Count = Field(
        0, description="Tokens of the split scored during training (0: all). Final figures always use all."
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
    section, _, key = name.partition(".")
    return _section(Config.model_fields[section].annotation).model_fields[key].description or ""


def setting_applies(config: Config, name: str) -> bool:
    """Whether `section.key` has an effect in this config."""
    return why_ignored(config, name) is None


def why_ignored(config: Config, name: str) -> str | None:
    """The setting that keeps `section.key` from having an effect, as "model.position = learned"; None if it has one."""
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


def _section(annotation: Any) -> type[Section]:
    assert isinstance(annotation, type)
    assert issubclass(annotation, Section)
    return annotation


def _parse(section: str, key: str, text: str) -> Any:
    """A setting's value from the command line: text stays text, the rest is TOML (`true`, `0.1`, `["a", "b"]`)."""
    annotation = _section(Config.model_fields[section].annotation).model_fields[key].annotation
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
