import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from kinemask.looks import ClipLook, looks_path, write_looks
from kinemask.record import read_records
from kinemask.reporting.ablation import ablation_table
from kinemask.reporting.collect import collect
from kinemask.reporting.figures import MAX_POINTS, Bar, Curve, curve_chart, interval_chart
from kinemask.reporting.occlusion import occlusion_table
from kinemask.reporting.report import commit_date, params_digest, report_html
from kinemask.reporting.tables import comparisons_table, results_table
from tests.test_looks import ATTENDING, LOOKS

from .conftest import Run, make_published, new_run, write_record

MakeRun = Callable[..., Run]
VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """Tags with their attributes, texts, and tags that were not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, str]:
    """A finished run and its page, made once."""
    run = new_run(tmp_path_factory.mktemp("whole") / "project")
    return run, html(run)


def html(run: Run) -> str:
    found = collect(run.root, run.config)
    results, comparisons = results_table(found, run.statistics), comparisons_table(found, run.statistics)
    ablation = ablation_table(found, run.statistics)
    occlusion = occlusion_table(found, run.statistics)
    return report_html(results, comparisons, ablation, found, run.statistics, occlusion=occlusion)


def test_page_asks_nothing_from_anywhere(whole: tuple[Run, str]) -> None:
    text = whole[1]
    assert "http" not in text
    assert "//" not in re.sub(r"<pre.*?</pre>", "", text, flags=re.DOTALL)
    page = Page(text)
    assert {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "object", "embed"} == set()
    targets = [
        value for _, attributes in page.tags for name, value in attributes.items() if name in ("href", "src")
    ]
    assert targets
    assert all(str(target).startswith("#") for target in targets)


def test_page_can_be_read_without_seeing_it(whole: tuple[Run, str]) -> None:
    page = Page(whole[1])
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("caption")) == len(page.all("table"))
    assert all("scope" in attributes for attributes in page.all("th"))
    charts = [attributes for attributes in page.all("div") if attributes.get("role") == "img"]
    # Evaluations, labels and two linear probes of each benchmark; loss and rank of one method on each.
    assert len(charts) == len(page.all("svg")) == 2 * (3 + 1 + 2) + 2 * 2
    assert all(len(str(attributes["aria-label"])) > 40 for attributes in charts)
    scrolled = [attributes for attributes in page.all("div") if attributes.get("class") == "scroll"]
    assert all(attributes["tabindex"] == "0" and attributes["aria-label"] for attributes in scrolled)


def test_ids_are_unique_and_links_lead_somewhere(whole: tuple[Run, str]) -> None:
    text = whole[1]
    page = Page(text)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = re.findall(r'(?:href="#|url\(#|labelledby=")([^")]+)', text)
    assert set(targets) <= set(ids)


def test_page_says_where_its_numbers_come_from(whole: tuple[Run, str]) -> None:
    run, text = whole
    digest = params_digest(record for record in read_records(run.root))
    for said in (
        "0123456789",
        digest,
        "torch 2.13",
        "86.1",
        "Nothing is missing",
        "&#34;resamples&#34;: 200",
    ):
        assert said in text
    assert "damaged_share" in text
    assert "0.006849" in text


def test_every_name_is_explained(whole: tuple[Run, str]) -> None:
    page = Page(whole[1])
    terms = {
        text
        for text in page.texts
        if text in ("mtmc", "random", "linear", "knn", "few", "pooling", "k", "labels", "irds", "xsub")
    }
    assert len(terms) == 10
    assert len(page.all("dd")) == len(page.all("dt"))


def test_unknown_method_gets_a_sentence_too(make_run: MakeRun) -> None:
    run = make_run(benchmarks=("irds-xsub",), methods=("random", "mtmc"), seeds=(0,))
    for path in sorted(run.root.rglob("*mtmc*"), reverse=True):
        path.rename(path.with_name("my_own"))
    for path in run.root.rglob("my_own/*.json"):
        path.write_text(path.read_text().replace('"method": "mtmc"', '"method": "my_own"'))
    config = run.config.model_copy(update={"methods": ("random", "my_own")})
    text = html(Run(run.root, config, run.statistics))
    assert "<dt>my_own</dt><dd>A method of this project" in text


def test_what_is_written_in_records_cannot_become_markup(make_run: MakeRun) -> None:
    run = make_run(benchmarks=("irds-xsub",), seeds=(0,))
    evil = "</pre><script>alert(1)</script>"
    history = [{"step": 1, evil: 2.0}, {"step": 2, evil: 1.0}]
    write_record(
        run.root, "pretrain", "irds-xsub", "mtmc", 0, params={"stream": evil}, history=history, commit=evil
    )
    text = html(run)
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    Page(text)


def test_same_input_gives_the_same_page(make_run: MakeRun) -> None:
    changes = {"benchmarks": ("irds-xsub",), "seeds": (0,)}
    assert html(make_run("first", **changes)) == html(make_run("second", **changes))


def test_missing_run_is_on_the_page(make_run: MakeRun) -> None:
    run = make_run(benchmarks=("irds-xsub",))
    (run.root / "records/linear/irds-xsub/mtmc/seed-1.json").unlink()
    assert '<p class="gap">Not in the tables: irds-xsub mtmc linear' in html(run)


def test_control_alone_has_a_page(make_run: MakeRun) -> None:
    text = html(make_run(benchmarks=("irds-xsub",), methods=("random",), seeds=(0,)))
    assert "Nothing was trained." in text
    assert "No comparison" in text


def test_ablation_is_on_the_page_where_there_is_a_reference(make_run: MakeRun) -> None:
    methods = ("mtmc", "mtmc-no-drop", "random")
    text = html(make_run(benchmarks=("irds-xsub",), methods=methods, seeds=(0, 1), reference="mtmc"))
    page = Page(text)
    assert '<a href="#ablation">Against mtmc</a>' in text
    assert {"id": "ablation"} in page.all("h2")
    assert {"control", "reference", "against mtmc, points", "p (Holm)"} <= set(page.texts)
    assert len(page.all("caption")) == len(page.all("table"))
    assert all("scope" in attributes for attributes in page.all("th"))
    assert "ablation" not in html(make_run("plain", benchmarks=("irds-xsub",), seeds=(0, 1)))


def test_what_methods_do_with_clips_is_on_the_page_where_it_was_looked_at(make_run: MakeRun) -> None:
    run = make_run(benchmarks=("irds-xsub",), seeds=(0,))
    before = html(run)
    assert "What the mask hides" not in before
    evil = LOOKS.clips[1].model_copy(update={"clip": "<script>"})
    looks = LOOKS.model_copy(update={"clips": (LOOKS.clips[0], evil)})
    write_looks(run.root / looks_path("irds-xsub", "mtmc"), looks)
    text = html(run)
    page = Page(text)
    assert '<a href="#mask">What the mask hides</a>' in text
    assert "mtmc on irds-xsub, seed 4" in page.texts
    assert "<script" not in text
    charts = [attributes for attributes in page.all("div") if attributes.get("role") == "img"]
    assert len(charts) == len(page.all("svg")) == len(Page(before).all("svg")) + 3 + 1
    assert all(len(str(attributes["aria-label"])) > 40 for attributes in charts)
    assert "http" not in text


def test_what_attention_learned_is_on_the_page_where_an_encoder_attends(make_run: MakeRun) -> None:
    run = make_run(benchmarks=("irds-xsub",), seeds=(0,))
    write_looks(run.root / looks_path("irds-xsub", "mtmc"), LOOKS)
    before = html(run)
    assert "What attention learned" not in before
    write_looks(run.root / looks_path("irds-xsub", "mtmc"), ATTENDING)
    page = Page(html(run))
    assert {"id": "attention"} in page.all("h2")
    assert {"href": "#attention"} in page.all("a")
    assert len(page.all("svg")) == len(Page(before).all("svg")) + 2
    said = [str(one["aria-label"]) for one in page.all("div") if one.get("role") == "img"]
    assert sum(one.startswith("Topology bias of 2 blocks") for one in said) == 1
    assert sum(one.startswith("Attention of hand in wave") for one in said) == 1
    alone = ClipLook(clip="wave", mask=None, drop=None, attention=ATTENDING.clips[0].attention)
    write_looks(run.root / looks_path("irds-xsub", "mtmc"), ATTENDING.model_copy(update={"clips": (alone,)}))
    assert "What the mask hides" not in html(run)  # a supervised transformer hides nothing


def test_what_is_not_there_is_on_the_page_with_the_reason(make_run: MakeRun) -> None:
    run = make_run(benchmarks=("irds-xsub",), finetune=("mtmc",), seeds=(0,))
    wanted = run.config.model_copy(update={"benchmarks": ("irds-xsub", "ntu60-xsub")})
    text = html(Run(run.root, wanted, run.statistics))
    assert '<tr><th scope="row">random</th><td colspan="8"><em>not run</em></td></tr>' in text
    assert text.count("<em>") == 1
    assert "not run: run of params.yaml does not name the method" in text
    assert re.search(r'<h2 id="unseen-1">ntu60-xsub</h2>\s*<p class="gap">no data: the benchmark', text)
    Page(text)


def test_figures_of_others_are_on_the_page_beside_their_benchmark_alone(make_run: MakeRun) -> None:
    run = make_run(benchmarks=("irds-xsub",), seeds=(0,))
    assert "Others&#39; figures" not in html(run)
    make_published(run)
    text = html(run)
    page = Page(text)
    assert page.texts.count("Others' figures, not made by this run and not compared with it (13)") == 1
    assert text.count('<td class="number">92.8</td><td class="words">MD, FS</td>') == 1
    assert len(page.all("caption")) == len(page.all("table"))
    assert "http" not in text


def test_digest_changes_with_any_parameter(make_run: MakeRun) -> None:
    run = make_run(benchmarks=("irds-xsub",), seeds=(0,))
    before = params_digest(read_records(run.root))
    assert before == params_digest(reversed(read_records(run.root)))
    write_record(run.root, "embed", "irds-xsub", "mtmc", 0, params={"crop": 0.9})
    assert params_digest(read_records(run.root)) != before


@pytest.mark.parametrize("commit", ["unknown", "0123456789", "--output=/tmp/x", ""])
def test_commit_that_git_does_not_know_has_no_date(commit: str) -> None:
    assert commit_date([commit]) == "unknown"


def test_charts_take_their_colours_from_the_page() -> None:
    chart = interval_chart([Bar("a", 0, (50.0, 60.0), 55.0, 40.0, 70.0)], [("raw", 52.0)], name="x")
    assert {"var(--ink)", "var(--muted)", "var(--grid)", "var(--series-0)"} <= set(
        re.findall(r"var\([^)]+\)", chart)
    )
    assert not re.search(r"(fill|stroke): #", chart)
    assert "raw: 52.0" in chart


def test_each_seed_is_a_dot_beside_the_interval() -> None:
    def dots(*seeds: float) -> int:
        chart = interval_chart([Bar("a", 0, seeds, 55.0, 40.0, 70.0)], [], name="x")
        return len(re.findall(r"<use [^>]*var\(--ink\)", chart))

    assert dots(50.0, 60.0, 55.0) - dots(50.0, 60.0) == 1


def test_a_long_label_takes_two_lines_and_leaves_the_bars_their_place():
    label = "mtmc from=kinesim-xsub few mean labels=10%"
    chart = interval_chart([Bar(label, 0, (50.0,), 50.0, 50.0, 50.0)], [], name="x")
    assert label not in chart
    assert re.findall(r">([^<>]*(?:mtmc|labels)[^<>]*)</text>", chart) == [
        "mtmc from=kinesim-xsub few", "mean labels=10%"
    ]  # fmt: skip


def test_charts_show_text_as_it_is() -> None:
    chart = interval_chart([Bar("$x$ <b>&", 0, (50.0,), 50.0, 50.0, 50.0)], [], name="x")
    chart = re.sub(r"<!--.*?-->", "", chart)  # where Matplotlib repeats what it has typeset
    assert "$x$ &lt;b&gt;&amp;" in chart


def test_long_curves_are_thinned_and_keep_both_ends() -> None:
    steps = tuple(float(step) for step in range(5000))
    chart = curve_chart([Curve("seed 0", steps, steps)], title="loss", name="x")
    line = max(re.findall(r'<path d="([^"]+)"', chart), key=len)
    xs = [float(x) for x in re.findall(r"[ML] (\S+)", line)]
    short = curve_chart([Curve("seed 0", (0.0, 4999.0), (0.0, 4999.0))], title="loss", name="x")
    ends = max(re.findall(r'<path d="([^"]+)" clip-path[^>]*series', short), key=len)
    assert len(xs) <= MAX_POINTS + 1
    assert [xs[0], xs[-1]] == [float(x) for x in re.findall(r"[ML] (\S+)", ends)]
