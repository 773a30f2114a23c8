"""Every `lm` command with its arguments, options and help.

What a command does is in `commands/`, in the file named as the command is typed. It is imported when the command runs:
`lm --help` and `lm runs` stay fast because nothing slow is imported here.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated

import typer

from commands.input.completion import complete_corpus, complete_preset, complete_run, complete_setting
from commands.input.sampler_options import SamplerCommand, SharedSamplerCommand, given_options
from commands.output.errors import run_safely


def group() -> typer.Typer:
    """A group of commands. Without rich: importing it would take longer than most commands."""
    return typer.Typer(
        context_settings={"help_option_names": ["-h", "--help"]},
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        invoke_without_command=True,
    )


app, presets_app, runs_app, data_app = group(), group(), group(), group()
app.add_typer(presets_app, name="presets")
app.add_typer(runs_app, name="runs")
app.add_typer(data_app, name="data")

RunName = Annotated[
    str,
    typer.Argument(metavar="RUN", help="Name of a run, or path to its folder.", autocompletion=complete_run),
]
RunOption = Annotated[
    str | None,
    typer.Option(
        "--run",
        metavar="R",
        help="Name of a run, or path to a run or checkpoint folder (default: the newest run).",
        autocompletion=complete_run,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
PresetOption = Annotated[
    str,
    typer.Option(
        "--preset",
        metavar="P",
        help="Preset or .toml file to start from.",
        autocompletion=complete_preset,
    ),
]
CorpusOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="D",
        help="Name of a corpus, hf:OWNER/NAME, or a path: text, EPUB, HTML, JSONL, Parquet, folder, glob, .npz, .bin.",
        autocompletion=complete_corpus,
    ),
]
SettingsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SECTION.KEY=VALUE",
        help="Change a setting; may be repeated.",
        autocompletion=complete_setting,
    ),
]
Offline = Annotated[
    bool,
    typer.Option(
        "--offline", help="Do not use the network; replace downloads with local substitutes and report each one."
    ),
]
Device = Annotated[str | None, typer.Option("--device", metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps.")]
Which = Annotated[
    str | None, typer.Option("--checkpoint", metavar="WHICH", help="best, last, or a step number (default: best).")
]


@app.callback()
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the full traceback of an error; may also be given after any command.")
    ] = False,
) -> None:
    """Train small and medium language models on your own text, watch them learn, compare them, and generate text."""
    from commands.output.console import put, version_text

    if version:
        put(version_text())
        raise typer.Exit
    if context.invoked_subcommand is None:
        put(context.get_help())


@app.command()
def train(
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            metavar="P",
            help="Preset or .toml file to start from (default: quick).",
            autocompletion=complete_preset,
        ),
    ] = None,
    data: CorpusOption = None,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="R", help="Name of the new run (default: the preset's name and a number)."),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume", metavar="R", help="Continue this run from its last checkpoint.", autocompletion=complete_run
        ),
    ] = None,
    settings: SettingsOption = None,
    max_steps: Annotated[
        int | None,
        typer.Option("--max-steps", metavar="N", min=1, help="Stop at step N, counted from the start of the run."),
    ] = None,
    max_minutes: Annotated[
        float | None,
        typer.Option(
            "--max-minutes",
            metavar="M",
            min=0,
            help="Stop after M minutes of training, counted from the start of the run.",
        ),
    ] = None,
    offline: Offline = False,
    device: Device = None,
    json: Json = False,
) -> None:
    """Train a model, or resume a run. Ctrl-C finishes the current step and saves a checkpoint."""
    from commands.train import continue_run, start_run

    limits = {"training.max_steps": max_steps, "training.max_minutes": max_minutes, "training.device": device}
    chosen = {name: value for name, value in limits.items() if value is not None}
    if resume:
        refused = {"--preset": preset, "--data": data, "--run": run, "--offline": "" if offline else None}
        code = continue_run(resume, refused, settings or [], chosen, as_json=json)
    else:
        code = start_run(preset or "quick", data, run, settings or [], chosen, offline=offline, as_json=json)
    raise typer.Exit(code)


@app.command(cls=SamplerCommand)
def generate(
    context: typer.Context,
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="Text to continue; - reads it from standard input.")],
    run: RunOption = None,
    checkpoint: Which = None,
    device: Device = None,
    num_samples: Annotated[int, typer.Option(metavar="INTEGER", min=1, help="Number of texts to generate.")] = 1,
    raw: Annotated[
        bool, typer.Option("--raw", help="Print control characters unchanged; for pipes and files only.")
    ] = False,
    json: Json = False,
) -> None:
    """Generate text with a trained model. Prints the prompt and its continuation, token by token."""
    from commands.generate import continue_prompt

    given = given_options(context)
    continue_prompt(prompt, run, checkpoint, given, num_samples, device or "auto", raw=raw, as_json=json)


@app.command(name="eval")
def evaluate(
    run: RunName,
    data: CorpusOption = None,
    split: Annotated[str, typer.Option("--split", metavar="SPLIT", help="train, val or test.")] = "test",
    checkpoint: Which = None,
    stride: Annotated[
        int | None,
        typer.Option(
            "--stride",
            metavar="N",
            min=0,
            help="Tokens scored per window; the rest is context (0: score all). Smaller: more context, but slower.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="eval.KEY=VALUE", help="Change how the split is scored; may be repeated."),
    ] = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Evaluate a trained model on a split. Scores every token exactly once."""
    from commands.evaluate import score_split

    options = {"eval.stride": stride, "training.device": device}
    chosen = {name: value for name, value in options.items() if value is not None}
    score_split(run, data, split, checkpoint, settings or [], chosen, as_json=json)


