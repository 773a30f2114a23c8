"""What other tools call our settings, and the hint for a setting's name that we do not have.

A hint that leads to the wrong setting is worse than none. A setting is suggested if the name is a known synonym of it,
ends in its key, or is spelled almost like it; else the hint says where all settings are listed.
"""

from __future__ import annotations

from collections.abc import Sequence

from lmcore.errors import nearest

LIST_OF_ALL = "`lm presets show quick` lists every setting."
AT_MOST = 3

# Names of nanoGPT, PyTorch, transformers, Keras, fairseq and llama.cpp, by the setting that is meant.
_NAMES = {
    "data.corpus": ("dataset", "dataset_name", "text", "text_file", "train_file", "input_file"),
    "data.val_fraction": ("val_split", "validation_split", "val_ratio", "valid_fraction", "val_size"),
    "data.test_fraction": ("test_split", "test_ratio", "test_size"),
    "tokenizer.kind": ("tokenizer_type", "tokenizer_name", "tokeniser"),
    "tokenizer.min_frequency": ("min_freq", "min_count"),
    "tokenizer.lowercase": ("lower", "do_lower_case", "lower_case"),
    "model.architecture": ("arch", "model_type", "cell_type", "rnn_type", "cell"),
    "model.n_layer": ("layers", "n_layers", "num_layers", "nlayers", "num_hidden_layers", "depth", "nlayer"),
    "model.n_head": ("heads", "n_heads", "num_heads", "nhead", "nheads", "num_attention_heads", "attention_heads"),
    "model.n_embd": ("hidden_size", "d_model", "embed_dim", "embedding_dim", "n_embed", "emsize", "width", "dim"),
    "model.n_hidden": ("nhid", "hidden_dim", "hidden_units", "lstm_size", "rnn_size"),
    "model.n_inner": ("d_ff", "ffn_dim", "intermediate_size", "dim_feedforward", "mlp_width", "ff_dim"),
    "model.block_size": (
        *("context", "ctx", "n_ctx", "seq_len", "seq_length", "sequence_length", "context_length", "context_size"),
        *("max_seq_len", "n_positions", "max_position_embeddings", "bptt", "window", "block_len", "max_length"),
    ),
    "model.tied": ("tie_weights", "tie_word_embeddings", "weight_tying", "tie_embeddings"),
    "model.dropout": ("drop", "dropout_rate", "p_dropout", "resid_pdrop", "hidden_dropout"),
    "model.dropout_attention": ("attn_dropout", "attn_pdrop", "attention_dropout"),
    "model.dropout_embedding": ("embd_pdrop", "embedding_dropout", "emb_dropout"),
    "model.position": ("pos_encoding", "positional_encoding", "position_embedding", "pos_emb", "positions"),
    "model.activation": ("act", "act_fn", "hidden_act", "activation_function", "nonlinearity"),
    "model.norm_eps": ("layer_norm_eps", "layer_norm_epsilon", "ln_eps", "rms_norm_eps"),
    "optimizer.name": ("optim", "optimiser", "opt", "optimizer_type"),
    "optimizer.lr": ("learning_rate", "learningrate", "max_lr", "peak_lr", "eta", "step_lr"),
    "optimizer.weight_decay": ("wd", "l2", "decay", "weightdecay"),
    "optimizer.grad_clip": (
        "clip",
        "clip_grad",
        "max_grad_norm",
        "grad_norm",
        "gradient_clip",
        "clip_norm",
        "clipping",
    ),
    "optimizer.beta1": ("adam_beta1", "b1"),
    "optimizer.beta2": ("adam_beta2", "b2"),
    "optimizer.eps": ("epsilon", "adam_epsilon"),
    "schedule.name": ("scheduler", "lr_scheduler", "lr_scheduler_type", "lr_schedule", "lr_decay"),
    "schedule.warmup_steps": ("warmup", "warm_up", "warmup_iters", "num_warmup_steps", "warmup_updates"),
    "schedule.decay_steps": ("lr_decay_iters", "decay_iters", "decay_until"),
    "schedule.min_lr_ratio": ("min_lr", "lr_min", "min_learning_rate", "final_lr", "end_lr"),
    "training.batch_size": ("batch", "bs", "bsz", "batchsize", "train_batch_size", "per_device_train_batch_size"),
    "training.accumulate": (
        *("gradient_accumulation", "gradient_accumulation_steps", "grad_accum", "accumulation_steps"),
        *("accumulate_grad_batches", "grad_accumulation"),
    ),
    "training.epochs": ("epoch", "n_epochs", "num_epochs", "num_train_epochs", "max_epochs", "nepochs", "passes"),
    "training.max_steps": (
        "steps",
        "iters",
        "max_iters",
        "n_steps",
        "num_steps",
        "iterations",
        "total_steps",
        "updates",
    ),
    "training.max_minutes": ("minutes", "max_time", "time_limit", "timeout"),
    "training.eval_every": ("eval_interval", "eval_steps", "evaluate_every", "eval_freq", "val_every"),
    "training.checkpoint_every": ("save_every", "save_interval", "save_steps", "checkpoint_interval"),
    "training.log_every": ("log_interval", "logging_steps", "log_steps", "print_every"),
    "training.keep_checkpoints": ("save_total_limit", "keep", "max_checkpoints"),
    "training.seed": ("random_seed", "manual_seed", "random_state", "rng"),
    "training.precision": ("dtype", "amp", "mixed_precision", "bf16", "fp16", "half"),
    "training.threads": ("n_threads", "num_threads", "cpu_threads", "workers", "num_workers"),
    "training.patience": ("early_stopping", "early_stopping_patience", "early_stop"),
    "training.average": ("ema", "averaging", "weight_averaging", "swa", "asgd"),
    "generation.max_new_tokens": ("length", "num_tokens", "n_predict", "max_tokens_generated", "new_tokens"),
    "generation.temperature": ("temp", "tau"),
    "generation.top_k": ("topk",),
    "generation.top_p": ("topp", "nucleus", "nucleus_p"),
    "generation.repetition_penalty": ("repeat_penalty", "rep_penalty"),
    "generation.no_repeat_ngram": ("no_repeat_ngram_size", "ngram_block"),
    "generation.prompts": ("prompt", "start"),
}
SYNONYMS = {synonym: setting for setting, synonyms in _NAMES.items() for synonym in synonyms}


