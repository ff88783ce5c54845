"""The `kinemask` command: what there is to do beside `dvc repro`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(
    help="Kinemask: skeleton actions without labels. `dvc repro` runs the pipeline; this looks at it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

data = typer.Typer(
    help="Look at the datasets: their archives, and how far they are.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
app.add_typer(data, name="data")


Units = Literal["metres", "centimetres", "millimetres", "inches", "feet"]
Root = Annotated[Path, typer.Option(help="The root of the project, where params.yaml is.")]


@app.command()
def check(root: Root = Path()) -> None:
    """Check the whole of params.yaml, before anything runs.

    Every problem is shown with its place in the file and the value found; so are recordings that are gone.
    A preset that does not run may break a rule between its keys: that is told, and is no failure.

    Example: [bold]kinemask check[/bold]
    """
    from kinemask.datasets.state import lost_files
    from kinemask.errors import few
    from kinemask.params import check as check_params

    with _one_line_errors():
        params = check_params(root / "params.yaml", typer.echo)
        selected = {params.benchmarks[name].dataset for name in params.run.benchmarks}
        if lost := lost_files(root, sorted(selected)):
            typer.echo("\n".join(few(lost, 3)), err=True)
            raise typer.Exit(1)
        typer.echo("params.yaml is good")


@data.command("check")
def check_data(
    dataset: Annotated[str, typer.Argument(help="A dataset of params.yaml, such as ntu60.")],
    root: Root = Path(),
) -> None:
    """Say in seconds whether the archives of a dataset are whole, before anyone waits for them.

    It looks into the folders of KINEMASK_MIRROR and download.mirrors, counts recordings and names what is
    missing, reads a sample, and says how long preprocess will take. Nothing is downloaded or written.

    The status is 0 if `dvc repro` can prepare all of the dataset: its archives are whole, or downloadable, or
    made here. It is 1 if they are partial, absent or unusable; then it is said what to do.

    Example: [bold]kinemask data check ntu60[/bold]

    Archives in a folder of your own: [bold]KINEMASK_MIRROR=/data/ntu kinemask data check ntu120[/bold]
    """
    from kinemask.datasets.state import check_dataset, is_good, worded

    with _one_line_errors():
        verdict = check_dataset(root, dataset)
    typer.echo(worded(dataset, verdict))
    if not is_good(verdict):
        raise typer.Exit(1)


@data.command("list")
def list_data(root: Root = Path()) -> None:
    """List the datasets of params.yaml: packed, downloaded or neither.

    Example: [bold]kinemask data list[/bold]
    """
    from kinemask.datasets.state import list_datasets

    with _one_line_errors():
        typer.echo(list_datasets(root))


@app.command()
def grid(
    name: Annotated[str | None, typer.Argument(help="A grid of params.yaml; none: list them.")] = None,
    root: Root = Path(),
) -> None:
    """Run a named list of methods, benchmarks and seeds of params.yaml, and make its tables.

    It writes the grid into `run`, says how to go back and runs `dvc repro`. Called again it goes on.

    Example: [bold]kinemask grid[/bold] lists them with the number of pretrainings

    One of them: [bold]kinemask grid mtmc[/bold]
    """
    from kinemask.grid import list_grids, run_grid

    with _one_line_errors():
        if name is None:
            typer.echo(list_grids(root))
        else:
            run_grid(root, name, _say)


def _say(text: str) -> None:
    typer.echo(text)
    sys.stdout.flush()  # before DVC writes


@app.command()
def summary(
    root: Root = Path(),
    started: Annotated[
        float | None,
        typer.Option(help="When `dvc repro` was started, seconds since 1970: shows the time split."),
    ] = None,
) -> None:
    """Print the result table of the last `dvc repro`.

    Example: [bold]kinemask summary[/bold]
    """
    from kinemask.reporting.summary import print_summary

    with _one_line_errors():
        print_summary(root, started)


@app.command()
def readme(
    root: Root = Path(),
    check: Annotated[bool, typer.Option(help="Change nothing; fail if a table is out of date.")] = False,
) -> None:
    """Fill the tables of README.md from the CSV files they name.

    Example: [bold]kinemask readme[/bold], or [bold]kinemask readme --check[/bold] in a test
    """
    from kinemask.reporting.readme import update_readme

    with _one_line_errors():
        stale = update_readme(root / "README.md", root, check=check)
    verb = "out of date" if check else "brought up to date"
    typer.echo(f"{len(stale)} table(s) {verb}" + "".join(f"\n  {order}" for order in stale))
    if check and stale:
        raise typer.Exit(1)


@app.command()
def published(
    benchmark: Annotated[
        str | None, typer.Option(help="Only those of a benchmark, such as ntu60-xsub.")
    ] = None,
) -> None:
    """Print the figures that others published on NTU RGB+D and PKU-MMD, each with its source.

    The reports show them beside ours where the same benchmark was run whole, and never among ours.

    Example: [bold]kinemask published --benchmark ntu60-xsub[/bold]

    One evaluation of all: [bold]kinemask published | grep " knn "[/bold]
    """
    from kinemask.reporting.published import list_figures

    with _one_line_errors():
        typer.echo(list_figures(benchmark))


@app.command()
def features(
    encoder: Annotated[Path, typer.Argument(help="A .safetensors file, as `kinemask release` writes it.")],
    recordings: Annotated[
        list[Path], typer.Argument(help=".skeleton, .npy, .csv, .bvh, or folders of them.")
    ],
    out: Annotated[Path, typer.Option(help="The table to write: a row a recording.")] = Path("features.csv"),
    pooling: Annotated[str, typer.Option(help="How features are pooled over time.")] = "mean",
    crop_share: Annotated[
        float, typer.Option(min=0.05, max=1, help="The middle share of each recording that is looked at.")
    ] = 0.95,
    units: Annotated[Units, typer.Option(help="Of .npy, .csv and .bvh files.")] = "metres",
    up: Annotated[Literal["y", "z"], typer.Option(help="Which axis points up in them.")] = "y",
) -> None:
    """Turn recordings of your own into features, with no graph and no labels.

    Example: [bold]kinemask features encoder.safetensors recordings/[/bold]

    The largest value over time: [bold]kinemask features encoder.safetensors a.skeleton --pooling max[/bold]
    """
    from kinemask.release.features import make_features
    from kinemask.storage import write_text

    with _one_line_errors():
        made = make_features(encoder, recordings, pooling=pooling, crop_share=crop_share, units=units, up=up)
        write_text(out, made.table.to_csv(index=False))
        for line in made.left_out:
            typer.echo(f"left out: {line}", err=True)
        typer.echo(f"{len(made.table)} recordings, {made.table.shape[1] - 1} features each: {out}")


@app.command()
def release(
    benchmark: Annotated[str, typer.Argument(help="What it was pretrained on.")],
    method: Annotated[str, typer.Argument(help="The method that did it.")],
    seed: Annotated[int, typer.Option(help="Of the seeds that were run.")] = 0,
    out: Annotated[Path, typer.Option(help="The folder to write.")] = Path("release"),
    root: Root = Path(),
) -> None:
    """Write an encoder and its model card into a folder, to give away.

    Example: [bold]kinemask release irds-xsub twins[/bold]
    """
    from kinemask.release.card import release as write_release

    with _one_line_errors():
        written = write_release(root, benchmark, method, seed=seed, out=out)
        typer.echo(f"{written.folder}: weights of {written.megabytes:.2f} MB and their model card")


@app.command()
def track(root: Root = Path()) -> None:
    """Send to MLflow every record that it lacks.

    Such as those restored from DVC's cache, or made while the server was down.

    Records already there are left alone, so it can be run at any time.

    Example: [bold]kinemask track[/bold]

    To a server of the team: [bold]MLFLOW_TRACKING_URI=https://mlflow.example.org kinemask track[/bold]
    """
    from kinemask.tracking.track import track_all

    with _one_line_errors():
        typer.echo(str(track_all(root)))


@app.command()
def ui(
    root: Root = Path(),
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port of the page on this machine.")] = 5000,
) -> None:
    """Open MLflow's page on the runs. Ctrl-C ends it.

    Example: [bold]kinemask ui[/bold], then open the address it prints

    If port 5000 is taken: [bold]kinemask ui --port 5001[/bold]
    """
    from kinemask.tracking.store import find_store
    from kinemask.tracking.ui import serve_ui, ui_address, ui_command

    with _one_line_errors():
        store = find_store(root)
        command = ui_command(store, port)
        typer.echo(f"In some seconds: {ui_address(store, port)} (Ctrl-C ends it)")
        sys.stdout.flush()
        serve_ui(command)


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """What is wrong with the input or the machine is said without a traceback."""
    from kinemask.errors import KinemaskError

    try:
        yield
    except KinemaskError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


if __name__ == "__main__":
    app()