@app.command(cls=SharedSamplerCommand)
def compare(
    context: typer.Context,
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN...", help="Runs, or ranges such as exp1..exp12.", autocompletion=complete_run),
    ],
    prompt: Annotated[
        str | None,
        typer.Option(
            "--prompt", metavar="TEXT", help="Continue this text with each run; - reads it from standard input."
        ),
    ] = None,
    x: Annotated[
        str, typer.Option("--x", metavar="AXIS", help="The x-axis of the curves: epoch, time, step or tokens.")
    ] = "epoch",
    json: Json = False,
) -> None:
    """Compare runs. Shows a table, the settings that differ, the curves and, with --prompt, generated texts."""
    from commands.compare import compare_runs

    compare_runs(runs, prompt, x, given_options(context), as_json=json)


@app.command()
def control(
    run: RunName,
    action: Annotated[str, typer.Argument(metavar="ACTION", help="pause, resume, checkpoint or stop.")],
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long to wait for the run to respond.")
    ] = 60.0,
    json: Json = False,
) -> None:
    """Pause, resume or stop a run, or save a checkpoint. Waits for the run to respond."""
    from commands.control import send_request

    send_request(run, action, timeout, as_json=json)


@app.command()
def watch(
    run: RunName,
    once: Annotated[bool, typer.Option("--once", help="Print the current state and exit.")] = False,
) -> None:
    """Follow a run as plain text. For logs and screen readers; exits when the run ends."""
    from commands.watch import follow_run

    follow_run(run, once=once)


@app.command()
def tui(run: RunOption = None) -> None:
    """Open the full-screen interface. Its screens are Watch, Presets, Generate, Compare and Machine."""
    from commands.tui import open_screens

    raise typer.Exit(open_screens(run))


@app.command(name="lr-find")
def lr_find(
    preset: PresetOption = "quick",
    data: CorpusOption = None,
    settings: SettingsOption = None,
    steps: Annotated[int, typer.Option("--steps", metavar="N", min=10, help="Number of training steps.")] = 100,
    offline: Offline = False,
    device: Device = None,
    json: Json = False,
) -> None:
    """Find a learning rate. Raises the rate step by step, plots the loss against it, and suggests a peak rate."""
    from commands.lr_find import find_lr

    find_lr(preset, data, settings or [], steps, device, offline=offline, as_json=json)