def suggest_settings(name: str, known: Sequence[str]) -> list[str]:
    """The settings that `name` may mean, at most three; none if nothing is near.

    Args:
        name: what was typed: `section.key` or a bare key.
        known: every `section.key` there is.
    """
    typed_section, _, typed_key = name.strip().lower().replace("-", "_").rpartition(".")
    if (meant := SYNONYMS.get(typed_key)) in known and meant is not None:
        return [meant]
    by_key: dict[str, list[str]] = {}
    for setting in known:
        by_key.setdefault(setting.rpartition(".")[2], []).append(setting)
    own_section = [setting for setting in known if setting.rpartition(".")[0] == typed_section]
    candidates = by_key.get(typed_key) or _near_keys(typed_key, own_section) or _near_keys(typed_key, known)
    in_section = [setting for setting in candidates if _alike(setting.rpartition(".")[0], typed_section)]
    return (in_section or candidates)[:AT_MOST]


def setting_hint(name: str, known: Sequence[str]) -> str:
    """One sentence: which settings `name` may mean, or where all of them are listed."""
    found = suggest_settings(name, known)
    return f"Did you mean {' or '.join(repr(setting) for setting in found)}?" if found else LIST_OF_ALL


def _near_keys(key: str, settings: Sequence[str]) -> list[str]:
    """The settings with the key that is spelled most like `key`; names of three letters and fewer are like many."""
    keys = {setting.rpartition(".")[2] for setting in settings}
    found = nearest(key, sorted(keys), cutoff=0.75) if len(key) > 3 else None
    return [setting for setting in settings if setting.rpartition(".")[2] == found]


def _alike(section: str, typed: str) -> bool:
    return bool(typed) and (section.startswith(typed[:4]) or nearest(typed, [section], cutoff=0.7) is not None)