@presets_app.callback()
def presets_root(context: typer.Context, json: Json = False) -> None:
    """List, show or copy presets, which are ready-made settings."""
    if context.invoked_subcommand is None:
        presets_list(json)


@presets_app.command(name="list")
def presets_list(json: Json = False) -> None:
    """List all presets."""
    from commands import presets

    presets.list_all(as_json=json)


@presets_app.command(name="show")
def presets_show(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of a preset, or a .toml file.", autocompletion=complete_preset)
    ],
    json: Json = False,
) -> None:
    """Show a preset: its notes, parameters and settings."""
    from commands import presets

    presets.show(name, as_json=json)


@presets_app.command(name="copy")
def presets_copy(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of a preset, or a .toml file.", autocompletion=complete_preset)
    ],
    file: Annotated[str, typer.Argument(metavar="FILE", help="The new .toml file; - for standard output.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE if it exists.")] = False,
) -> None:
    """Copy a preset to a commented TOML file of your own. Train it with `lm train --preset FILE`."""
    from commands import presets

    presets.copy(name, file, force=force)


@runs_app.callback()
def runs_root(context: typer.Context, json: Json = False) -> None:
    """List, show, rename or delete runs."""
    if context.invoked_subcommand is None:
        runs_list(json)


@runs_app.command(name="list")
def runs_list(json: Json = False) -> None:
    """List all runs with their states, newest last."""
    from commands import runs

    runs.list_all(as_json=json)


@runs_app.command(name="show")
def runs_show(run: RunName, json: Json = False) -> None:
    """Show a run: its state, metrics, checkpoints, curves and settings."""
    from commands import runs

    runs.show(run, as_json=json)


@runs_app.command(name="rename")
def runs_rename(run: RunName, new: Annotated[str, typer.Argument(metavar="NEW", help="The new name.")]) -> None:
    """Rename a run."""
    from commands import runs

    runs.rename(run, new)


@runs_app.command(name="rm")
def runs_rm(
    names: Annotated[
        list[str],
        typer.Argument(metavar="RUN...", help="Runs, or ranges such as exp1..exp12.", autocompletion=complete_run),
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
) -> None:
    """Delete runs and all their checkpoints. Asks for confirmation first."""
    from commands import runs

    runs.remove(names, sure=yes)


@data_app.callback()
def data_root(context: typer.Context, json: Json = False) -> None:
    """List, show, add, download or remove corpora."""
    if context.invoked_subcommand is None:
        data_list(json)


@data_app.command(name="list")
def data_list(json: Json = False) -> None:
    """List all corpora, and whether each is on this machine."""
    from commands import data

    data.list_all(as_json=json)


@data_app.command(name="show")
def data_show(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of a corpus, or a path.", autocompletion=complete_corpus)
    ],
    json: Json = False,
) -> None:
    """Show a corpus: its location, its splits and its first lines."""
    from commands import data

    data.show(name, as_json=json)


@data_app.command(name="add")
def data_add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new name.")],
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A text file, or a folder of text files.")],
) -> None:
    """Register a file or folder of your own under a name."""
    from commands import data

    data.add(name, path)


@data_app.command(name="fetch")
def data_fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a corpus.", autocompletion=complete_corpus)],
) -> None:
    """Download a corpus and verify its checksum."""
    from commands import data

    data.fetch(name)


@data_app.command(name="rm")
def data_rm(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a corpus.", autocompletion=complete_corpus)],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
) -> None:
    """Remove an added name or a downloaded corpus. Your own files are kept."""
    from commands import data

    data.remove(name, sure=yes)


def main() -> None:
    """The `lm` command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a character that the encoding lacks is no reason to fail
    sys.exit(run_safely(app, sys.argv[1:]))


if __name__ == "__main__":
    main()
